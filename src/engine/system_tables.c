#include "engine/system_tables.h"

#include "engine/record.h"
#include "sql/query.h"

/* ---- what they look like ---- */

/* Types of columns that have no name of their own. */
enum column_kind { OF_SCALAR, OF_BYTES, OF_SOME_COLUMNS, OF_SOME_ID, OF_ALGORITHM, OF_CONSTRAINT, OF_VALUE };

struct system_column {
    const char *name;
    enum column_kind kind;
    enum type_kind scalar;
};

struct system_table {
    uint32_t id;
    const char *name;
    enum table_access access;
    struct system_column columns[10];
    void (*fill)(struct system_tables_maker *maker, struct table *table);
};

static const struct system_table system_tables[SYSTEM_TABLES_MAX];

static const struct type *columns_type(struct arena *arena)
{
    return type_array(arena, type_scalar(TYPE_U16));
}

static const struct type *columns_product(struct arena *arena)
{
    const struct type_field field = { BYTES_LITERAL("columns"), columns_type(arena) };
    return type_product(arena, &field, 1);
}

static const struct type *algorithm_type(struct arena *arena)
{
    const struct type_field column = { BYTES_LITERAL("column"), type_scalar(TYPE_U16) };
    const struct type_field variants[] = {
        { BYTES_LITERAL("Unused"), type_unit() },
        { BYTES_LITERAL("BTree"), columns_product(arena) },
        { BYTES_LITERAL("Direct"), type_product(arena, &column, 1) },
        { BYTES_LITERAL("Hash"), columns_product(arena) },
    };
    return type_sum(arena, variants, COUNTOF(variants));
}

static const struct type *constraint_type(struct arena *arena)
{
    const struct type_field variants[] = {
        { BYTES_LITERAL("Unused"), type_unit() },
        { BYTES_LITERAL("Unique"), columns_product(arena) },
    };
    return type_sum(arena, variants, COUNTOF(variants));
}

enum { VALUE_U64 = 8 }; /* its place among the variants */

static const struct type *value_type(struct arena *arena)
{
    const struct type_field variants[] = {
        { BYTES_LITERAL("Bool"), type_scalar(TYPE_BOOL) }, { BYTES_LITERAL("I8"), type_scalar(TYPE_I8) },
        { BYTES_LITERAL("U8"), type_scalar(TYPE_U8) },     { BYTES_LITERAL("I16"), type_scalar(TYPE_I16) },
        { BYTES_LITERAL("U16"), type_scalar(TYPE_U16) },   { BYTES_LITERAL("I32"), type_scalar(TYPE_I32) },
        { BYTES_LITERAL("U32"), type_scalar(TYPE_U32) },   { BYTES_LITERAL("I64"), type_scalar(TYPE_I64) },
        { BYTES_LITERAL("U64"), type_scalar(TYPE_U64) },   { BYTES_LITERAL("I128"), type_scalar(TYPE_I128) },
        { BYTES_LITERAL("U128"), type_scalar(TYPE_U128) }, { BYTES_LITERAL("F32"), type_scalar(TYPE_F32) },
        { BYTES_LITERAL("F64"), type_scalar(TYPE_F64) },   { BYTES_LITERAL("String"), type_scalar(TYPE_STRING) },
    };
    return type_sum(arena, variants, COUNTOF(variants));
}

static const struct type *type_of(struct arena *arena, const struct system_column *column)
{
    switch (column->kind) {
    case OF_SCALAR: return type_scalar(column->scalar);
    case OF_BYTES: return type_bytes();
    case OF_SOME_COLUMNS: return type_option(arena, columns_type(arena));
    case OF_SOME_ID: return type_option(arena, type_scalar(TYPE_U32));
    case OF_ALGORITHM: return algorithm_type(arena);
    case OF_CONSTRAINT: return constraint_type(arena);
    case OF_VALUE: return value_type(arena);
    }
    unreachable();
}

static uint32_t column_count(const struct system_table *spec)
{
    uint32_t count = 0;
    while (count < COUNTOF(spec->columns) && spec->columns[count].name != NULL)
        count++;
    return count;
}

