/* The schedules of a description: tables whose rows run a reducer when their time has come. */
#include "schema/builder.h"

static err table_check(struct builder *builder, const struct table_def *table, uint16_t at_column)
{
    if (table->is_event)
        return diag_set(builder->diag, ERR_SCHEMA, "it has a schedule, but the rows of an event table do not stay");
    if (table->schedule >= 0)
        return diag_set(builder->diag, ERR_SCHEMA, "it has two schedules");
    if (table->primary_key < 0 || table->columns[table->primary_key].type->kind != TYPE_U64)
        return diag_set(builder->diag, ERR_SCHEMA, "it has a schedule, and so needs a primary key of type u64");
    if (at_column >= table->column_count)
        return diag_set(builder->diag, ERR_SCHEMA, "its schedule names column number %u, and the table has %u",
                        (unsigned)at_column + 1, (unsigned)table->column_count);
    const struct column_def *column = &table->columns[at_column];
    if (column->type->special != SPECIAL_SCHEDULE_AT)
        return diag_set(builder->diag, ERR_SCHEMA,
                        "its schedule takes the time from column `%.*s`, which is %.*s and not a ScheduleAt",
                        BYTES_FORMAT(column->name), BYTES_FORMAT(builder_type_text(builder, column->type)));
    return OK;
}

static err reducer_check(struct builder *builder, const struct table_def *table, bytes name)
{
    const struct schema *schema = builder->schema;
    const int32_t place = schema_find_reducer(schema, name);
    if (place < 0)
        return diag_set(builder->diag, ERR_SCHEMA, "its schedule runs `%.*s`, and there is no such reducer",
                        BYTES_FORMAT(name));
    const struct type *params = schema->reducers[place].params;
    if (params->count != 1 || !type_equal(params->fields[0].type, table->row_type))
        return diag_set(builder->diag, ERR_SCHEMA,
                        "its schedule runs the reducer `%.*s`, which has to take one argument: the row",
                        BYTES_FORMAT(name));
    return OK;
}

static bool policy_of(const struct builder *builder, bytes table)
{
    for (uint32_t idx = 0; idx < builder->def.policy_count; idx++)
        if (bytes_equal(builder->def.policies[idx].table, table))
            return builder->def.policies[idx].catches_up;
    return false;
}

static err schedule_make(struct builder *builder, struct def_schedule *raw, uint32_t place)
{
    struct schema *schema = builder->schema;
    const struct table_def *found = schema_find_table(schema, raw->table);
    if (found == NULL)
        return diag_set(builder->diag, ERR_SCHEMA, "it has a schedule, and there is no such table");
    struct table_def *table = &schema->tables[found - schema->tables];
    TRY(table_check(builder, table, raw->column));
    TRY(reducer_check(builder, table, raw->function));
    def_schedule_name_fill(&schema->arena, raw);
    TRY(builder_take_name(builder, raw->name, "a schedule"));

    const uint32_t reducer = (uint32_t)schema_find_reducer(schema, raw->function);
    schema->schedules[place] = (struct schedule_def){
        .name = raw->name,
        .table = (uint32_t)(table - schema->tables),
        .reducer = reducer,
        .at_column = raw->column,
        .catches_up = policy_of(builder, raw->table),
    };
    table->schedule = (int32_t)place;
    schema->reducers[reducer].is_private = true;
    return OK;
}

/* A policy without its schedule is a description gone wrong. */
static err policies_check(struct builder *builder)
{
    for (uint32_t idx = 0; idx < builder->def.policy_count; idx++) {
        const bytes name = builder->def.policies[idx].table;
        const struct table_def *table = schema_find_table(builder->schema, name);
        if (table != NULL && table->schedule >= 0)
            continue;
        diag_set(builder->diag, ERR_SCHEMA, "it says what to do with missed ticks, and has no schedule");
        builder_fault(builder, FAULT_TABLE, "table", name);
        return ERR_SCHEMA;
    }
    return OK;
}

err builder_make_schedules(struct builder *builder)
{
    struct schema *schema = builder->schema;
    schema->schedule_count = builder->def.schedule_count;
    schema->schedules = ARENA_ARRAY(&schema->arena, struct schedule_def, schema->schedule_count);
    for (uint32_t idx = 0; idx < schema->schedule_count; idx++) {
        const err e = schedule_make(builder, &builder->def.schedules[idx], idx);
        if (e != OK) {
            builder_fault(builder, FAULT_TABLE, "table", builder->def.schedules[idx].table);
            return e;
        }
    }
    return policies_check(builder);
}
