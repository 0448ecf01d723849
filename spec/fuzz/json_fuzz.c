/* Any type, any text: json_parse() refuses it with a reason and leaves nothing, or gives a valid value.
 *
 * input: a type as data, then the text. */
#include "sats/bsatn.h"
#include "sats/json.h"

#include "base/text.h"

static const struct type *take_type(struct arena *arena, struct reader *from)
{
    struct diag diag;
    const struct type *type, *resolved;
    if (type_decode(arena, from, &type, &diag) != OK)
        return NULL;
    return type_resolve(arena, NULL, 0, type, &resolved, &diag) == OK ? resolved : NULL;
}

/* Numbers of JSON are finite, so what was parsed always comes back from what is printed. */
static void check_value(const struct type *type, bytes value)
{
    size_t used;
    struct diag diag;
    struct buf json, again;
    check(bsatn_check(type, value, &used, &diag) == OK);
    check(used == value.size);

    buf_init(&json);
    buf_init(&again);
    json_print(&json, type, value, JSON_TYPED);
    buf_clear(&json);
    json_print(&json, type, value, JSON_UNTYPED);
    check(text_is_utf8(buf_bytes(&json)));
    check(json_parse(type, buf_bytes(&json), &again, &diag) == OK);
    check(bytes_equal(buf_bytes(&again), value));
    buf_deinit(&json);
    buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct buf value;
    struct diag diag;
    arena_init(&arena);
    buf_init(&value);
    buf_put_u8(&value, 0x5a); /* what is in the buf already stays */

    struct reader from = reader_of(size > 0 ? bytes_of(data, size) : BYTES_LITERAL(""));
    const struct type *type = take_type(&arena, &from);
    if (type != NULL && json_parse(type, bytes_of(from.at, reader_left(&from)), &value, &diag) == OK) {
        check_value(type, bytes_of(value.data + 1, value.size - 1));
    } else if (type != NULL) {
        check(value.size == 1);
        check(diag.code == ERR_BAD_VALUE && diag.text[0] != '\0');
    }
    check(value.data[0] == 0x5a);
    buf_deinit(&value);
    arena_deinit(&arena);
    return 0;
}
