/* The body of GET /schema: a description as official tools read it, in the shape of version 9 and of
 * version 10.
 *
 * Both are printed from the description itself. It has been built once, so it decodes and is sound. What it
 * leaves out is filled in: names of indexes, constraints, sequences and schedules; the privacy of reducers that the
 * server runs itself. */
#include "base/text.h"
#include "sats/json.h"
#include "schema/module_def.h"

#include <stdlib.h>

struct printer {
    struct buf *out;
    const struct schema *schema;
    struct arena arena;
    struct module_def def;
    const char *name_key; /* what versions 9 and 10 call the name of an index, constraint, sequence */
};

static void put(struct printer *printer, const char *text)
{
    buf_put_text(printer->out, text);
}
static void put_name(struct printer *printer, bytes name)
{
    json_print_string(printer->out, name);
}

/* Between the elements of a list. */
static void put_comma(struct printer *printer, uint32_t idx)
{
    if (idx > 0)
        put(printer, ",");
}

static void put_unsigned(struct printer *printer, uint32_t value)
{
    buf_put_format(printer->out, "%u", (unsigned)value);
}

static void put_i128(struct printer *printer, __int128 value)
{
    number_print(printer->out, (const uint8_t *)&value, sizeof value, true);
}

/* An option of a name. */
static void put_optional_name(struct printer *printer, bytes name)
{
    if (name.at == NULL) {
        put(printer, "{\"none\":[]}");
        return;
    }
    put(printer, "{\"some\":");
    put_name(printer, name);
    put(printer, "}");
}

static void put_bound(struct printer *printer, struct def_bound bound)
{
    if (!bound.is_given) {
        put(printer, "{\"none\":[]}");
        return;
    }
    put(printer, "{\"some\":");
    put_i128(printer, bound.value);
    put(printer, "}");
}

static void put_columns(struct printer *printer, struct def_columns columns)
{
    put(printer, "[");
    for (uint32_t idx = 0; idx < columns.count; idx++) {
        put_comma(printer, idx);
        put_unsigned(printer, columns.at[idx]);
    }
    put(printer, "]");
}

static void put_params(struct printer *printer, const struct def_params *params)
{
    put(printer, "{\"elements\":[");
    for (uint32_t idx = 0; idx < params->count; idx++) {
        put_comma(printer, idx);
        put(printer, "{\"name\":");
        put_optional_name(printer, params->fields[idx].name);
        put(printer, ",\"algebraic_type\":");
        type_print_json(printer->out, params->fields[idx].type);
        put(printer, "}");
    }
    put(printer, "]}");
}

static void put_typespace(struct printer *printer)
{
    put(printer, "{\"types\":[");
    for (uint32_t idx = 0; idx < printer->def.type_count; idx++) {
        put_comma(printer, idx);
        type_print_json(printer->out, printer->def.types[idx]);
    }
    put(printer, "]}");
}

/* Opens an object at the key that holds its name. */
static void open_named(struct printer *printer)
{
    put(printer, "{\"");
    put(printer, printer->name_key);
    put(printer, "\":");
}

static void put_indexes(struct printer *printer, const struct def_table *table)
{
    put(printer, ",\"indexes\":[");
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct def_index *index = &table->indexes[idx];
        put_comma(printer, idx);
        open_named(printer);
        put_optional_name(printer, index->name);
        put(printer, ",\"accessor_name\":");
        put_optional_name(printer, index->accessor);
        put(printer, ",\"algorithm\":");
        switch (index->kind) {
        case INDEX_BTREE:
            put(printer, "{\"BTree\":");
            put_columns(printer, index->columns);
            break;
        case INDEX_HASH:
            put(printer, "{\"Hash\":");
            put_columns(printer, index->columns);
            break;
        case INDEX_DIRECT:
            put(printer, "{\"Direct\":");
            put_unsigned(printer, index->columns.at[0]);
            break;
        }
        put(printer, "}}");
    }
    put(printer, "]");
}

