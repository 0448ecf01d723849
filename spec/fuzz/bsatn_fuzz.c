/* Any type, any bytes: what bsatn_check() takes, all other walks agree on.
 *
 * input: a type as data, then two values of it and whatever is left. */
#include "sats/bsatn.h"
#include "sats/json.h"

/* A type that comes back from its bytes, resolved; NULL when the input holds none. */
static const struct type *take_type(struct arena *arena, struct reader *from)
{
    struct diag diag;
    const struct type *type, *again, *resolved;
    if (type_decode(arena, from, &type, &diag) != OK)
        return NULL;

    struct buf text;
    buf_init(&text);
    type_encode(&text, type);
    struct reader reader = reader_of(buf_bytes(&text));
    check(type_decode(arena, &reader, &again, &diag) == OK);
    check(reader_left(&reader) == 0);
    check(type_equal(type, again));
    buf_clear(&text);
    type_print(&text, type);
    type_print_json(&text, type);
    buf_deinit(&text);

    return type_resolve(arena, NULL, 0, type, &resolved, &diag) == OK ? resolved : NULL;
}

/* JSON has no NaN and no infinity: they are printed as null and do not come back. */
static bool holds_null(bytes json)
{
    for (size_t idx = 0; idx + 4 <= json.size; idx++) {
        if (memcmp(json.at + idx, "null", 4) == 0)
            return true;
    }
    return false;
}

/* Untyped JSON says the same whatever the names are; typed JSON only has to be printed. */
static void check_json(const struct type *type, bytes value)
{
    struct buf json, again;
    struct diag diag;
    buf_init(&json);
    buf_init(&again);
    json_print(&json, type, value, JSON_TYPED);
    buf_clear(&json);
    json_print(&json, type, value, JSON_UNTYPED);
    if (json_parse(type, buf_bytes(&json), &again, &diag) == OK)
        check(bytes_equal(buf_bytes(&again), value));
    else
        check(holds_null(buf_bytes(&json)));
    buf_deinit(&json);
    buf_deinit(&again);
}

static bool take_value(const struct type *type, struct reader *from, bytes *value)
{
    size_t used;
    struct diag diag;
    if (bsatn_check(type, bytes_of(from->at, reader_left(from)), &used, &diag) != OK) {
        check(diag.code == ERR_BAD_VALUE && diag.text[0] != '\0');
        return false;
    }
    *value = reader_take(from, used);
    check(value->size == used && used >= type->min_size);
    check(type->fixed_size == TYPE_VARIABLE || used == (size_t)type->fixed_size);
    check(bsatn_size(type, value->at) == used);
    check(bsatn_compare(type, value->at, value->at) == 0);
    check_json(type, *value);
    return true;
}

static void check_order(const struct type *type, bytes left, bytes right)
{
    const int order = bsatn_compare(type, left.at, right.at);
    const uint64_t left_prefix = bsatn_prefix(type, left.at);
    const uint64_t right_prefix = bsatn_prefix(type, right.at);
    check((order == 0) == bytes_equal(left, right));
    check((order < 0) == (bsatn_compare(type, right.at, left.at) > 0));
    check(order >= 0 || left_prefix <= right_prefix);
    check(order <= 0 || left_prefix >= right_prefix);
    check(!bsatn_prefix_is_exact(type) || (left_prefix == right_prefix) == (order == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena);
    struct reader from = reader_of(size > 0 ? bytes_of(data, size) : BYTES_LITERAL(""));
    const struct type *type = take_type(&arena, &from);
    bytes left, right;
    if (type != NULL && take_value(type, &from, &left) && take_value(type, &from, &right))
        check_order(type, left, right);
    arena_deinit(&arena);
    return 0;
}
