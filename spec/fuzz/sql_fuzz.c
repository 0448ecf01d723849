/* Any text as SQL: refused with a sentence, or compiled and run over small tables, within its budget. As a query of whole
 * rows its bounds hold for every row it matches; as a statement it reads, or changes rows in a transaction that is taken
 * back. */
#include "sats/bsatn.h"
#include "schema/migration.h"
#include "sql/query.h"
#include "sql/statement.h"

struct world {
    struct schema *schema;
    struct store store;
    struct txn *txn;
};

/* t(a u32, s string, f f32, who Identity, b bool, o option<u8>, d bytes, a2 u32): every way a column is compared. */
static const struct type *row_type(struct arena *arena)
{
    const struct type *u32 = type_scalar(TYPE_U32);
    const struct type_field fields[] = {
        { BYTES_LITERAL("a"), u32 },
        { BYTES_LITERAL("s"), type_scalar(TYPE_STRING) },
        { BYTES_LITERAL("f"), type_scalar(TYPE_F32) },
        { BYTES_LITERAL("who"), type_special(SPECIAL_IDENTITY) },
        { BYTES_LITERAL("b"), type_scalar(TYPE_BOOL) },
        { BYTES_LITERAL("o"), type_option(arena, type_scalar(TYPE_U8)) },
        { BYTES_LITERAL("d"), type_bytes() },
        { BYTES_LITERAL("a2"), u32 },
    };
    return type_product(arena, fields, COUNTOF(fields));
}

/* An index over one column, by its number; it has no name of its own. */
static void put_index(struct buf *def, uint16_t column)
{
    buf_put_u8(def, 1); /* no name */
    buf_put_u8(def, 1); /* no accessor */
    buf_put_u8(def, 0); /* B-tree */
    buf_put_u32(def, 1);
    buf_put_u16(def, column);
}

static void put_table(struct buf *def, const char *name)
{
    buf_put_sized(def, bytes_of_text(name));
    buf_put_u32(def, 0); /* type 0 */
    buf_put_u32(def, 0); /* no primary key */
    buf_put_u32(def, 2);
    put_index(def, 0);
    put_index(def, 1);
    buf_put_u32(def, 0); /* no constraints */
    buf_put_u32(def, 0); /* no sequences */
    buf_put_u8(def, 1);  /* a user's */
    buf_put_u8(def, 0);  /* public */
    buf_put_u32(def, 0); /* no defaults */
    buf_put_u8(def, 0);  /* no event table */
}

