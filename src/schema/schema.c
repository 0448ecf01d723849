#include "schema/schema.h"

#include "base/text.h"
#include "schema/builder.h"

#include <stdio.h>

struct schema_fault schema_fault_of(enum fault_subject subject, bytes name)
{
    struct schema_fault fault = { .subject = subject };
    if (name.size < sizeof fault.name)
        snprintf(fault.name, sizeof fault.name, "%.*s", BYTES_FORMAT(name));
    return fault;
}

void builder_fault(struct builder *builder, enum fault_subject subject, const char *what, bytes name)
{
    if (name.size >= sizeof builder->fault->name)
        name.size = 0; /* it is refused for its length; the sentence must not drown in it */
    *builder->fault = schema_fault_of(subject, name);
    diag_note(builder->diag, "%s `%.*s`: ", what, BYTES_FORMAT(name));
}

err builder_take_name(struct builder *builder, bytes name, const char *what)
{
    TRY(identifier_check(name, what, builder->diag));
    if (map_put(&builder->names, name, builder) == NULL)
        return OK;
    return diag_set(builder->diag, ERR_SCHEMA,
                    "%s is named `%.*s`, and so is another table, view, index, constraint, sequence or schedule", what,
                    BYTES_FORMAT(name));
}

static err make_tables(struct builder *builder)
{
    struct schema *schema = builder->schema;
    schema->table_count = builder->def.table_count;
    schema->tables = ARENA_ARRAY(&schema->arena, struct table_def, schema->table_count);
    for (uint32_t idx = 0; idx < schema->table_count; idx++) {
        struct def_table *raw = &builder->def.tables[idx];
        const err e = builder_make_table(builder, raw, &schema->tables[idx]);
        if (e != OK) {
            builder_fault(builder, FAULT_TABLE, "table", raw->name);
            return e;
        }
        map_put(&schema->table_names, raw->name, &schema->tables[idx]);
    }
    return OK;
}

/* What a reducer returns is fixed: nothing, or an error text. */
static bool reducer_returns_are_usual(const struct def_reducer *raw)
{
    return raw->ok_type->kind == TYPE_PRODUCT && raw->ok_type->count == 0 && raw->err_type->kind == TYPE_STRING;
}

static err params_check(const struct def_params *params, struct diag *diag)
{
    struct map seen;
    map_init(&seen);
    err e = OK;
    for (uint32_t idx = 0; idx < params->count && e == OK; idx++) {
        const bytes name = params->fields[idx].name;
        if (name.at == NULL)
            e = diag_set(diag, ERR_SCHEMA, "its parameter %u has no name", (unsigned)idx + 1);
        else if ((e = identifier_check(name, "a parameter", diag)) == OK && map_put(&seen, name, &seen) != NULL)
            e = diag_set(diag, ERR_SCHEMA, "it has two parameters named `%.*s`", BYTES_FORMAT(name));
    }
    map_deinit(&seen);
    return e;
}

static err make_reducer(struct builder *builder, const struct def_reducer *raw, struct reducer_def *reducer)
{
    struct schema *schema = builder->schema;
    TRY(identifier_check(raw->name, "a reducer", builder->diag));
    if (map_put(&schema->reducer_names, raw->name, reducer) != NULL)
        return diag_set(builder->diag, ERR_SCHEMA, "two reducers have this name");
    if (!reducer_returns_are_usual(raw))
        return diag_set(builder->diag, ERR_SCHEMA, "a reducer returns nothing or an error text");
    TRY(params_check(&raw->params, builder->diag));

    *reducer = (struct reducer_def){ .name = raw->name, .lifecycle = -1, .is_private = raw->is_private };
    const struct type *params = type_product(&schema->arena, raw->params.fields, raw->params.count);
    return builder_resolve(builder, params, &reducer->params);
}

static err make_reducers(struct builder *builder)
{
    struct schema *schema = builder->schema;
    schema->reducer_count = builder->def.reducer_count;
    schema->reducers = ARENA_ARRAY(&schema->arena, struct reducer_def, schema->reducer_count);
    for (uint32_t idx = 0; idx < schema->reducer_count; idx++) {
        const struct def_reducer *raw = &builder->def.reducers[idx];
        const err e = make_reducer(builder, raw, &schema->reducers[idx]);
        if (e != OK) {
            builder_fault(builder, FAULT_REDUCER, "reducer", raw->name);
            return e;
        }
    }
    return OK;
}

