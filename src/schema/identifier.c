#include "base/text.h"
#include "schema/builder.h"

static bool is_letter(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' || byte >= 0x80;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
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
    if (!is_letter(name.at[0]))
        return diag_set(diag, ERR_SCHEMA, "%s is named `%.*s`: a name begins with a letter or an underscore", what,
                        BYTES_FORMAT(name));
    for (size_t idx = 1; idx < name.size; idx++)
        if (!is_letter(name.at[idx]) && !is_digit(name.at[idx]))
            return diag_set(diag, ERR_SCHEMA, "%s is named `%.*s`: a name has letters, digits and underscores only",
                            what, BYTES_FORMAT(name));
    return OK;
}