static struct table_def *def_make(struct arena *arena, const struct system_table *spec)
{
    struct table_def *def = ARENA_NEW(arena, struct table_def);
    struct type_field fields[COUNTOF(spec->columns)];
    *def = (struct table_def){ .id = spec->id,
                               .name = bytes_of_text(spec->name),
                               .access = spec->access,
                               .primary_key = SCHEMA_NO_COLUMN,
                               .schedule = -1,
                               .column_count = column_count(spec) };
    def->columns = ARENA_ARRAY(arena, struct column_def, def->column_count);
    int32_t offset = 0;
    for (uint32_t idx = 0; idx < def->column_count; idx++) {
        fields[idx] = (struct type_field){ bytes_of_text(spec->columns[idx].name), type_of(arena, &spec->columns[idx]) };
        def->columns[idx] = (struct column_def){ .name = fields[idx].name, .type = fields[idx].type, .offset = offset };
        const bool is_fixed = offset >= 0 && fields[idx].type->fixed_size != TYPE_VARIABLE;
        offset = is_fixed ? offset + fields[idx].type->fixed_size : -1;
    }
    def->row_type = type_product(arena, fields, def->column_count);
    return def;
}

/* ---- what is in them ---- */

static void add_row(struct table *table, struct buf *row)
{
    if (row->size <= ROW_SIZE_MAX)
        table_restore(table, buf_bytes(row));
    buf_clear(row);
}

static void put_text(struct buf *row, const char *text)
{
    buf_put_sized(row, bytes_of_text(text));
}

static void put_columns(struct buf *row, const uint16_t *columns, uint32_t count)
{
    buf_put_u32(row, count);
    buf_put(row, columns, sizeof *columns * count);
}

static void put_i128(struct buf *row, __int128 value)
{
    buf_put(row, &value, sizeof value);
}

static void put_type(struct buf *row, const struct type *type)
{
    struct buf encoded;
    buf_init(&encoded);
    type_encode(&encoded, type);
    buf_put_sized(row, buf_bytes(&encoded));
    buf_deinit(&encoded);
}

static void fill_tables(struct system_tables_maker *maker, struct table *table)
{
    const struct schema *schema = maker->facts.schema;
    struct buf row = { 0 };
    for (uint32_t idx = 0; idx < SYSTEM_TABLES_MAX + schema->table_count; idx++) {
        const bool is_user = idx >= SYSTEM_TABLES_MAX;
        const struct table_def *def = is_user ? &schema->tables[idx - SYSTEM_TABLES_MAX] : NULL;
        const struct system_table *spec = is_user ? NULL : &system_tables[idx];
        const int32_t key = is_user ? def->primary_key : SCHEMA_NO_COLUMN;
        buf_put_u32(&row, is_user ? def->id : spec->id);
        buf_put_sized(&row, is_user ? def->name : bytes_of_text(spec->name));
        put_text(&row, is_user ? "user" : "system");
        put_text(&row, (is_user ? def->access : spec->access) == ACCESS_PUBLIC ? "public" : "private");
        buf_put_u8(&row, key < 0);
        if (key >= 0)
            put_columns(&row, (const uint16_t[]){ (uint16_t)key }, 1);
        add_row(table, &row);
    }
    buf_deinit(&row);
}

static void add_columns(struct table *table, const struct table_def *def, uint32_t id, struct buf *row)
{
    for (uint32_t idx = 0; idx < def->column_count; idx++) {
        buf_put_u32(row, id);
        buf_put_u16(row, (uint16_t)idx);
        buf_put_sized(row, def->columns[idx].name);
        put_type(row, def->columns[idx].type);
        add_row(table, row);
    }
}

static void fill_columns(struct system_tables_maker *maker, struct table *table)
{
    const struct schema *schema = maker->facts.schema;
    struct buf row = { 0 };
    for (uint32_t idx = 0; idx < SYSTEM_TABLES_MAX; idx++)
        add_columns(table, def_make(&maker->arena, &system_tables[idx]), system_tables[idx].id, &row);
    for (uint32_t idx = 0; idx < schema->table_count; idx++)
        add_columns(table, &schema->tables[idx], schema->tables[idx].id, &row);
    buf_deinit(&row);
}