static err make_lifecycle(struct builder *builder, const struct def_lifecycle *raw)
{
    static const char *const event_names[] = { "init", "client_connected", "client_disconnected" };
    struct schema *schema = builder->schema;

    const int32_t place = schema_find_reducer(schema, raw->function);
    if (place < 0)
        return diag_set(builder->diag, ERR_SCHEMA, "it is to run on %s, and there is no such reducer",
                        event_names[raw->event]);
    if (schema->lifecycle[raw->event] >= 0)
        return diag_set(builder->diag, ERR_SCHEMA, "it is the second to run on %s", event_names[raw->event]);
    struct reducer_def *reducer = &schema->reducers[place];
    if (reducer->lifecycle >= 0)
        return diag_set(builder->diag, ERR_SCHEMA, "it is to run on %s and on %s", event_names[reducer->lifecycle],
                        event_names[raw->event]);
    if (reducer->params->count > 0)
        return diag_set(builder->diag, ERR_SCHEMA, "it runs on %s and so can have no parameters",
                        event_names[raw->event]);
    schema->lifecycle[raw->event] = place;
    reducer->lifecycle = (int)raw->event;
    reducer->is_private = true;
    return OK;
}

static err make_lifecycles(struct builder *builder)
{
    for (uint32_t idx = 0; idx < LIFECYCLE_COUNT; idx++)
        builder->schema->lifecycle[idx] = -1;
    for (uint32_t idx = 0; idx < builder->def.lifecycle_count; idx++) {
        const struct def_lifecycle *raw = &builder->def.lifecycles[idx];
        const err e = make_lifecycle(builder, raw);
        if (e != OK) {
            builder_fault(builder, FAULT_REDUCER, "reducer", raw->function);
            return e;
        }
    }
    return OK;
}

/* What they say is for those who know SQL to judge. */
static err make_filters(struct builder *builder)
{
    struct schema *schema = builder->schema;
    schema->filter_count = builder->def.filter_count;
    schema->filters = builder->def.filters;
    for (uint32_t idx = 0; idx < schema->filter_count; idx++) {
        const bytes sql = schema->filters[idx];
        const err e = sql.size == 0       ? diag_set(builder->diag, ERR_SCHEMA, "it is empty")
                      : !text_is_utf8(sql) ? diag_set(builder->diag, ERR_SCHEMA, "its text is not UTF-8")
                                           : OK;
        if (e == OK)
            continue;
        char number[16];
        snprintf(number, sizeof number, "%u", (unsigned)idx + 1);
        builder_fault(builder, FAULT_FILTER, "filter", bytes_of_text(number));
        return e;
    }
    return OK;
}

/* A name means one thing everywhere: in the module, on the wire and in SQL. */
static err naming_check(struct builder *builder)
{
    if (builder->def.wants_snake_case)
        return diag_set(builder->diag, ERR_SCHEMA,
                        "the module asks for names to be changed to snake_case; names stay as they are written here");
    for (uint32_t idx = 0; idx < builder->def.rename_count; idx++) {
        const struct def_rename *rename = &builder->def.renames[idx];
        if (!bytes_equal(rename->source, rename->canonical))
            return diag_set(builder->diag, ERR_SCHEMA,
                            "the module renames `%.*s` to `%.*s`; a name means one thing everywhere here",
                            BYTES_FORMAT(rename->source), BYTES_FORMAT(rename->canonical));
    }
    return OK;
}

static const struct table_def *find_relation(const struct schema *schema, bytes name, bool is_view)
{
    if (schema == NULL || !is_view)
        return schema != NULL ? schema_find_table(schema, name) : NULL;
    const struct view_def *view = schema_find_view(schema, name);
    return view != NULL ? &view->rows : NULL;
}

static const struct schedule_def *find_schedule(const struct schema *schema, bytes name)
{
    for (uint32_t idx = 0; schema != NULL && idx < schema->schedule_count; idx++)
        if (bytes_equal(schema->schedules[idx].name, name))
            return &schema->schedules[idx];
    return NULL;
}

static const struct index_def *find_index(const struct table_def *table, bytes name)
{
    for (uint32_t idx = 0; table != NULL && idx < table->index_count; idx++)
        if (bytes_equal(table->indexes[idx].name, name))
            return &table->indexes[idx];
    return NULL;
}

static const struct sequence_def *find_sequence(const struct table_def *table, bytes name)
{
    for (uint32_t idx = 0; table != NULL && idx < table->sequence_count; idx++)
        if (bytes_equal(table->sequences[idx].name, name))
            return &table->sequences[idx];
    return NULL;
}

