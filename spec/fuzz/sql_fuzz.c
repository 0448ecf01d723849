/* Any text as a query: refused with a sentence, or compiled, and then its bounds hold for every row it matches. */
#include "sats/bsatn.h"
#include "sql/query.h"

/* t(a u32, s string, f f32, who Identity, b bool, o option<u8>, d bytes, a2 u32): every way a column is compared. */
static struct schema *make_schema(void)
{
    struct arena arena;
    arena_init(&arena);
    const struct type *u32 = type_scalar(TYPE_U32);
    const struct type_field fields[] = {
        { BYTES_LITERAL("a"), u32 },
        { BYTES_LITERAL("s"), type_scalar(TYPE_STRING) },
        { BYTES_LITERAL("f"), type_scalar(TYPE_F32) },
        { BYTES_LITERAL("who"), type_special(SPECIAL_IDENTITY) },
        { BYTES_LITERAL("b"), type_scalar(TYPE_BOOL) },
        { BYTES_LITERAL("o"), type_option(&arena, type_scalar(TYPE_U8)) },
        { BYTES_LITERAL("d"), type_bytes() },
        { BYTES_LITERAL("a2"), u32 },
    };
    struct buf def;
    buf_init(&def);
    buf_put_u32(&def, 2);
    buf_put_u8(&def, 0); /* Typespace */
    buf_put_u32(&def, 1);
    type_encode(&def, type_product(&arena, fields, COUNTOF(fields)));
    buf_put_u8(&def, 2); /* Tables */
    buf_put_u32(&def, 1);
    buf_put_sized(&def, BYTES_LITERAL("t"));
    for (uint32_t idx = 0; idx < 5; idx++) /* type 0; no key, indexes, constraints, sequences */
        buf_put_u32(&def, 0);
    buf_put_u8(&def, 1); /* a user's */
    buf_put_u8(&def, 0); /* public */
    buf_put_u32(&def, 0);
    buf_put_u8(&def, 0);

    struct diag diag;
    struct schema *schema;
    check(schema_build(buf_bytes(&def), NULL, &schema, NULL, &diag) == OK);
    buf_deinit(&def);
    arena_deinit(&arena);
    return schema;
}

static void put_row(struct buf *out, uint32_t seed)
{
    static const char *const texts[] = { "", "a", "ab", "x'y" };
    static const float floats[] = { 0.0f, -0.0f, 1.5f, -2.0f };
    buf_clear(out);
    buf_put_u32(out, seed % 3);
    buf_put_sized(out, bytes_of_text(texts[seed % 4]));
    buf_put(out, &floats[seed / 2 % 4], sizeof(float));
    for (uint32_t idx = 0; idx < 32; idx++)
        buf_put_u8(out, (uint8_t)(seed % 2));
    buf_put_u8(out, seed / 3 % 2);
    buf_put_u8(out, 1); /* none */
    buf_put_sized(out, bytes_of_text(texts[seed / 4 % 4]));
    buf_put_u32(out, seed / 5 % 3);
}

static const uint8_t *column_at(const struct table_def *table, const uint8_t *row, uint16_t column)
{
    for (uint16_t idx = 0; idx < column; idx++)
        row += bsatn_size(table->columns[idx].type, row);
    return row;
}

static void check_bounds(const struct query *query, const uint8_t *row)
{
    for (uint32_t idx = 0; idx < query->filter.equality_count; idx++) {
        const struct query_equality *equality = &query->filter.equalities[idx];
        check(memcmp(column_at(query->table, row, equality->column), equality->value.at, equality->value.size) == 0);
    }
    for (uint32_t idx = 0; idx < query->filter.range_count; idx++) {
        const struct query_range *range = &query->filter.ranges[idx];
        const struct type *type = query->table->columns[range->column].type;
        const uint8_t *at = column_at(query->table, row, range->column);
        check(!range->has_lower || bsatn_compare(type, at, range->lower.at) >= !range->lower_inclusive);
        check(!range->has_upper || -bsatn_compare(type, at, range->upper.at) >= !range->upper_inclusive);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct schema *schema;
    if (schema == NULL)
        schema = make_schema();

    const struct query_caller caller = { .is_owner = true };
    struct diag diag = { 0 };
    struct query *query;
    const err e = query_compile(&query, bytes_of(data, size), schema, &caller, QUERY_ONCE, &diag);
    if (e != OK) {
        check(query == NULL && diag.code == e && diag.text[0] != '\0');
        return 0;
    }
    if (query->join != NULL) {
        query_free(query);
        return 0;
    }
    struct buf row;
    buf_init(&row);
    for (uint32_t seed = 0; seed < 120; seed++) {
        put_row(&row, seed);
        if (!query_matches(query, row.data))
            continue;
        check(!query->never);
        check_bounds(query, row.data);
    }
    buf_deinit(&row);
    query_free(query);
    return 0;
}