static void fill_sequences(struct system_tables_maker *maker, struct table *table)
{
    const struct schema *schema = maker->facts.schema;
    struct buf row = { 0 };
    for (uint32_t place = 0; place < schema->table_count; place++) {
        const struct table_def *def = &schema->tables[place];
        const struct table *stored = maker->facts.store != NULL ? store_find(maker->facts.store, def->id) : NULL;
        for (uint32_t idx = 0; idx < def->sequence_count; idx++) {
            const struct sequence_def *sequence = &def->sequences[idx];
            buf_put_u32(&row, sequence->id);
            buf_put_sized(&row, sequence->name);
            buf_put_u32(&row, def->id);
            buf_put_u16(&row, sequence->column);
            put_i128(&row, sequence->increment);
            put_i128(&row, sequence->start);
            put_i128(&row, sequence->min);
            put_i128(&row, sequence->max);
            put_i128(&row, stored != NULL ? stored->sequences[idx].reserved : sequence->start);
            add_row(table, &row);
        }
    }
    buf_deinit(&row);
}

static void put_algorithm(struct buf *row, const struct index_def *index)
{
    enum { BTREE = 1, DIRECT, HASH };
    if (index->kind == INDEX_DIRECT) {
        buf_put_u8(row, DIRECT);
        buf_put_u16(row, index->columns[0]);
        return;
    }
    buf_put_u8(row, index->kind == INDEX_HASH ? HASH : BTREE);
    put_columns(row, index->columns, index->column_count);
}

static void fill_indexes(struct system_tables_maker *maker, struct table *table)
{
    const struct schema *schema = maker->facts.schema;
    struct buf row = { 0 };
    for (uint32_t place = 0; place < schema->table_count; place++)
        for (uint32_t idx = 0; idx < schema->tables[place].index_count; idx++) {
            const struct index_def *index = &schema->tables[place].indexes[idx];
            buf_put_u32(&row, index->id);
            buf_put_u32(&row, schema->tables[place].id);
            buf_put_sized(&row, index->name);
            put_algorithm(&row, index);
            add_row(table, &row);
        }
    buf_deinit(&row);
}

/* A unique constraint is its index (S2). */
static void fill_constraints(struct system_tables_maker *maker, struct table *table)
{
    enum { UNIQUE = 1 };
    const struct schema *schema = maker->facts.schema;
    struct buf row = { 0 };
    for (uint32_t place = 0; place < schema->table_count; place++)
        for (uint32_t idx = 0; idx < schema->tables[place].index_count; idx++) {
            const struct index_def *index = &schema->tables[place].indexes[idx];
            if (!index->unique)
                continue;
            buf_put_u32(&row, index->id);
            buf_put_sized(&row, index->name);
            buf_put_u32(&row, schema->tables[place].id);
            buf_put_u8(&row, UNIQUE);
            put_columns(&row, index->columns, index->column_count);
            add_row(table, &row);
        }
    buf_deinit(&row);
}

static void fill_module(struct system_tables_maker *maker, struct table *table)
{
    enum { KIND_SCRIPT = 1 };
    struct record record;
    struct diag diag;
    struct buf row = { 0 };
    if (maker->facts.database == NULL || maker->facts.publish.size == 0 || record_decode(maker->facts.publish, &record, &diag) != OK)
        return;
    buf_put(&row, maker->facts.database->at, sizeof maker->facts.database->at);
    buf_put(&row, maker->facts.owner.at, sizeof maker->facts.owner.at);
    buf_put_u8(&row, KIND_SCRIPT);
    buf_put(&row, record.hash, sizeof record.hash);
    buf_put_sized(&row, maker->facts.shows_program ? record.files : bytes_of("", 0));
    put_text(&row, "");
    add_row(table, &row);
    buf_deinit(&row);
}

void system_client_put(struct buf *clients, const struct caller *caller)
{
    buf_put(clients, caller->who.at, sizeof caller->who.at);
    buf_put(clients, caller->connection.at, sizeof caller->connection.at);
}

static void fill_clients(struct system_tables_maker *maker, struct table *table)
{
    enum { CLIENT_SIZE = sizeof(identity) + sizeof(connection_id) };
    struct buf clients = { 0 };
    maker->facts.list_clients(maker->facts.context, &clients);
    for (size_t at = 0; at < clients.size; at += CLIENT_SIZE) {
        const bytes row = bytes_of(clients.data + at, CLIENT_SIZE);
        if (table_find_equal(table, row) == ROWREF_NONE)
            table_restore(table, row);
    }
    buf_deinit(&clients);
}

static void fill_variables(struct system_tables_maker *maker, struct table *table)
{
    struct buf row = { 0 };
    if (maker->facts.row_limit == 0)
        return;
    put_text(&row, "row_limit");
    buf_put_u8(&row, VALUE_U64);
    buf_put_u64(&row, maker->facts.row_limit);
    add_row(table, &row);
    buf_deinit(&row);
}

