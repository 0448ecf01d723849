/* One table of a description: checked against the rules, and made into a table_def. */
#include "base/text.h"
#include "sats/bsatn.h"
#include "schema/builder.h"

struct maker {
    struct builder *builder;
    struct def_table *raw;
    struct table_def *table;
    struct diag *diag;
};

bool builder_type_can_be_key(const struct type *type)
{
    switch (type->kind) {
    case TYPE_ARRAY: return type->element->kind == TYPE_U8;
    case TYPE_PRODUCT: return type->special != SPECIAL_NONE;
    case TYPE_SUM:
        return type_is_enum(type) || (type->special == SPECIAL_OPTION && builder_type_can_be_key(type->fields[0].type));
    case TYPE_REF: return false;
    case TYPE_STRING:
    case TYPE_BOOL:
    case TYPE_I8:
    case TYPE_U8:
    case TYPE_I16:
    case TYPE_U16:
    case TYPE_I32:
    case TYPE_U32:
    case TYPE_I64:
    case TYPE_U64:
    case TYPE_I128:
    case TYPE_U128:
    case TYPE_I256:
    case TYPE_U256:
    case TYPE_F32:
    case TYPE_F64: return true;
    }
    unreachable();
}

/* A direct index is an array: its keys are small natural numbers. */
static bool type_can_be_place(const struct type *type)
{
    return (type_is_integer(type) && !type_is_signed(type) && type->fixed_size <= 8) || type_is_enum(type);
}

err builder_make_columns(struct builder *builder, struct table_def *table)
{
    const struct type *row = table->row_type;
    if (row->count > SCHEMA_COLUMNS_MAX)
        return diag_set(builder->diag, ERR_SCHEMA, "it has %u columns, and %d is the most", (unsigned)row->count,
                        (int)SCHEMA_COLUMNS_MAX);

    table->column_count = row->count;
    table->columns = ARENA_ARRAY(&builder->schema->arena, struct column_def, row->count);
    int32_t offset = 0;
    for (uint32_t idx = 0; idx < row->count; idx++) {
        const struct type_field *field = &row->fields[idx];
        if (field->name.at == NULL)
            return diag_set(builder->diag, ERR_SCHEMA, "its column %u has no name", (unsigned)idx + 1);
        table->columns[idx] = (struct column_def){ .name = field->name, .type = field->type, .offset = offset };
        if (offset >= 0)
            offset = field->type->fixed_size == TYPE_VARIABLE ? -1 : offset + field->type->fixed_size;
    }
    return OK;
}

/* `columns` are there, and each only once. */
static err column_list_check(struct maker *maker, struct def_columns columns, const char *what)
{
    if (columns.count == 0)
        return diag_set(maker->diag, ERR_SCHEMA, "%s names no column", what);
    if (columns.count > SCHEMA_KEY_COLUMNS_MAX)
        return diag_set(maker->diag, ERR_SCHEMA, "%s has %u columns, and %d is the most", what, (unsigned)columns.count,
                        (int)SCHEMA_KEY_COLUMNS_MAX);
    for (uint32_t idx = 0; idx < columns.count; idx++) {
        if (columns.at[idx] >= maker->table->column_count)
            return diag_set(maker->diag, ERR_SCHEMA, "%s names column number %u, and the table has %u", what,
                            (unsigned)columns.at[idx] + 1, (unsigned)maker->table->column_count);
        for (uint32_t before = 0; before < idx; before++)
            if (columns.at[before] == columns.at[idx])
                return diag_set(maker->diag, ERR_SCHEMA, "%s names the column `%.*s` twice", what,
                                BYTES_FORMAT(maker->table->columns[columns.at[idx]].name));
    }
    return OK;
}

