#include "engine/sql_run.h"

#include "base/clock.h"
#include "engine/sql_answer.h"
#include "engine/subscription.h"
#include "engine/view_uses.h"

static void list_clients(void *context, struct buf *clients)
{
    const struct engine *engine = context;
    for (const struct client *client = engine->clients; client != NULL; client = client->next)
        if (client->connected)
            system_client_put(clients, &client->caller);
}

void sql_system_tables(struct engine *engine, bool is_owner, struct system_tables_maker *maker)
{
    const struct system_facts facts = { .schema = engine->store.schema,
                                        .store = &engine->store,
                                        .database = &engine->identity,
                                        .owner = engine->owner,
                                        .publish = buf_bytes(&engine->publish),
                                        .shows_program = is_owner,
                                        .row_limit = engine->row_limit,
                                        .context = engine,
                                        .list_clients = list_clients,
                                        .list_view_uses = view_uses_list };
    system_tables_init(maker, &facts);
}

/* The log keeps the text, so that the past shows who changed what by which words. */
static struct record sql_record(const struct engine *engine, const struct caller *caller, bytes text)
{
    return (struct record){ .kind = RECORD_SQL,
                            .timestamp_us = engine->now_us,
                            .client = caller->number,
                            .sql = text,
                            .row_limit = engine->row_limit };
}

static err run_change(struct engine *engine, const struct caller *caller, bytes text, const struct statement *statement,
                      struct budget *budget, struct change_counts *counts)
{
    txn_begin(engine->txn);
    const err code = change_run(statement->change, engine->txn, budget, counts);
    if (code != OK) {
        txn_abort(engine->txn);
        return code;
    }
    const struct record record = sql_record(engine, caller, text);
    call_commit(engine, &record, NULL, NULL, NULL);
    return OK;
}

static void run_set(struct engine *engine, const struct caller *caller, bytes text, const struct statement *statement)
{
    engine->row_limit = statement->row_limit;
    const struct record record = sql_record(engine, caller, text);
    call_log(engine, &record, NULL);
}

static err run_statement(struct engine *engine, const struct caller *caller, bytes text,
                         const struct statement *statement, const struct sql_place *place, struct buf *out,
                         int64_t *duration_us, struct diag *diag)
{
    struct budget budget;
    struct change_counts counts = { 0 };
    sql_budget_here(&budget, place->caller.is_owner, diag);
    budget.estimate_max = place->caller.is_owner ? 0 : engine->row_limit;
    if (sql_only_reads(statement))
        return sql_answer_read(out, statement, place, &budget, duration_us);
    if (statement->kind == STATEMENT_SET)
        run_set(engine, caller, text, statement);
    else
        TRY(run_change(engine, caller, text, statement, &budget, &counts));
    sql_answer_changed(out, &counts, place->start_us, duration_us);
    return OK;
}

err sql_run(struct engine *engine, const struct caller *caller, bytes text, struct buf *out, int64_t *duration_us,
            struct diag *diag)
{
    const bool is_owner = memcmp(&caller->who, &engine->owner, sizeof caller->who) == 0;
    struct system_tables_maker maker;
    struct statement *statement;
    sql_system_tables(engine, is_owner, &maker);
    const struct made_tables system = system_tables_of(&maker);
    const struct sql_place place = { &engine->store, subscription_caller(engine, &caller->who, is_owner), &system, clock_monotonic_us() };
    err code = statement_compile(&statement, text, engine->store.schema, &place.caller, &system, diag);
    if (code == OK) {
        code = run_statement(engine, caller, text, statement, &place, out, duration_us, diag);
        statement_free(statement);
    }
    system_tables_deinit(&maker);
    return code;
}