/* S1 */
static void assign_ids(struct schema *schema, const struct schema *previous)
{
    uint32_t next = previous != NULL ? previous->next_id : SCHEMA_FIRST_ID;
    for (uint32_t place = 0; place < schema_relation_count(schema); place++) {
        struct table_def *table = schema_relation(schema, place);
        const struct table_def *old = find_relation(previous, table->name, place >= schema->table_count);
        table->id = old != NULL ? old->id : next++;
        for (uint32_t idx = 0; idx < table->index_count; idx++) {
            const struct index_def *old_index = find_index(old, table->indexes[idx].name);
            table->indexes[idx].id = old_index != NULL ? old_index->id : next++;
        }
        for (uint32_t idx = 0; idx < table->sequence_count; idx++) {
            const struct sequence_def *old_sequence = find_sequence(old, table->sequences[idx].name);
            table->sequences[idx].id = old_sequence != NULL ? old_sequence->id : next++;
        }
    }
    for (uint32_t idx = 0; idx < schema->schedule_count; idx++) {
        const struct schedule_def *old = find_schedule(previous, schema->schedules[idx].name);
        schema->schedules[idx].id = old != NULL ? old->id : next++;
    }
    schema->next_id = next;
}

static err build(struct builder *builder)
{
    struct schema *schema = builder->schema;
    TRY(module_def_decode(&schema->arena, schema->def, &builder->def, builder->diag));
    TRY(naming_check(builder));
    TRY(builder_make_types(builder));
    TRY(make_tables(builder));
    TRY(make_reducers(builder));
    TRY(make_lifecycles(builder));
    TRY(builder_make_schedules(builder));
    TRY(builder_make_views(builder));
    TRY(make_filters(builder));
    assign_ids(schema, builder->previous);
    return OK;
}

static struct schema *schema_new(bytes def)
{
    struct schema *schema = memory_new(sizeof *schema);
    atomic_init(&schema->holders, 1);
    arena_init(&schema->arena);
    map_init(&schema->table_names);
    map_init(&schema->view_names);
    map_init(&schema->reducer_names);
    schema->def = arena_copy(&schema->arena, def);
    return schema;
}

err schema_build(bytes def, const struct schema *previous, struct schema **schema, struct schema_fault *fault,
                 struct diag *diag)
{
    struct schema_fault unwanted;
    struct builder builder = { .previous = previous, .fault = fault != NULL ? fault : &unwanted, .diag = diag };
    *schema = NULL;
    *builder.fault = (struct schema_fault){ .subject = FAULT_MODULE };
    if (def.size > SCHEMA_DEF_SIZE_MAX)
        return diag_set(diag, ERR_TOO_LARGE, "the description of the module has %zu bytes, and %d is the most",
                        def.size, (int)SCHEMA_DEF_SIZE_MAX);

    builder.schema = schema_new(def);
    map_init(&builder.names);
    const err e = build(&builder);
    map_deinit(&builder.names);
    if (e == OK)
        *schema = builder.schema;
    else
        schema_free(builder.schema);
    return e;
}

struct schema *schema_ref(struct schema *schema)
{
    if (schema != NULL)
        atomic_fetch_add_explicit(&schema->holders, 1, memory_order_relaxed);
    return schema;
}

void schema_free(struct schema *schema)
{
    if (schema == NULL || atomic_fetch_sub_explicit(&schema->holders, 1, memory_order_acq_rel) > 1)
        return;
    map_deinit(&schema->table_names);
    map_deinit(&schema->view_names);
    map_deinit(&schema->reducer_names);
    arena_deinit(&schema->arena);
    memory_free(schema);
}

const struct table_def *schema_find_table(const struct schema *schema, bytes name)
{
    return map_find(&schema->table_names, name);
}

const struct view_def *schema_find_view(const struct schema *schema, bytes name)
{
    return map_find(&schema->view_names, name);
}

int32_t schema_find_reducer(const struct schema *schema, bytes name)
{
    const struct reducer_def *reducer = map_find(&schema->reducer_names, name);
    return reducer != NULL ? (int32_t)(reducer - schema->reducers) : -1;
}

int32_t table_def_find_column(const struct table_def *table, bytes name)
{
    for (uint32_t idx = 0; idx < table->column_count; idx++)
        if (bytes_equal(table->columns[idx].name, name))
            return (int32_t)idx;
    return -1;
}