static void put_constraints(struct printer *printer, const struct def_table *table)
{
    put(printer, ",\"constraints\":[");
    for (uint32_t idx = 0; idx < table->constraint_count; idx++) {
        put_comma(printer, idx);
        open_named(printer);
        put_optional_name(printer, table->constraints[idx].name);
        put(printer, ",\"data\":{\"Unique\":{\"columns\":");
        put_columns(printer, table->constraints[idx].columns);
        put(printer, "}}}");
    }
    put(printer, "]");
}

static void put_sequences(struct printer *printer, const struct def_table *table)
{
    put(printer, ",\"sequences\":[");
    for (uint32_t idx = 0; idx < table->sequence_count; idx++) {
        const struct def_sequence *sequence = &table->sequences[idx];
        put_comma(printer, idx);
        open_named(printer);
        put_optional_name(printer, sequence->name);
        put(printer, ",\"column\":");
        put_unsigned(printer, sequence->column);
        put(printer, ",\"start\":");
        put_bound(printer, sequence->start);
        put(printer, ",\"min_value\":");
        put_bound(printer, sequence->min);
        put(printer, ",\"max_value\":");
        put_bound(printer, sequence->max);
        put(printer, ",\"increment\":");
        put_i128(printer, sequence->increment);
        put(printer, "}");
    }
    put(printer, "]");
}

/* The part of a table that both versions have. */
static void put_table_middle(struct printer *printer, const struct def_table *table)
{
    put_name(printer, table->name);
    put(printer, ",\"product_type_ref\":");
    put_unsigned(printer, table->type_ref);
    put(printer, ",\"primary_key\":");
    put_columns(printer, table->primary_key);
    put_indexes(printer, table);
    put_constraints(printer, table);
    put_sequences(printer, table);
}

static void put_table_access(struct printer *printer, const struct def_table *table)
{
    put(printer, ",\"table_type\":{\"User\":[]},\"table_access\":");
    put(printer, table->access == ACCESS_PUBLIC ? "{\"Public\":[]}" : "{\"Private\":[]}");
}

static void put_default_value(struct printer *printer, const struct def_default *value)
{
    put(printer, "\"col_id\":");
    put_unsigned(printer, value->column);
    put(printer, ",\"value\":\"");
    hex_encode(printer->out, value->value);
    put(printer, "\"}");
}

static void put_types(struct printer *printer)
{
    put(printer, "[");
    for (uint32_t idx = 0; idx < printer->def.named_count; idx++) {
        const struct def_type *type = &printer->def.named[idx];
        put_comma(printer, idx);
        open_named(printer);
        put(printer, "{\"scope\":[");
        for (uint32_t part = 0; part < type->scope_count; part++) {
            put_comma(printer, part);
            put_name(printer, type->scope[part]);
        }
        put(printer, "],\"");
        put(printer, printer->name_key);
        put(printer, "\":");
        put_name(printer, type->name);
        put(printer, "},\"ty\":");
        put_unsigned(printer, type->ref);
        put(printer, type->custom_ordering ? ",\"custom_ordering\":true}" : ",\"custom_ordering\":false}");
    }
    put(printer, "]");
}

static const char *const lifecycle_names[] = { "{\"Init\":[]}", "{\"OnConnect\":[]}", "{\"OnDisconnect\":[]}" };

static void put_schedule_v9(struct printer *printer, const struct def_table *table)
{
    const struct schema *schema = printer->schema;
    const struct table_def *made = schema_find_table(schema, table->name);
    if (made->schedule < 0) {
        put(printer, ",\"schedule\":{\"none\":[]}");
        return;
    }
    const struct schedule_def *schedule = &schema->schedules[made->schedule];
    put(printer, ",\"schedule\":{\"some\":{\"name\":");
    put_optional_name(printer, schedule->name);
    put(printer, ",\"reducer_name\":");
    put_name(printer, schema->reducers[schedule->reducer].name);
    put(printer, ",\"scheduled_at_column\":");
    put_unsigned(printer, schedule->at_column);
    put(printer, "}}");
}

