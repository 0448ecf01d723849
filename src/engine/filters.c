#include "engine/filters.h"

#include "sql/query.h"

#include <stdio.h>

/* What a filter is about. */
struct filter_tables {
    uint32_t output, joined; /* places in the schema; both the same without a join */
    bool depends_on_sender;
};

static err refuse(uint32_t number, struct schema_fault *fault, struct diag *diag)
{
    if (fault != NULL) {
        fault->subject = FAULT_FILTER;
        snprintf(fault->name, sizeof fault->name, "%u", number + 1);
    }
    diag_note(diag, "filter %u: ", number + 1);
    return diag->code = ERR_SCHEMA;
}

static uint32_t place_of(const struct schema *schema, const struct table_def *table)
{
    return (uint32_t)(table - schema->tables);
}

/* An event table may have filters of its own; those of others cannot wait for events. */
static bool looks_at_events(const struct query *query)
{
    const struct query_join *join = query->join;
    return join != NULL && join->tables[1 - join->output]->is_event;
}

/* A filter is compiled as the owner's query: what it looks at need not be public, what it shows is. */
static err filter_look(const struct schema *schema, uint32_t number, struct filter_tables *tables, struct diag *diag)
{
    const struct query_caller owner = { .is_owner = true };
    struct query *query;
    TRY(query_compile(&query, schema->filters[number], schema, &owner, QUERY_SUBSCRIBED, diag));
    const struct query_join *join = query->join;
    err code = OK;
    if (query->order_count > 0)
        code = diag_set(diag, ERR_SCHEMA, "a filter has no order and no limit");
    else if (query->table->access == ACCESS_PRIVATE)
        code = diag_set(diag, ERR_SCHEMA, "the table `%.*s` is private: clients see nothing of it as it is",
                        BYTES_FORMAT(query->table->name));
    else if (looks_at_events(query))
        code = diag_set(diag, ERR_SCHEMA, "it looks at an event table, which keeps no rows: what it selects could not be "
                                          "taken away again");
    tables->depends_on_sender = query->depends_on_sender;
    tables->output = tables->joined = place_of(schema, query->table);
    if (join != NULL)
        tables->joined = place_of(schema, join->tables[1 - join->output]);
    query_free(query);
    return code;
}

/* Whether the tables that the filters of `from` look at lead to `to`. `seen` marks tables by place. */
static bool leads_to(const struct filter_tables *filters, uint32_t count, uint32_t from, uint32_t to, bool *seen)
{
    if (seen[from])
        return false;
    seen[from] = true;
    for (uint32_t idx = 0; idx < count; idx++) {
        const bool is_its_own = filters[idx].joined == filters[idx].output;
        if (filters[idx].output != from || is_its_own)
            continue;
        if (filters[idx].joined == to || leads_to(filters, count, filters[idx].joined, to, seen))
            return true;
    }
    return false;
}

static err check_cycles(const struct schema *schema, const struct filter_tables *filters, struct schema_fault *fault,
                        struct diag *diag)
{
    bool *seen = memory_new(schema->table_count + 1);
    err code = OK;
    for (uint32_t idx = 0; idx < schema->filter_count && code == OK; idx++) {
        memset(seen, 0, schema->table_count);
        if (!leads_to(filters, schema->filter_count, filters[idx].output, filters[idx].output, seen))
            continue;
        diag_set(diag, ERR_SCHEMA, "the filters of `%.*s` look at tables whose filters look at it again",
                 BYTES_FORMAT(schema->tables[filters[idx].output].name));
        code = refuse(idx, fault, diag);
    }
    memory_free(seen);
    return code;
}

/* What a filter looks at through filters that depend on the sender depends on it, too: until nothing new is found. */
static void spread_dependence(struct filter_tables *filters, uint32_t count, bool *depends)
{
    for (bool is_new = true; is_new;) {
        is_new = false;
        for (uint32_t idx = 0; idx < count; idx++) {
            const struct filter_tables *filter = &filters[idx];
            if (depends[filter->output] || !(filter->depends_on_sender || depends[filter->joined]))
                continue;
            depends[filter->output] = is_new = true;
        }
    }
}

static void list_by_table(struct filters *filters, const struct schema *schema, struct filter_tables *about)
{
    bool *depends = ARENA_ARRAY(&filters->arena, bool, schema->table_count + 1);
    spread_dependence(about, schema->filter_count, depends);
    filters->table_count = schema->table_count;
    filters->tables = ARENA_ARRAY(&filters->arena, struct table_filters, schema->table_count + 1);
    for (uint32_t table = 0; table < schema->table_count; table++) {
        bytes *texts = ARENA_ARRAY(&filters->arena, bytes, schema->filter_count);
        uint32_t count = 0;
        for (uint32_t idx = 0; idx < schema->filter_count; idx++) {
            if (about[idx].output == table)
                texts[count++] = schema->filters[idx];
        }
        filters->tables[table] = (struct table_filters){ count, texts, depends[table] };
    }
}

err filters_init(struct filters *filters, const struct schema *schema, struct schema_fault *fault, struct diag *diag)
{
    struct filter_tables *about = memory_new((schema->filter_count + 1) * sizeof *about);
    err code = OK;
    *filters = (struct filters){ 0 };
    arena_init(&filters->arena);
    for (uint32_t idx = 0; idx < schema->filter_count && code == OK; idx++) {
        code = filter_look(schema, idx, &about[idx], diag);
        if (code != OK)
            code = refuse(idx, fault, diag);
    }
    if (code == OK)
        code = check_cycles(schema, about, fault, diag);
    if (code == OK && schema->filter_count > 0)
        list_by_table(filters, schema, about);
    memory_free(about);
    if (code != OK)
        filters_deinit(filters);
    return code;
}

void filters_deinit(struct filters *filters)
{
    arena_deinit(&filters->arena);
    *filters = (struct filters){ 0 };
}

struct table_filters filters_of(const struct filters *filters, const struct schema *schema, const struct table_def *table)
{
    return filters->table_count > 0 ? filters->tables[place_of(schema, table)] : (struct table_filters){ 0 };
}
