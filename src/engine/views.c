#include "engine/views.h"

#include "sats/bsatn.h"

void views_init(struct views *views, struct engine *engine, struct levels *levels)
{
    *views = (struct views){ .engine = engine, .levels = levels, .reads = reads_new() };
    map_init(&views->exhausted);
}

void views_deinit(struct views *views)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&views->exhausted, &place)) != NULL;)
        memory_free(entry->value);
    map_deinit(&views->exhausted);
    reads_free(views->reads);
}

struct running {
    struct views *views;
    struct derived *derived;
};

static void on_read(void *context, const struct view_read *read)
{
    const struct running *running = context;
    reads_add(running->views->reads, &running->derived->reads, running->derived->schema, read);
}

static void count_result(struct derived *derived, bytes result)
{
    struct reader from = reader_of(result);
    for (uint32_t left = reader_get_u32(&from); left > 0; left--) {
        const size_t size = bsatn_size(derived->def.row_type, from.at);
        derived_count_in(derived, reader_take(&from, size));
    }
    check(!from.failed);
}

/* Rows of an event table are not there to be looked at later. */
static err check_query(const struct derived *derived, const struct query *query, struct diag *diag)
{
    const struct query_join *join = query->join;
    const bool has_events = join != NULL ? join->tables[0]->is_event || join->tables[1]->is_event : query->table->is_event;
    if (has_events)
        return diag_set(diag, ERR_BAD_SQL, "its query looks at an event table, which keeps no rows");
    if (!type_equal(query->table->row_type, derived->def.row_type))
        return diag_set(diag, ERR_BAD_SQL, "its query gives rows of another type than the view declares");
    return OK;
}

/* The query that a view gave sees all tables and no views. */
static err follow_query(struct views *views, struct derived *derived, bytes text, struct diag *diag)
{
    const struct query_caller caller = { .sender = derived->caller, .is_owner = true };
    struct query *query;
    TRY(query_compile(&query, text, derived->schema, &caller, QUERY_SUBSCRIBED, diag));
    const err code = check_query(derived, query, diag);
    query_free(query);
    if (code != OK)
        return code;
    buf_clear(&derived->query);
    buf_put_bytes(&derived->query, text);
    return levels_follow(views->levels, derived, &caller, &views->engine->store, &text, 1, diag);
}

/* A query that is followed already goes on as it is. */
static err take_result(struct views *views, struct derived *derived, bytes result, struct diag *diag)
{
    const bool is_query = derived->schema->views[derived->subject].kind == VIEW_QUERY;
    if (is_query && derived->query.size > 0 && bytes_equal(buf_bytes(&derived->query), result))
        return OK;
    levels_leave(views->levels, derived);
    derived_count_out(derived);
    if (is_query)
        return follow_query(views, derived, result, diag);
    count_result(derived, result);
    return OK;
}

static err run(struct views *views, struct derived *derived, struct diag *diag)
{
    struct engine *engine = views->engine;
    struct running running = { views, derived };
    const struct view_call call = { .view = derived->subject,
                                    .caller = derived->caller,
                                    .timestamp_us = engine->now_us,
                                    .read = on_read,
                                    .read_context = &running };
    struct buf result = { 0 };
    derived->called_us = engine->now_us;
    err code = module_call_view(engine->module, engine->txn, &call, &result, diag);
    if (code == OK && (code = take_result(views, derived, buf_bytes(&result), diag)) != OK)
        module_log_system(engine->module_log, 0, "the view `%.*s`: %s", BYTES_FORMAT(derived->def.name), diag->text);
    buf_deinit(&result);
    return code == OK ? OK : diag_note(diag, "the view `%.*s`: ", BYTES_FORMAT(derived->def.name));
}

err views_run(struct views *views, struct derived *derived, struct diag *diag)
{
    const bytes key = map_u32_key(&derived->subject);
    const struct diag *why = map_find(&views->exhausted, key);
    reads_clear(views->reads, &derived->reads);
    if (why != NULL) {
        *diag = *why;
        return diag->code;
    }
    const err code = run(views, derived, diag);
    if (code == ERR_OUT_OF_TIME || code == ERR_OUT_OF_MEMORY)
        map_put(&views->exhausted, key, memory_copy(diag, sizeof *diag));
    return code;
}