static err column_lists_check(struct maker *maker)
{
    const struct def_table *raw = maker->raw;
    if (raw->index_count > SCHEMA_INDEXES_MAX || raw->constraint_count > SCHEMA_INDEXES_MAX)
        return diag_set(maker->diag, ERR_SCHEMA, "it has more than %d indexes or unique constraints",
                        (int)SCHEMA_INDEXES_MAX);
    for (uint32_t idx = 0; idx < raw->index_count; idx++)
        TRY(column_list_check(maker, raw->indexes[idx].columns, "an index"));
    for (uint32_t idx = 0; idx < raw->constraint_count; idx++)
        TRY(column_list_check(maker, raw->constraints[idx].columns, "a unique constraint"));
    for (uint32_t idx = 0; idx < raw->sequence_count; idx++)
        TRY(column_list_check(maker, (struct def_columns){ 1, &raw->sequences[idx].column }, "a sequence"));
    for (uint32_t idx = 0; idx < raw->default_count; idx++)
        TRY(column_list_check(maker, (struct def_columns){ 1, &raw->defaults[idx].column }, "a default value"));
    if (raw->primary_key.count > 1)
        return diag_set(maker->diag, ERR_SCHEMA, "its primary key has %u columns: it may have one",
                        (unsigned)raw->primary_key.count);
    if (raw->primary_key.count == 1)
        TRY(column_list_check(maker, raw->primary_key, "the primary key"));
    return OK;
}

static bool same_columns(const uint16_t *left, uint32_t left_count, struct def_columns right)
{
    if (left_count != right.count)
        return false;
    for (uint32_t idx = 0; idx < left_count; idx++) {
        uint32_t place = 0;
        while (place < right.count && right.at[place] != left[idx])
            place++;
        if (place == right.count)
            return false;
    }
    return true; /* neither names a column twice */
}

static err index_make(struct maker *maker, const struct def_index *raw, struct index_def *index)
{
    struct builder *builder = maker->builder;
    const bytes accessor = raw->accessor.at != NULL ? raw->accessor : raw->name;
    TRY(builder_take_name(builder, raw->name, "an index"));
    TRY(identifier_check(accessor, "the accessor of an index", maker->diag));

    *index = (struct index_def){
        .name = raw->name, .accessor = accessor, .kind = raw->kind, .column_count = raw->columns.count
    };
    memcpy(index->columns, raw->columns.at, sizeof(uint16_t) * raw->columns.count);
    for (uint32_t idx = 0; idx < index->column_count; idx++) {
        const struct column_def *column = &maker->table->columns[index->columns[idx]];
        const bool fits = index->kind == INDEX_DIRECT ? type_can_be_place(column->type) : builder_type_can_be_key(column->type);
        if (!fits)
            return diag_set(maker->diag, ERR_SCHEMA,
                            "index `%.*s`: the type of column `%.*s`, %.*s, cannot be the key of %s",
                            BYTES_FORMAT(raw->name), BYTES_FORMAT(column->name),
                            BYTES_FORMAT(builder_type_text(builder, column->type)),
                            index->kind == INDEX_DIRECT ? "a direct index" : "an index");
    }
    for (uint32_t idx = 0; idx < maker->raw->constraint_count; idx++)
        if (same_columns(index->columns, index->column_count, maker->raw->constraints[idx].columns))
            index->unique = true;
    return OK;
}

static err indexes_make(struct maker *maker)
{
    struct table_def *table = maker->table;
    table->index_count = maker->raw->index_count;
    table->indexes = ARENA_ARRAY(&maker->builder->schema->arena, struct index_def, table->index_count);

    struct map accessors;
    map_init(&accessors);
    err e = OK;
    for (uint32_t idx = 0; idx < table->index_count && e == OK; idx++) {
        struct index_def *index = &table->indexes[idx];
        e = index_make(maker, &maker->raw->indexes[idx], index);
        if (e == OK && map_put(&accessors, index->accessor, index) != NULL)
            e = diag_set(maker->diag, ERR_SCHEMA, "two of its indexes have the accessor `%.*s`",
                         BYTES_FORMAT(index->accessor));
    }
    map_deinit(&accessors);
    return e;
}