static void put_tables_v9(struct printer *printer)
{
    put(printer, ",\"tables\":[");
    for (uint32_t idx = 0; idx < printer->def.table_count; idx++) {
        const struct def_table *table = &printer->def.tables[idx];
        put_comma(printer, idx);
        put(printer, "{\"name\":");
        put_table_middle(printer, table);
        put_schedule_v9(printer, table);
        put_table_access(printer, table);
        put(printer, "}");
    }
    put(printer, "]");
}

static void put_reducers_v9(struct printer *printer)
{
    put(printer, ",\"reducers\":[");
    for (uint32_t idx = 0; idx < printer->def.reducer_count; idx++) {
        const int lifecycle = printer->schema->reducers[idx].lifecycle;
        put_comma(printer, idx);
        put(printer, "{\"name\":");
        put_name(printer, printer->def.reducers[idx].name);
        put(printer, ",\"params\":");
        put_params(printer, &printer->def.reducers[idx].params);
        put(printer, ",\"lifecycle\":{");
        put(printer, lifecycle >= 0 ? "\"some\":" : "\"none\":[]");
        put(printer, lifecycle >= 0 ? lifecycle_names[lifecycle] : "");
        put(printer, "}}");
    }
    put(printer, "]");
}

/* Both versions have a view alike, but for the name of its name. */
static void put_view(struct printer *printer, const struct def_view *view)
{
    open_named(printer);
    put_name(printer, view->name);
    put(printer, ",\"index\":");
    put_unsigned(printer, view->number);
    put(printer, view->is_public ? ",\"is_public\":true" : ",\"is_public\":false");
    put(printer, view->is_anonymous ? ",\"is_anonymous\":true" : ",\"is_anonymous\":false");
    put(printer, ",\"params\":");
    put_params(printer, &view->params);
    put(printer, ",\"return_type\":");
    type_print_json(printer->out, view->returns);
    put(printer, "}");
}

static uint32_t put_defaults_v9(struct printer *printer)
{
    uint32_t count = 0;
    for (uint32_t place = 0; place < printer->def.table_count; place++) {
        const struct def_table *table = &printer->def.tables[place];
        for (uint32_t idx = 0; idx < table->default_count; idx++) {
            put_comma(printer, count++);
            put(printer, "{\"ColumnDefaultValue\":{\"table\":");
            put_name(printer, table->name);
            put(printer, ",");
            put_default_value(printer, &table->defaults[idx]);
            put(printer, "}");
        }
    }
    return count;
}

static void put_exports_v9(struct printer *printer)
{
    put(printer, ",\"misc_exports\":[");
    const uint32_t count = put_defaults_v9(printer);
    for (uint32_t idx = 0; idx < printer->def.view_count; idx++) {
        put_comma(printer, count + idx);
        put(printer, "{\"View\":");
        put_view(printer, &printer->def.views[idx]);
        put(printer, "}");
    }
    put(printer, "]");
}

static void put_tables_v10(struct printer *printer)
{
    put(printer, ",{\"Tables\":[");
    for (uint32_t idx = 0; idx < printer->def.table_count; idx++) {
        const struct def_table *table = &printer->def.tables[idx];
        put_comma(printer, idx);
        put(printer, "{\"source_name\":");
        put_table_middle(printer, table);
        put_table_access(printer, table);
        put(printer, ",\"default_values\":[");
        for (uint32_t place = 0; place < table->default_count; place++) {
            put(printer, place > 0 ? ",{" : "{");
            put_default_value(printer, &table->defaults[place]);
        }
        put(printer, table->is_event ? "],\"is_event\":true}" : "],\"is_event\":false}");
    }
    put(printer, "]}");
}

static void put_reducers_v10(struct printer *printer)
{
    put(printer, ",{\"Reducers\":[");
    for (uint32_t idx = 0; idx < printer->def.reducer_count; idx++) {
        put_comma(printer, idx);
        put(printer, "{\"source_name\":");
        put_name(printer, printer->def.reducers[idx].name);
        put(printer, ",\"params\":");
        put_params(printer, &printer->def.reducers[idx].params);
        put(printer, ",\"visibility\":");
        put(printer, printer->schema->reducers[idx].is_private ? "{\"Private\":[]}" : "{\"ClientCallable\":[]}");
        put(printer, ",\"ok_return_type\":{\"Product\":{\"elements\":[]}},\"err_return_type\":{\"String\":[]}}");
    }
    put(printer, "]}");
}

