#include "engine/subscription.h"

#include "engine/answer.h"
#include "engine/v1.h"
#include "proto/server_msg.h"

static struct query_caller query_caller_of(const struct client *client)
{
    return (struct query_caller){ client->caller.who, client->is_owner };
}

/* A message that turns out to be an error is written over from where it began. */
static void answer_error(struct engine *engine, struct client *client, size_t start, const struct client_msg *msg,
                         const struct diag *diag)
{
    struct buf *out = answer_begin(engine, client);
    out->size = start;
    server_msg_subscription_error(out, &msg->request_id, msg->query_set_id, bytes_of_text(diag->text));
    answer_end(client, 0);
}

void subscription_begin(struct engine *engine, struct client *client, const struct client_msg *msg)
{
    const struct query_caller caller = query_caller_of(client);
    struct diag diag;
    struct buf *out = answer_begin(engine, client);
    const size_t start = out->size;
    server_msg_subscribe_applied(out, msg->request_id, msg->query_set_id);
    if (subs_subscribe(engine->subs, &client->subscriber, &caller, &engine->store, msg->query_set_id, msg->queries,
                       msg->query_count, out, &diag) == OK)
        answer_end(client, wal_next_offset(engine->wal));
    else
        answer_error(engine, client, start, msg, &diag);
}

void subscription_end(struct engine *engine, struct client *client, const struct client_msg *msg)
{
    struct diag diag;
    struct buf *out = answer_begin(engine, client);
    const size_t start = out->size;
    server_msg_unsubscribe_applied(out, msg->request_id, msg->query_set_id, msg->send_dropped_rows);
    if (subs_unsubscribe(engine->subs, &client->subscriber, &engine->store, msg->query_set_id,
                         msg->send_dropped_rows ? out : NULL, &diag) == OK)
        answer_end(client, wal_next_offset(engine->wal));
    else
        answer_error(engine, client, start, msg, &diag);
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
    answer_end(client, 0);
}

static bool add_row(void *context, bytes row)
{
    row_list_add(context, row);
    return true;
}

err subscription_rows_once(struct engine *engine, struct client *client, bytes text, struct buf *out, struct diag *diag)
{
    const struct query_caller caller = query_caller_of(client);
    struct query *query;
    TRY(query_compile(&query, text, engine->store.schema, &caller, QUERY_ONCE, diag));
    struct row_list rows;
    row_list_init(&rows);
    (void)query_run(query, &engine->store, NULL, add_row, &rows);
    buf_put_u32(out, 1);
    buf_put_sized(out, query->table->name);
    row_list_encode(out, &rows);
    row_list_deinit(&rows);
    query_free(query);
    return OK;
}

void subscription_ask_once(struct engine *engine, struct client *client, const struct client_msg *msg)
{
    struct diag diag;
    struct buf *out = answer_begin(engine, client);
    const size_t start = out->size;
    server_msg_one_off_ok(out, msg->request_id);
    if (subscription_rows_once(engine, client, msg->text, out, &diag) == OK) {
        answer_end(client, wal_next_offset(engine->wal));
        return;
    }
    out->size = start;
    server_msg_one_off_error(out, msg->request_id, bytes_of_text(diag.text));
    answer_end(client, 0);
}