static void fill_schedules(struct system_tables_maker *maker, struct table *table)
{
    const struct schema *schema = maker->facts.schema;
    struct buf row = { 0 };
    for (uint32_t idx = 0; idx < schema->schedule_count; idx++) {
        const struct schedule_def *schedule = &schema->schedules[idx];
        buf_put_u32(&row, schedule->id);
        buf_put_u32(&row, schema->tables[schedule->table].id);
        buf_put_sized(&row, schema->reducers[schedule->reducer].name);
        buf_put_sized(&row, schedule->name);
        buf_put_u16(&row, schedule->at_column);
        add_row(table, &row);
    }
    buf_deinit(&row);
}

/* A filter is about the table whose rows it gives: the one that its text names. */
static void fill_filters(struct system_tables_maker *maker, struct table *table)
{
    const struct schema *schema = maker->facts.schema;
    const struct query_caller owner = { .is_owner = true };
    struct buf row = { 0 };
    for (uint32_t idx = 0; idx < schema->filter_count; idx++) {
        struct query *query;
        struct diag diag;
        if (query_compile(&query, schema->filters[idx], schema, &owner, QUERY_ONCE, &diag) != OK)
            continue;
        buf_put_u32(&row, query->table->id);
        buf_put_sized(&row, schema->filters[idx]);
        add_row(table, &row);
        query_free(query);
    }
    buf_deinit(&row);
}

static void fill_views(struct system_tables_maker *maker, struct table *table)
{
    const struct schema *schema = maker->facts.schema;
    struct buf row = { 0 };
    for (uint32_t idx = 0; idx < schema->view_count; idx++) {
        const struct view_def *view = &schema->views[idx];
        buf_put_u32(&row, view->rows.id);
        buf_put_sized(&row, view->rows.name);
        buf_put_u8(&row, 0); /* some: its rows are known by the same id */
        buf_put_u32(&row, view->rows.id);
        buf_put_u8(&row, view->rows.access == ACCESS_PUBLIC);
        buf_put_u8(&row, view->is_anonymous);
        add_row(table, &row);
    }
    buf_deinit(&row);
}

static void fill_view_columns(struct system_tables_maker *maker, struct table *table)
{
    const struct schema *schema = maker->facts.schema;
    struct buf row = { 0 };
    for (uint32_t idx = 0; idx < schema->view_count; idx++)
        add_columns(table, &schema->views[idx].rows, schema->views[idx].rows.id, &row);
    buf_deinit(&row);
}

static void fill_event_tables(struct system_tables_maker *maker, struct table *table)
{
    const struct schema *schema = maker->facts.schema;
    struct buf row = { 0 };
    for (uint32_t idx = 0; idx < schema->table_count; idx++) {
        if (!schema->tables[idx].is_event)
            continue;
        buf_put_u32(&row, schema->tables[idx].id);
        add_row(table, &row);
    }
    buf_deinit(&row);
}

/* Tables and columns have one name here, which is both. */
static void fill_table_accessors(struct system_tables_maker *maker, struct table *table)
{
    const struct schema *schema = maker->facts.schema;
    struct buf row = { 0 };
    for (uint32_t idx = 0; idx < schema->table_count; idx++) {
        buf_put_sized(&row, schema->tables[idx].name);
        buf_put_sized(&row, schema->tables[idx].name);
        add_row(table, &row);
    }
    buf_deinit(&row);
}

static void fill_index_accessors(struct system_tables_maker *maker, struct table *table)
{
    const struct schema *schema = maker->facts.schema;
    struct buf row = { 0 };
    for (uint32_t place = 0; place < schema->table_count; place++)
        for (uint32_t idx = 0; idx < schema->tables[place].index_count; idx++) {
            buf_put_sized(&row, schema->tables[place].indexes[idx].name);
            buf_put_sized(&row, schema->tables[place].indexes[idx].accessor);
            add_row(table, &row);
        }
    buf_deinit(&row);
}

static void fill_column_accessors(struct system_tables_maker *maker, struct table *table)
{
    const struct schema *schema = maker->facts.schema;
    struct buf row = { 0 };
    for (uint32_t place = 0; place < schema->table_count; place++)
        for (uint32_t idx = 0; idx < schema->tables[place].column_count; idx++) {
            buf_put_sized(&row, schema->tables[place].name);
            buf_put_sized(&row, schema->tables[place].columns[idx].name);
            buf_put_sized(&row, schema->tables[place].columns[idx].name);
            add_row(table, &row);
        }
    buf_deinit(&row);
}