static struct schema *make_schema(void)
{
    struct arena arena;
    struct buf def;
    arena_init(&arena);
    buf_init(&def);
    buf_put_u32(&def, 2);
    buf_put_u8(&def, 0); /* Typespace */
    buf_put_u32(&def, 1);
    type_encode(&def, row_type(&arena));
    buf_put_u8(&def, 2); /* Tables */
    buf_put_u32(&def, 2);
    put_table(&def, "t");
    put_table(&def, "u");

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

static void make_world(struct world *world)
{
    enum { ROWS = 12 };
    static const struct txn_limits limits = { 1000, 1 << 20 };
    struct diag diag;
    struct buf row = { 0 };
    world->schema = make_schema();
    store_init(&world->store);
    struct migration plan;
    struct arena arena;
    arena_init(&arena);
    check(migration_plan(&arena, NULL, world->schema, &plan, &diag) == OK);
    check(store_migrate(&world->store, world->schema, &plan, NULL, &diag) == OK);
    arena_deinit(&arena);
    world->txn = txn_new(&world->store, &limits);
    txn_begin(world->txn);
    for (uint32_t seed = 0; seed < ROWS; seed++)
        for (uint32_t idx = 0; idx < world->store.table_count; idx++) {
            rowref stored;
            put_row(&row, seed);
            check(txn_insert(world->txn, world->store.tables[idx], buf_bytes(&row), &stored, &diag) == OK);
        }
    txn_commit(world->txn);
    txn_end(world->txn);
    buf_deinit(&row);
}

static struct budget budget_make(struct diag *diag)
{
    struct budget budget = { .rows_max = 20000, .bytes_max = 1 << 20, .time_max_us = 1000000, .diag = diag };
    budget_begin(&budget);
    return budget;
}

/* ---- as a query of whole rows ---- */

static const uint8_t *column_at(const struct table_def *table, const uint8_t *row, uint16_t column)
{
    for (uint16_t idx = 0; idx < column; idx++)
        row += bsatn_size(table->columns[idx].type, row);
    return row;
}

static bool is_within(const struct query *query, const struct query_range *range, const uint8_t *row)
{
    const struct type *type = query->table->columns[range->column].type;
    const uint8_t *at = column_at(query->table, row, range->column);
    return (!range->has_lower || bsatn_compare(type, at, range->lower.at) >= !range->lower_inclusive) &&
           (!range->has_upper || -bsatn_compare(type, at, range->upper.at) >= !range->upper_inclusive);
}

static void check_gates(const struct query *query, const uint8_t *row)
{
    const struct query_gates *gates = &query->filter.gates;
    bool passes = gates->count == 0;
    for (uint32_t idx = 0; idx < gates->count; idx++)
        passes |= is_within(query, &gates->ranges[idx], row);
    check(passes);
}

static void check_bounds(const struct query *query, const uint8_t *row)
{
    const struct query_filter *filter = &query->filter;
    for (uint32_t idx = 0; idx < filter->equality_count; idx++) {
        const struct query_equality *equality = &filter->equalities[idx];
        check(memcmp(column_at(query->table, row, equality->column), equality->value.at, equality->value.size) == 0);
    }
    for (uint32_t idx = 0; idx < filter->range_count; idx++)
        check(is_within(query, &filter->ranges[idx], row));
}

static void check_matches(const struct query *query)
{
    struct buf row;
    buf_init(&row);
    for (uint32_t seed = 0; seed < 120; seed++) {
        put_row(&row, seed);
        if (!query_matches(query, row.data))
            continue;
        check(!query->filter.never);
        check_bounds(query, row.data);
        check_gates(query, row.data);
    }
    buf_deinit(&row);
}

static bool check_row(void *context, bytes row)
{
    const struct type *type = context;
    size_t used;
    struct diag diag;
    check(bsatn_check(type, row, &used, &diag) == OK && used == row.size);
    return true;
}

static void run_query(const struct world *world, bytes text, const struct query_caller *caller)
{
    struct diag diag = { 0 };
    struct query *query;
    const err code = query_compile(&query, text, world->schema, caller, QUERY_SUBSCRIBED, &diag);
    if (code != OK) {
        check(query == NULL && diag.code == code && diag.text[0] != '\0');
        return;
    }
    if (query->join == NULL)
        check_matches(query);
    struct budget budget = budget_make(&diag);
    (void)query_run(query, &world->store, &budget, check_row, (void *)query->table->row_type);
    query_free(query);
}

/* ---- as a statement ---- */

static void run_select(const struct world *world, const struct statement *statement, struct budget *budget)
{
    const err code = select_run(statement->select, &world->store, budget, check_row,
                                (void *)statement->select->row_type);
    check(code == OK || budget->diag->text[0] != '\0');
}

static void run_change(const struct world *world, const struct statement *statement, struct budget *budget)
{
    struct change_counts counts;
    txn_begin(world->txn);
    const err code = change_run(statement->change, world->txn, budget, &counts);
    check(code == OK || budget->diag->text[0] != '\0');
    txn_abort(world->txn);
    txn_end(world->txn);
}

static void run_statement(const struct world *world, bytes text, const struct query_caller *caller)
{
    struct diag diag = { 0 };
    struct statement *statement;
    const err code = statement_compile(&statement, text, world->schema, caller, NULL, &diag);
    if (code != OK) {
        check(statement == NULL && diag.code == code && diag.text[0] != '\0');
        return;
    }
    struct budget budget = budget_make(&diag);
    struct buf lines = { 0 };
    if (statement->kind == STATEMENT_SELECT || statement->change != NULL)
        statement_explain(&lines, statement, &world->store);
    buf_deinit(&lines);
    if (statement->kind == STATEMENT_SELECT)
        run_select(world, statement, &budget);
    else if (statement->change != NULL)
        run_change(world, statement, &budget);
    statement_free(statement);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    if (world.schema == NULL)
        make_world(&world);
    const struct query_caller caller = { .is_owner = true };
    run_query(&world, bytes_of(data, size), &caller);
    run_statement(&world, bytes_of(data, size), &caller);
    return 0;
}
