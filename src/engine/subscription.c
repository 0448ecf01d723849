#include "engine/subscription.h"

#include "engine/answer.h"
#include "engine/openings.h"
#include "engine/sql_answer.h"
#include "engine/sql_run.h"
#include "engine/v1.h"
#include "proto/server_msg.h"

struct query_caller subscription_caller(const struct engine *engine, const identity *who, bool is_owner)
{
    return (struct query_caller){ *who, is_owner, &engine->catalog, is_owner ? 0 : engine->row_limit };
}

static struct query_caller query_caller_of(const struct engine *engine, const struct client *client)
{
    return subscription_caller(engine, &client->caller.who, client->is_owner);
}

/* A message that turns out to be an error is written over from where it began. */
static void answer_error(struct engine *engine, struct client *client, size_t start, const struct client_msg *msg,
                         const struct diag *diag)
{
    struct buf *out = answer_begin(engine, client);
    out->size = start;
    server_msg_subscription_error(out, &msg->request_id, msg->query_set_id, bytes_of_text(diag->text));
    answer_end(engine, client);
}

/* Of a set whose rows are worked out beside the engine. */
struct late_rows {
    struct late_answer answer;
    enum client_msg_kind kind;
    uint32_t request_id, query_set_id;
    struct opening *opening; /* owned */
};

static void put_late_rows(struct engine *engine, struct client *client, const struct late_rows *rows)
{
    struct buf *out = answer_begin(engine, client);
    const uint32_t count = opening_part_count(rows->opening);
    struct update_part *parts = memory_new(sizeof *parts * count);
    if (rows->kind == CLIENT_SUBSCRIBE)
        server_msg_subscribe_applied(out, rows->request_id, rows->query_set_id);
    else
        server_msg_unsubscribe_applied(out, rows->request_id, rows->query_set_id, true);
    opening_parts(rows->opening, parts);
    answer_add_parts(engine, client, parts, count);
    answer_end(engine, client);
    memory_free(parts);
}

/* Commits that were told to the set already cannot be taken back: who has seen rows change that it was never shown
 * has to begin anew. */
static bool tell_late_rows(struct late_answer *answer, struct engine *engine, struct client *client, struct diag *diag)
{
    struct late_rows *rows = container_of(answer, struct late_rows, answer);
    check(opening_is_ready(rows->opening)); /* U3 */
    if (opening_check(rows->opening, diag) == OK) {
        put_late_rows(engine, client, rows);
        return true;
    }
    server_msg_subscription_error(answer_begin(engine, client), &rows->request_id, rows->query_set_id,
                                  bytes_of_text(diag->text));
    answer_end(engine, client);
    const bool was_told = subs_abandon(engine->subs, rows->opening);
    rows->opening = NULL;
    return !was_told;
}

static void free_late_rows(struct late_answer *answer)
{
    struct late_rows *rows = container_of(answer, struct late_rows, answer);
    opening_free(rows->opening);
    memory_free(rows);
}

static const struct late_answer_kind late_rows_kind = { .tell = tell_late_rows, .free = free_late_rows };

static void answer_later(struct engine *engine, struct client *client, const struct client_msg *msg,
                         struct opening *opening)
{
    struct late_rows *rows = memory_new(sizeof *rows);
    *rows = (struct late_rows){ .answer = { .kind = &late_rows_kind },
                                .kind = msg->kind,
                                .request_id = msg->request_id,
                                .query_set_id = msg->query_set_id,
                                .opening = opening };
    openings_begin(engine->openings, client, &rows->answer);
}

/* The answer is complete, or an error, or its rows are on their way and nothing of it stands in `out`. */
static void answer_rows(struct engine *engine, struct client *client, size_t start, const struct client_msg *msg,
                        err code, struct opening *opening, const struct diag *diag)
{
    if (code != OK) {
        answer_error(engine, client, start, msg, diag);
    } else if (opening == NULL) {
        answer_end(engine, client);
    } else {
        answer_begin(engine, client)->size = start;
        answer_later(engine, client, msg, opening);
    }
}

void subscription_begin(struct engine *engine, struct client *client, const struct client_msg *msg)
{
    const struct query_caller caller = query_caller_of(engine, client);
    struct opening *opening;
    struct diag diag;
    struct buf *out = answer_begin(engine, client);
    const size_t start = out->size;
    server_msg_subscribe_applied(out, msg->request_id, msg->query_set_id);
    const err code = subs_subscribe(engine->subs, &client->subscriber, &caller, &engine->store, msg->query_set_id,
                                    msg->queries, msg->query_count, out, &opening, &diag);
    answer_rows(engine, client, start, msg, code, opening, &diag);
}