/* S2 */
static err constraints_check(struct maker *maker)
{
    const struct table_def *table = maker->table;
    for (uint32_t place = 0; place < maker->raw->constraint_count; place++) {
        const struct def_constraint *constraint = &maker->raw->constraints[place];
        TRY(builder_take_name(maker->builder, constraint->name, "a unique constraint"));
        uint32_t idx = 0;
        while (idx < table->index_count &&
               !same_columns(table->indexes[idx].columns, table->indexes[idx].column_count, constraint->columns))
            idx++;
        if (idx == table->index_count)
            return diag_set(maker->diag, ERR_SCHEMA, "the unique constraint `%.*s` has no index over its columns",
                            BYTES_FORMAT(constraint->name));
    }
    return OK;
}

static bool column_is_unique(const struct table_def *table, uint16_t column)
{
    for (uint32_t idx = 0; idx < table->index_count; idx++)
        if (table->indexes[idx].unique && table->indexes[idx].column_count == 1 &&
            table->indexes[idx].columns[0] == column)
            return true;
    return false;
}

static err primary_key_make(struct maker *maker)
{
    struct table_def *table = maker->table;
    table->primary_key = SCHEMA_NO_COLUMN;
    if (maker->raw->primary_key.count == 0)
        return OK;
    table->primary_key = maker->raw->primary_key.at[0];
    if (column_is_unique(table, (uint16_t)table->primary_key))
        return OK;
    return diag_set(maker->diag, ERR_SCHEMA, "its primary key `%.*s` has no unique constraint",
                    BYTES_FORMAT(table->columns[table->primary_key].name));
}

/* The numbers a column holds, as far as a sequence can count. */
static void type_range(const struct type *type, __int128 *min, __int128 *max)
{
    const __int128 most = (__int128)(~(unsigned __int128)0 >> 1);
    const int bits = type->fixed_size * 8;
    if (type_is_signed(type)) {
        *max = bits >= 128 ? most : ((__int128)1 << (bits - 1)) - 1;
        *min = -*max - 1;
    } else {
        *max = bits >= 128 ? most : ((__int128)1 << bits) - 1;
        *min = 0;
    }
}

/* Upwards from 1 unless told otherwise, as zero means "give me the next"; downwards from -1, or from the
 * largest number where there is none below zero. */
static err sequence_make(struct maker *maker, const struct def_sequence *raw, struct sequence_def *sequence)
{
    const struct column_def *column = &maker->table->columns[raw->column];
    TRY(builder_take_name(maker->builder, raw->name, "a sequence"));
    if (!type_is_integer(column->type))
        return diag_set(maker->diag, ERR_SCHEMA,
                        "column `%.*s` has a sequence, but its type is %.*s: only integers count",
                        BYTES_FORMAT(column->name), BYTES_FORMAT(builder_type_text(maker->builder, column->type)));
    if (raw->increment == 0)
        return diag_set(maker->diag, ERR_SCHEMA, "the sequence of column `%.*s` has the increment 0",
                        BYTES_FORMAT(column->name));

    __int128 lowest, highest;
    type_range(column->type, &lowest, &highest);
    const bool upwards = raw->increment > 0;
    const bool below_zero = !upwards && type_is_signed(column->type);
    const __int128 min = raw->min.is_given ? raw->min.value : below_zero ? lowest : 1;
    const __int128 max = raw->max.is_given ? raw->max.value : below_zero ? -1 : highest;

    *sequence = (struct sequence_def){ .name = raw->name, .column = raw->column, .increment = raw->increment };
    sequence->min = min < lowest ? lowest : min;
    sequence->max = max > highest ? highest : max;
    sequence->start = raw->start.is_given ? raw->start.value : upwards ? sequence->min : sequence->max;
    if (sequence->min > sequence->start || sequence->start > sequence->max)
        return diag_set(maker->diag, ERR_SCHEMA, "the sequence of column `%.*s` does not start between its limits",
                        BYTES_FORMAT(column->name));
    return OK;
}