static void put_views_v10(struct printer *printer)
{
    put(printer, ",{\"Views\":[");
    for (uint32_t idx = 0; idx < printer->def.view_count; idx++) {
        put_comma(printer, idx);
        put_view(printer, &printer->def.views[idx]);
    }
    put(printer, "]}");
}

static void put_view_keys_v10(struct printer *printer)
{
    put(printer, ",{\"ViewPrimaryKeys\":[");
    for (uint32_t idx = 0; idx < printer->def.view_key_count; idx++) {
        const struct def_view_key *key = &printer->def.view_keys[idx];
        put_comma(printer, idx);
        put(printer, "{\"view_source_name\":");
        put_name(printer, key->view);
        put(printer, ",\"columns\":[");
        for (uint32_t place = 0; place < key->count; place++) {
            put_comma(printer, place);
            put_name(printer, key->columns[place]);
        }
        put(printer, "]}");
    }
    put(printer, "]}");
}

static void put_schedules_v10(struct printer *printer)
{
    put(printer, ",{\"Schedules\":[");
    for (uint32_t idx = 0; idx < printer->def.schedule_count; idx++) {
        const struct def_schedule *schedule = &printer->def.schedules[idx];
        put_comma(printer, idx);
        put(printer, "{\"source_name\":");
        put_optional_name(printer, schedule->name);
        put(printer, ",\"table_name\":");
        put_name(printer, schedule->table);
        put(printer, ",\"schedule_at_col\":");
        put_unsigned(printer, schedule->column);
        put(printer, ",\"function_name\":");
        put_name(printer, schedule->function);
        put(printer, "}");
    }
    put(printer, "]}");
}

/* A list of filters, as both versions have it. */
static void put_filters(struct printer *printer)
{
    put(printer, "[");
    for (uint32_t idx = 0; idx < printer->def.filter_count; idx++) {
        put(printer, idx > 0 ? ",{\"sql\":" : "{\"sql\":");
        put_name(printer, printer->def.filters[idx]);
        put(printer, "}");
    }
    put(printer, "]");
}

static void put_filters_v10(struct printer *printer)
{
    put(printer, ",{\"RowLevelSecurity\":");
    put_filters(printer);
    put(printer, "}");
}

static void put_lifecycles_v10(struct printer *printer)
{
    put(printer, ",{\"LifeCycleReducers\":[");
    for (uint32_t idx = 0; idx < printer->def.lifecycle_count; idx++) {
        put_comma(printer, idx);
        put(printer, "{\"lifecycle_spec\":");
        put(printer, lifecycle_names[printer->def.lifecycles[idx].event]);
        put(printer, ",\"function_name\":");
        put_name(printer, printer->def.lifecycles[idx].function);
        put(printer, "}");
    }
    put(printer, "]}");
}

static void put_explicit_name(struct printer *printer, uint32_t idx, const char *kind, bytes name)
{
    put_comma(printer, idx);
    buf_put_format(printer->out, "{\"%s\":{\"source_name\":", kind);
    put_name(printer, name);
    put(printer, ",\"canonical_name\":");
    put_name(printer, name);
    put(printer, "}}");
}

/* One entry a table and a function, though both names are the same: clients look here. */
static void put_explicit_names(struct printer *printer)
{
    const struct module_def *def = &printer->def;
    put(printer, ",{\"ExplicitNames\":{\"entries\":[");
    for (uint32_t idx = 0; idx < def->table_count; idx++)
        put_explicit_name(printer, idx, "Table", def->tables[idx].name);
    for (uint32_t idx = 0; idx < def->reducer_count; idx++)
        put_explicit_name(printer, def->table_count + idx, "Function", def->reducers[idx].name);
    for (uint32_t idx = 0; idx < def->view_count; idx++)
        put_explicit_name(printer, def->table_count + def->reducer_count + idx, "Function", def->views[idx].name);
    put(printer, "]}}");
}