void subscription_end(struct engine *engine, struct client *client, const struct client_msg *msg)
{
    struct opening *opening;
    struct diag diag;
    struct buf *out = answer_begin(engine, client);
    const size_t start = out->size;
    server_msg_unsubscribe_applied(out, msg->request_id, msg->query_set_id, msg->send_dropped_rows);
    const err code = subs_unsubscribe(engine->subs, &client->subscriber, &engine->store, msg->query_set_id,
                                      msg->send_dropped_rows ? out : NULL, &opening, &diag);
    answer_rows(engine, client, start, msg, code, opening, &diag);
}

void subscription_tell_ended(struct engine *engine, struct subscriber *subscriber, uint32_t query_set_id,
                             const struct diag *diag)
{
    struct client *client = container_of(subscriber, struct client, subscriber);
    if (client->closing)
        return;
    if (client->v1 != NULL) {
        v1_query_ended(engine, client, query_set_id, diag);
        return;
    }
    server_msg_subscription_error(answer_begin(engine, client), NULL, query_set_id, bytes_of_text(diag->text));
    answer_end(engine, client);
}

struct rows_once {
    struct row_list rows;
    struct budget *budget;
};

static bool add_row(void *context, bytes row)
{
    struct rows_once *once = context;
    row_list_add(&once->rows, row);
    return budget_take_bytes(once->budget, row.size + sizeof(uint64_t)); /* with its offset */
}

/* The answer names the table whose rows they are, or the first of several. */
static err tell_rows_once(struct engine *engine, const struct statement *statement, struct budget *budget,
                          subscription_rows_fn *tell, void *context)
{
    struct rows_once once = { .budget = budget };
    row_list_init(&once.rows);
    const err code = select_run(statement->select, &engine->store, budget, add_row, &once);
    if (code == OK) {
        struct buf query_rows = { 0 };
        buf_put_u32(&query_rows, 1);
        buf_put_sized(&query_rows, select_table(statement->select)->name);
        row_list_encode(&query_rows, &once.rows);
        tell(context, buf_bytes(&query_rows), statement->select->row_type);
        buf_deinit(&query_rows);
    }
    row_list_deinit(&once.rows);
    return code;
}

err subscription_rows_once(struct engine *engine, struct client *client, bytes text, subscription_rows_fn *tell,
                           void *context, struct diag *diag)
{
    const struct query_caller caller = query_caller_of(engine, client);
    struct system_tables_maker maker;
    struct statement *statement;
    struct budget budget;
    sql_budget_here(&budget, caller.is_owner, diag);
    budget.estimate_max = caller.is_owner ? 0 : engine->row_limit;
    sql_system_tables(engine, caller.is_owner, &maker);
    const struct made_tables system = system_tables_of(&maker);
    err code = statement_compile(&statement, text, engine->store.schema, &caller, &system, diag);
    if (code == OK) {
        code = statement->kind == STATEMENT_SELECT && !statement->explains
                   ? tell_rows_once(engine, statement, &budget, tell, context)
                   : diag_set(diag, ERR_BAD_SQL, "Unsupported: statements other than SELECT in a one-off query; send them "
                                                 "to /sql");
        statement_free(statement);
    }
    system_tables_deinit(&maker);
    return code;
}

struct one_off {
    struct engine *engine;
    struct client *client;
    uint32_t request_id;
};

static void answer_rows_once(void *context, bytes query_rows, const struct type *row_type)
{
    const struct one_off *one_off = context;
    struct buf *out = answer_begin(one_off->engine, one_off->client);
    server_msg_one_off_ok(out, one_off->request_id);
    buf_put_bytes(out, query_rows);
    answer_end(one_off->engine, one_off->client);
}

void subscription_ask_once(struct engine *engine, struct client *client, const struct client_msg *msg)
{
    struct one_off one_off = { engine, client, msg->request_id };
    struct diag diag;
    if (subscription_rows_once(engine, client, msg->text, answer_rows_once, &one_off, &diag) == OK)
        return;
    server_msg_one_off_error(answer_begin(engine, client), msg->request_id, bytes_of_text(diag.text));
    answer_end(engine, client);
}