/* ---- views at work ---- */

static void list_view_uses(const struct system_tables_maker *maker, struct buf *uses)
{
    if (maker->facts.list_view_uses != NULL)
        maker->facts.list_view_uses(maker->facts.context, uses);
}

/* What a view is called with: nothing, or who looks. */
static bytes argument_of(const struct system_view_use *use)
{
    return bytes_of(use->who.at, use->is_anonymous ? 0 : sizeof use->who.at);
}

/* Arguments are numbered in the order in which they are listed, which is the same for both tables. */
static uint64_t number_argument(struct map *numbers, bytes argument, bool *is_new)
{
    uint64_t number = (uintptr_t)map_find(numbers, argument);
    *is_new = number == 0;
    if (*is_new) {
        number = numbers->count + 1;
        map_put(numbers, argument, (void *)(uintptr_t)number);
    }
    return number;
}

static void put_view_argument(struct buf *row, uint64_t number, bytes argument)
{
    buf_put_u64(row, number);
    buf_put_sized(row, argument);
}

static void put_view_use(struct buf *row, uint64_t argument, const struct system_view_use *use)
{
    buf_put_u32(row, use->view_id);
    buf_put_u64(row, argument);
    buf_put(row, use->who.at, sizeof use->who.at);
    buf_put_u64(row, use->subscribers);
    buf_put_u8(row, use->subscribers > 0);
    buf_put_u64(row, (uint64_t)use->called_us);
}

static void fill_view_uses(struct system_tables_maker *maker, struct table *table, bool arguments)
{
    struct buf uses = { 0 }, row = { 0 };
    struct map numbers;
    map_init(&numbers);
    list_view_uses(maker, &uses);
    for (size_t idx = 0; idx < uses.size / sizeof(struct system_view_use); idx++) {
        const struct system_view_use *use = (const struct system_view_use *)uses.data + idx;
        bool is_new;
        const uint64_t number = number_argument(&numbers, argument_of(use), &is_new);
        if (!arguments)
            put_view_use(&row, number, use);
        else if (is_new)
            put_view_argument(&row, number, argument_of(use));
        if (row.size > 0)
            add_row(table, &row);
    }
    map_deinit(&numbers);
    buf_deinit(&uses);
    buf_deinit(&row);
}

static void fill_view_subscribers(struct system_tables_maker *maker, struct table *table)
{
    fill_view_uses(maker, table, false);
}

static void fill_view_arguments(struct system_tables_maker *maker, struct table *table)
{
    fill_view_uses(maker, table, true);
}

/* Views have no parameters, and tokens are not kept. */
static void fill_nothing(struct system_tables_maker *maker, struct table *table)
{
    (void)maker;
    (void)table;
}

#define ID(name) { name, OF_SCALAR, TYPE_U32 }
#define PLACE(name) { name, OF_SCALAR, TYPE_U16 }
#define TEXT(name) { name, OF_SCALAR, TYPE_STRING }
#define FLAG(name) { name, OF_SCALAR, TYPE_BOOL }
#define WIDE(name) { name, OF_SCALAR, TYPE_I128 }
#define HUGE(name) { name, OF_SCALAR, TYPE_U256 }
#define DATA(name) { name, OF_BYTES, TYPE_ARRAY }