static void printer_open(struct printer *printer, struct buf *out, const struct schema *schema, const char *name_key)
{
    *printer = (struct printer){ .out = out, .schema = schema, .name_key = name_key };
    arena_init(&printer->arena);
    struct diag diag;
    const err e = module_def_decode(&printer->arena, schema->def, &printer->def, &diag);
    check(e == OK);
    for (uint32_t idx = 0; idx < printer->def.table_count; idx++)
        def_names_fill(&printer->arena, &printer->def.tables[idx], schema->tables[idx].row_type);
    for (uint32_t idx = 0; idx < printer->def.schedule_count; idx++)
        def_schedule_name_fill(&printer->arena, &printer->def.schedules[idx]);
}

static void printer_close(struct printer *printer)
{
    arena_deinit(&printer->arena);
}

static int table_order(const void *left, const void *right)
{
    return bytes_compare(((const struct def_table *)left)->name, ((const struct def_table *)right)->name);
}

static int index_order(const void *left, const void *right)
{
    return bytes_compare(((const struct def_index *)left)->name, ((const struct def_index *)right)->name);
}

static int constraint_order(const void *left, const void *right)
{
    return bytes_compare(((const struct def_constraint *)left)->name, ((const struct def_constraint *)right)->name);
}

static int sequence_order(const void *left, const void *right)
{
    return bytes_compare(((const struct def_sequence *)left)->name, ((const struct def_sequence *)right)->name);
}

static int type_order(const void *left, const void *right)
{
    return bytes_compare(((const struct def_type *)left)->name, ((const struct def_type *)right)->name);
}

/* qsort() wants an address, which an empty list need not have. */
static void sort(void *list, uint32_t count, size_t size, int (*order)(const void *, const void *))
{
    if (count > 1)
        qsort(list, count, size, order);
}

/* Version 9 lists everything but functions by name. */
static void sort_for_v9(struct module_def *def)
{
    for (uint32_t idx = 0; idx < def->table_count; idx++) {
        struct def_table *table = &def->tables[idx];
        sort(table->indexes, table->index_count, sizeof *table->indexes, index_order);
        sort(table->constraints, table->constraint_count, sizeof *table->constraints, constraint_order);
        sort(table->sequences, table->sequence_count, sizeof *table->sequences, sequence_order);
    }
    sort(def->tables, def->table_count, sizeof *def->tables, table_order);
    sort(def->named, def->named_count, sizeof *def->named, type_order);
}

void schema_print_v9(struct buf *out, const struct schema *schema)
{
    struct printer printer;
    printer_open(&printer, out, schema, "name");
    sort_for_v9(&printer.def);
    put(&printer, "{\"typespace\":");
    put_typespace(&printer);
    put_tables_v9(&printer);
    put_reducers_v9(&printer);
    put(&printer, ",\"types\":");
    put_types(&printer);
    put_exports_v9(&printer);
    put(&printer, ",\"row_level_security\":");
    put_filters(&printer);
    put(&printer, "}");
    printer_close(&printer);
}

void schema_print_v10(struct buf *out, const struct schema *schema)
{
    struct printer printer;
    printer_open(&printer, out, schema, "source_name");
    put(&printer, "{\"sections\":[{\"Typespace\":");
    put_typespace(&printer);
    put(&printer, "}");
    if (printer.def.named_count > 0) {
        put(&printer, ",{\"Types\":");
        put_types(&printer);
        put(&printer, "}");
    }
    if (printer.def.table_count > 0)
        put_tables_v10(&printer);
    if (printer.def.reducer_count > 0)
        put_reducers_v10(&printer);
    if (printer.def.view_count > 0)
        put_views_v10(&printer);
    if (printer.def.view_key_count > 0)
        put_view_keys_v10(&printer);
    if (printer.def.schedule_count > 0)
        put_schedules_v10(&printer);
    if (printer.def.lifecycle_count > 0)
        put_lifecycles_v10(&printer);
    if (printer.def.filter_count > 0)
        put_filters_v10(&printer);
    put_explicit_names(&printer);
    put(&printer, "]}");
    printer_close(&printer);
}