static err sequences_make(struct maker *maker)
{
    struct table_def *table = maker->table;
    table->sequence_count = maker->raw->sequence_count;
    table->sequences = ARENA_ARRAY(&maker->builder->schema->arena, struct sequence_def, table->sequence_count);
    bool seen[SCHEMA_COLUMNS_MAX] = { false };
    for (uint32_t idx = 0; idx < table->sequence_count; idx++) {
        const uint16_t column = maker->raw->sequences[idx].column;
        if (seen[column])
            return diag_set(maker->diag, ERR_SCHEMA, "column `%.*s` has two sequences",
                            BYTES_FORMAT(table->columns[column].name));
        seen[column] = true;
        TRY(sequence_make(maker, &maker->raw->sequences[idx], &table->sequences[idx]));
    }
    return OK;
}

static bool column_has_sequence(const struct table_def *table, uint16_t column)
{
    for (uint32_t idx = 0; idx < table->sequence_count; idx++)
        if (table->sequences[idx].column == column)
            return true;
    return false;
}

/* A default fills the rows that are there when a column is added. A column whose values must differ has no
 * use for one. */
static err default_make(struct maker *maker, const struct def_default *raw)
{
    struct table_def *table = maker->table;
    struct column_def *column = &table->columns[raw->column];
    if (column->has_default)
        return diag_set(maker->diag, ERR_SCHEMA, "column `%.*s` has two default values", BYTES_FORMAT(column->name));
    if (column_is_unique(table, raw->column) || column_has_sequence(table, raw->column))
        return diag_set(maker->diag, ERR_SCHEMA, "column `%.*s` has a default value, which %s column cannot have",
                        BYTES_FORMAT(column->name),
                        column_has_sequence(table, raw->column) ? "an auto_inc" : "a unique");

    size_t used = 0;
    if (bsatn_check(column->type, raw->value, &used, maker->diag) != OK || used != raw->value.size)
        return diag_set(maker->diag, ERR_SCHEMA, "the default value of column `%.*s` is no value of its type, %.*s",
                        BYTES_FORMAT(column->name), BYTES_FORMAT(builder_type_text(maker->builder, column->type)));
    column->has_default = true;
    column->default_value = raw->value;
    return OK;
}

static err row_type_find(struct maker *maker)
{
    const struct builder *builder = maker->builder;
    const uint32_t ref = maker->raw->type_ref;
    if (ref >= builder->def.type_count)
        return diag_set(maker->diag, ERR_SCHEMA, "its row type is not in the typespace");
    if (builder->types[ref]->kind != TYPE_PRODUCT)
        return diag_set(maker->diag, ERR_SCHEMA, "its row type is %.*s, not a product",
                        BYTES_FORMAT(builder_type_text(maker->builder, builder->types[ref])));
    maker->table->type_ref = ref;
    maker->table->row_type = builder->types[ref];
    return OK;
}

static err table_name_check(const struct def_table *raw, struct builder *builder)
{
    if (raw->is_system)
        return diag_set(builder->diag, ERR_SCHEMA, "it says that it is a system table");
    if (raw->name.size >= 3 && memcmp(raw->name.at, "st_", 3) == 0)
        return diag_set(builder->diag, ERR_SCHEMA, "names that begin with `st_` belong to the system");
    return builder_take_name(builder, raw->name, "a table");
}

err builder_make_table(struct builder *builder, struct def_table *raw, struct table_def *table)
{
    struct maker maker = { builder, raw, table, builder->diag };

    TRY(table_name_check(raw, builder));
    table->name = raw->name;
    table->access = raw->access;
    table->is_event = raw->is_event;
    table->schedule = -1;
    TRY(row_type_find(&maker));
    TRY(builder_make_columns(builder, table));
    TRY(column_lists_check(&maker));
    def_names_fill(&builder->schema->arena, raw, table->row_type);
    TRY(indexes_make(&maker));
    TRY(constraints_check(&maker));
    TRY(primary_key_make(&maker));
    TRY(sequences_make(&maker));
    for (uint32_t idx = 0; idx < raw->default_count; idx++)
        TRY(default_make(&maker, &raw->defaults[idx]));
    return OK;
}
