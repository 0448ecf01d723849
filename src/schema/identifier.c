#include "base/text.h"
#include "schema/builder.h"

#include <stdlib.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

static bool can_begin(ucs4_t letter)
{
    return letter == '_' || uc_is_property_xid_start(letter);
}

static bool is_ascii(bytes name)
{
    for (size_t idx = 0; idx < name.size; idx++)
        if (name.at[idx] >= 0x80)
            return false;
    return true;
}

/* Whether e with an accent is one letter and not two, and so on. */
static bool is_composed(bytes name)
{
    if (is_ascii(name))
        return true;
    size_t size = 0;
    uint8_t *composed = u8_normalize(UNINORM_NFC, name.at, name.size, NULL, &size);
    check(composed != NULL);
    const bool same = bytes_equal(name, bytes_of(composed, size));
    free(composed);
    return same;
}

/* The name is UTF-8, and not empty. */
static err letters_check(bytes name, const char *what, struct diag *diag)
{
    const uint8_t *at = name.at, *end = name.at + name.size;
    ucs4_t letter;
    at += u8_mbtouc(&letter, at, name.size);
    if (!can_begin(letter))
        return diag_set(diag, ERR_SCHEMA, "%s is named `%.*s`: a name begins with a letter or an underscore", what,
                        BYTES_FORMAT(name));
    while (at < end) {
        at += u8_mbtouc(&letter, at, (size_t)(end - at));
        if (!uc_is_property_xid_continue(letter))
            return diag_set(diag, ERR_SCHEMA, "%s is named `%.*s`: a name has letters, digits and underscores only",
                            what, BYTES_FORMAT(name));
    }
    return OK;
}

err identifier_check(bytes name, const char *what, struct diag *diag)
{
    if (name.size == 0)
        return diag_set(diag, ERR_SCHEMA, "%s has an empty name", what);
    if (name.size > SCHEMA_NAME_SIZE_MAX)
        return diag_set(diag, ERR_SCHEMA, "%s has a name of %zu bytes: %d is the most", what, name.size,
                        (int)SCHEMA_NAME_SIZE_MAX);
    if (!text_is_utf8(name))
        return diag_set(diag, ERR_SCHEMA, "%s has a name that is not UTF-8", what);
    TRY(letters_check(name, what, diag));
    if (!is_composed(name))
        return diag_set(diag, ERR_SCHEMA,
                        "%s is named `%.*s` with letters and accents apart: a name is written in Unicode's form NFC",
                        what, BYTES_FORMAT(name));
    return OK;
}