/* clang-format off */
static const struct system_table system_tables[SYSTEM_TABLES_MAX] = {
    { 1, "st_table", ACCESS_PUBLIC, { ID("table_id"), TEXT("table_name"), TEXT("table_type"), TEXT("table_access"),
        { "table_primary_key", OF_SOME_COLUMNS, TYPE_SUM } }, fill_tables },
    { 2, "st_column", ACCESS_PUBLIC, { ID("table_id"), PLACE("col_pos"), TEXT("col_name"), DATA("col_type") },
        fill_columns },
    { 3, "st_sequence", ACCESS_PUBLIC, { ID("sequence_id"), TEXT("sequence_name"), ID("table_id"), PLACE("col_pos"),
        WIDE("increment"), WIDE("start"), WIDE("min_value"), WIDE("max_value"), WIDE("allocated") }, fill_sequences },
    { 4, "st_index", ACCESS_PUBLIC, { ID("index_id"), ID("table_id"), TEXT("index_name"),
        { "index_algorithm", OF_ALGORITHM, TYPE_SUM } }, fill_indexes },
    { 5, "st_constraint", ACCESS_PUBLIC, { ID("constraint_id"), TEXT("constraint_name"), ID("table_id"),
        { "constraint_data", OF_CONSTRAINT, TYPE_SUM } }, fill_constraints },
    { 6, "st_module", ACCESS_PUBLIC, { HUGE("database_identity"), HUGE("owner_identity"),
        { "program_kind", OF_SCALAR, TYPE_U8 }, HUGE("program_hash"), DATA("program_bytes"), TEXT("module_version") },
        fill_module },
    { 7, "st_client", ACCESS_PUBLIC, { HUGE("identity"), { "connection_id", OF_SCALAR, TYPE_U128 } }, fill_clients },
    { 8, "st_var", ACCESS_PUBLIC, { TEXT("name"), { "value", OF_VALUE, TYPE_SUM } }, fill_variables },
    { 9, "st_scheduled", ACCESS_PUBLIC, { ID("schedule_id"), ID("table_id"), TEXT("reducer_name"),
        TEXT("schedule_name"), PLACE("at_column") }, fill_schedules },
    { 10, "st_row_level_security", ACCESS_PUBLIC, { ID("table_id"), TEXT("sql") }, fill_filters },
    { 11, "st_connection_credentials", ACCESS_PRIVATE, { { "connection_id", OF_SCALAR, TYPE_U128 },
        TEXT("jwt_payload") }, fill_nothing },
    { 12, "st_view", ACCESS_PUBLIC, { ID("view_id"), TEXT("view_name"), { "table_id", OF_SOME_ID, TYPE_SUM },
        FLAG("is_public"), FLAG("is_anonymous") }, fill_views },
    { 13, "st_view_param", ACCESS_PUBLIC, { ID("view_id"), PLACE("param_pos"), TEXT("param_name"),
        DATA("param_type") }, fill_nothing },
    { 14, "st_view_column", ACCESS_PUBLIC, { ID("view_id"), PLACE("col_pos"), TEXT("col_name"), DATA("col_type") },
        fill_view_columns },
    { 15, "st_view_sub", ACCESS_PUBLIC, { ID("view_id"), { "arg_id", OF_SCALAR, TYPE_U64 }, HUGE("identity"),
        { "num_subscribers", OF_SCALAR, TYPE_U64 }, FLAG("has_subscribers"), { "last_called", OF_SCALAR, TYPE_I64 } },
        fill_view_subscribers },
    { 16, "st_view_arg", ACCESS_PUBLIC, { { "id", OF_SCALAR, TYPE_U64 }, DATA("bytes") },
        fill_view_arguments },
    { 17, "st_event_table", ACCESS_PUBLIC, { ID("table_id") }, fill_event_tables },
    { 18, "st_table_accessor", ACCESS_PUBLIC, { TEXT("table_name"), TEXT("accessor_name") }, fill_table_accessors },
    { 19, "st_index_accessor", ACCESS_PUBLIC, { TEXT("index_name"), TEXT("accessor_name") }, fill_index_accessors },
    { 20, "st_column_accessor", ACCESS_PUBLIC, { TEXT("table_name"), TEXT("col_name"), TEXT("accessor_name") },
        fill_column_accessors },
};
/* clang-format on */

/* ---- making them ---- */

void system_tables_init(struct system_tables_maker *maker, const struct system_facts *facts)
{
    *maker = (struct system_tables_maker){ .facts = *facts };
    arena_init(&maker->arena);
}

void system_tables_deinit(struct system_tables_maker *maker)
{
    for (uint32_t idx = 0; idx < SYSTEM_TABLES_MAX; idx++)
        table_free(maker->made[idx]);
    arena_deinit(&maker->arena);
}

static const struct table *find(void *context, bytes name)
{
    struct system_tables_maker *maker = context;
    for (uint32_t idx = 0; idx < SYSTEM_TABLES_MAX; idx++) {
        if (!bytes_equal_text(name, system_tables[idx].name))
            continue;
        if (maker->made[idx] == NULL) {
            maker->made[idx] = table_new(def_make(&maker->arena, &system_tables[idx]));
            system_tables[idx].fill(maker, maker->made[idx]);
        }
        return maker->made[idx];
    }
    return NULL;
}

struct made_tables system_tables_of(struct system_tables_maker *maker)
{
    return (struct made_tables){ maker, find };
}
