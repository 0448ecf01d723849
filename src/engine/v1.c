#include "engine/v1.h"

#include "base/clock.h"
#include "engine/answer.h"
#include "engine/call.h"
#include "engine/subscription.h"
#include "engine/v1_answer.h"
#include "engine/v1_rows.h"
#include "proto/v1_json.h"
#include "sats/json.h"

enum {
    CLOSE_INTERNAL = 1011,
    /* What all queries of a request may take together, as the queries of a set in sub/ may. */
    REQUEST_TIME_MAX_US = 2000000,
};

/* One text, however many subscriptions of the client name it. */
struct v1_query {
    bytes text; /* owned */
    bytes table; /* of its rows; empty where there are several */
    uint32_t set_id;
    uint32_t references;
    uint64_t request; /* the last that named it */
    bool has_ended;   /* sub/ has let go of the set */
};

struct v1_subscription {
    enum v1_subscription_kind kind;
    uint32_t query_id; /* not of the one whole */
    bool has_ended;
    uint32_t count;
    struct v1_query **queries; /* owned: the list; a text stands in it once */
};

struct v1_client {
    struct map queries;            /* text -> struct v1_query, owned */
    struct map subscriptions;      /* query id -> struct v1_subscription, owned */
    struct v1_subscription *whole; /* owned: what Subscribe asked for last, or NULL */
    uint32_t last_set_id;
    uint32_t reference_count; /* of all queries */
    uint64_t request;         /* counts those that subscribe */
    bool has_ended;           /* a subscription has */
};

/* Life */

static void subscription_free(struct v1_subscription *subscription)
{
    memory_free(subscription->queries);
    memory_free(subscription);
}

struct v1_client *v1_client_new(const struct session *session)
{
    if (session->protocol != PROTOCOL_V1 && session->protocol != PROTOCOL_V1_JSON)
        return NULL;
    struct v1_client *v1 = memory_new(sizeof *v1);
    map_init(&v1->queries);
    map_init(&v1->subscriptions);
    return v1;
}

void v1_client_free(struct v1_client *v1)
{
    if (v1 == NULL)
        return;
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&v1->queries, &place)) != NULL;) {
        struct v1_query *query = entry->value;
        memory_free((void *)query->text.at);
        memory_free((void *)query->table.at);
        memory_free(query);
    }
    place = 0;
    for (struct map_entry *entry; (entry = map_next(&v1->subscriptions, &place)) != NULL;)
        subscription_free(entry->value);
    if (v1->whole != NULL)
        subscription_free(v1->whole);
    map_deinit(&v1->queries);
    map_deinit(&v1->subscriptions);
    memory_free(v1);
}

/* Messages out */

void v1_greet(struct engine *engine, struct client *client)
{
    const struct session *session = client->session;
    const struct v1_writer writer = v1_answer_begin(engine, client);
    v1_put_identity_token(&writer.message->layout, &session->who, bytes_of_text(session->token), &session->connection);
    v1_answer_end(engine, client);
}

void v1_tell_update(struct engine *engine, struct client *client, const struct update_part *parts, uint32_t count)
{
    v1_answer(engine, client,
              v1_updates_get(&engine->v1_updates, v1_answer_form(client), engine->store.schema, parts, count));
}

/* Calls */

struct call_at_hand {
    struct engine *engine;
    struct client *client;
    const struct v1_msg *msg;
    struct v1_call call;
    int64_t started_us;
};

static void tell_committed(void *context, const struct update_part *parts, uint32_t count)
{
    struct call_at_hand *at_hand = context;
    if (at_hand->msg->flags & V1_FLAG_NO_SUCCESS_NOTIFY) {
        if (count > 0)
            v1_tell_update(at_hand->engine, at_hand->client, parts, count);
        return;
    }
    const struct v1_writer writer = v1_answer_begin(at_hand->engine, at_hand->client);
    v1_put_call_committed(&writer.message->layout);
    v1_updates_put(&at_hand->engine->v1_updates, &writer, parts, count);
    at_hand->call.duration_us = clock_monotonic_us() - at_hand->started_us;
    v1_put_call_end(&writer.message->layout, &at_hand->call);
    v1_answer_end(at_hand->engine, at_hand->client);
}

static void tell_failed(struct call_at_hand *at_hand, const struct diag *diag)
{
    const struct v1_writer writer = v1_answer_begin(at_hand->engine, at_hand->client);
    v1_put_call_failed(&writer.message->layout, bytes_of_text(diag->text));
    at_hand->call.duration_us = clock_monotonic_us() - at_hand->started_us;
    v1_put_call_end(&writer.message->layout, &at_hand->call);
    v1_answer_end(at_hand->engine, at_hand->client);
}

/* The arguments as BSATN, checked; and told back in the form that the client is answered in. */
static err read_args(struct call_at_hand *at_hand, bool is_text, struct buf *parsed, struct buf *printed, bytes *args,
                     struct diag *diag)
{
    struct engine *engine = at_hand->engine;
    const enum v1_form form = v1_answer_form(at_hand->client);
    const uint32_t reducer = at_hand->call.reducer_id;
    const struct reducer_def *def = &engine->store.schema->reducers[reducer];
    *args = at_hand->msg->args;
    if (!is_text) {
        TRY(call_check_args(engine, reducer, args, diag));
    } else {
        TRY(call_parse_args(engine, reducer, *args, parsed, diag));
        *args = buf_bytes(parsed);
    }
    if (form == V1_TEXT && !is_text)
        json_print(printed, def->params, *args, JSON_UNTYPED);
    const bool as_came = (form == V1_TEXT) == is_text;
    at_hand->call.args = as_came ? at_hand->msg->args : is_text ? *args : buf_bytes(printed);
    return OK;
}

/* What is refused before it runs has no number in the answer, as the protocol has it. */
static void run_call(struct engine *engine, struct client *client, const struct v1_msg *msg, bool is_text)
{
    struct call_at_hand at_hand = {
        .engine = engine,
        .client = client,
        .msg = msg,
        .call = { .timestamp_us = engine->now_us,
                  .who = client->caller.who,
                  .connection = client->caller.connection,
                  .reducer = msg->text,
                  .reducer_id = UINT32_MAX },
        .started_us = clock_monotonic_us(),
    };
    struct buf parsed = { 0 }, printed = { 0 };
    struct diag diag;
    uint32_t reducer;
    bytes args;
    err code = call_prepare(engine, msg->text, client->is_owner, &reducer, &diag);
    if (code == OK) {
        at_hand.call.reducer_id = reducer;
        code = read_args(&at_hand, is_text, &parsed, &printed, &args, &diag);
    }
    if (code == OK) {
        at_hand.call.request_id = msg->request_id;
        code = call_run(engine, &client->caller, client, reducer, args, tell_committed, &at_hand, &diag);
    }
    if (code != OK)
        tell_failed(&at_hand, &diag);
    buf_deinit(&parsed);
    buf_deinit(&printed);
}

/* Subscriptions */

static bool is_space(uint8_t letter)
{
    return letter == ' ' || (letter >= '\t' && letter <= '\r');
}

/* As sub/ has it. */
static bytes text_trim(bytes text)
{
    while (text.size > 0 && is_space(text.at[0]))
        text = bytes_of(text.at + 1, text.size - 1);
    while (text.size > 0 && is_space(text.at[text.size - 1]))
        text.size--;
    return text;
}

static void set_end(struct engine *engine, struct client *client, uint32_t set_id)
{
    struct diag diag;
    check(subs_unsubscribe(engine->subs, &client->subscriber, &engine->store, set_id, NULL, NULL, &diag) == OK);
}

static bool reads_events(const struct query *query)
{
    const struct query_join *join = query->join;
    return join == NULL ? query->table->is_event : join->tables[0]->is_event || join->tables[1]->is_event;
}

/* A set of this one query. Its rows are added to `rows`; *table is whose they are, empty where there are several. v1
 * has no way to tell events: a query for them is refused. */
static err set_begin(struct engine *engine, struct client *client, uint32_t set_id, bytes text, struct v1_rows *rows,
                     bytes *table, struct diag *diag)
{
    struct opening *opening;
    const struct query_caller caller = subscription_caller(engine, &client->caller.who, client->is_owner);
    struct buf one = { 0 };
    buf_put_sized(&one, text);
    const err code = subs_subscribe(engine->subs, &client->subscriber, &caller, &engine->store, set_id,
                                    reader_of(buf_bytes(&one)), 1, &rows->at_hand, &opening, diag);
    buf_deinit(&one);
    if (code != OK)
        return code;
    v1_rows_add(rows, opening);
    const struct query *query = subscriber_only_query(&client->subscriber, set_id);
    *table = query != NULL ? query->table->name : bytes_of("", 0);
    if (query == NULL || !reads_events(query))
        return OK;
    diag_set(diag, ERR_BAD_SQL, "the event table `%.*s` cannot be subscribed to over v1: connect with v2",
             BYTES_FORMAT(*table));
    set_end(engine, client, set_id);
    return diag->code;
}

static bytes bytes_keep(bytes text)
{
    return bytes_of(memory_copy(text.at, text.size), text.size);
}

/* One more reference to the text's query, which is made when there is none. Its rows are added when it is new; a
 * subscription to several queries does without those that the client has been shown. */
static err query_refer(struct engine *engine, struct client *client, bytes text, struct v1_rows *rows,
                       struct v1_query **out, struct diag *diag)
{
    struct v1_client *v1 = client->v1;
    struct v1_query *query = map_find(&v1->queries, text);
    const bool is_new = query == NULL;
    if (is_new || rows->kind != V1_MULTI) {
        bytes table;
        TRY(set_begin(engine, client, ++v1->last_set_id, text, rows, &table, diag));
        if (is_new) {
            query = memory_new(sizeof *query);
            *query =
                (struct v1_query){ .text = bytes_keep(text), .table = bytes_keep(table), .set_id = v1->last_set_id };
            map_put(&v1->queries, text, query);
        } else {
            set_end(engine, client, v1->last_set_id); /* it was there for its rows */
        }
    }
    query->references++;
    v1->reference_count++;
    *out = query;
    return OK;
}

/* Its rows are added when `rows` is given. Those that are too many to be told stay with the client: it has asked not to
 * hear of them again. */
static void set_leave(struct engine *engine, struct client *client, uint32_t set_id, struct v1_rows *rows)
{
    struct opening *opening;
    struct diag diag;
    struct buf *out = rows != NULL ? &rows->at_hand : NULL;
    if (subs_unsubscribe(engine->subs, &client->subscriber, &engine->store, set_id, out, &opening, &diag) != OK)
        set_end(engine, client, set_id);
    else if (rows != NULL)
        v1_rows_add(rows, opening);
}

/* One reference less. With the last one the query ends. */
static void query_release(struct engine *engine, struct client *client, struct v1_query *query, struct v1_rows *rows)
{
    client->v1->reference_count--;
    if (--query->references > 0)
        return;
    if (!query->has_ended)
        set_leave(engine, client, query->set_id, rows);
    map_remove(&client->v1->queries, query->text);
    memory_free((void *)query->text.at);
    memory_free((void *)query->table.at);
    memory_free(query);
}

/* Gives up all its queries. With `rows`, those of the queries that end are added. */
static void subscription_end_all(struct engine *engine, struct client *client, struct v1_subscription *subscription,
                                 struct v1_rows *rows)
{
    for (uint32_t idx = 0; idx < subscription->count; idx++)
        query_release(engine, client, subscription->queries[idx], rows);
    subscription_free(subscription);
}

/* L3. A query of the request, once however often it is named. */
static err subscription_add(struct engine *engine, struct client *client, struct v1_subscription *subscription,
                            bytes text, struct v1_rows *rows, struct diag *diag)
{
    struct v1_client *v1 = client->v1;
    struct v1_query *query = map_find(&v1->queries, text);
    if (query != NULL && query->request == v1->request)
        return OK;
    if (v1->reference_count == SUBS_QUERIES_MAX)
        return diag_set(diag, ERR_TOO_LARGE, "a client may hold %d queries", SUBS_QUERIES_MAX);
    TRY(query_refer(engine, client, text, rows, &query, diag));
    query->request = v1->request;
    subscription->queries[subscription->count++] = query;
    return OK;
}

/* Each query keeps to the bounds of sub/; this is for all of a request. */
static err check_request(const struct v1_rows *rows, struct diag *diag)
{
    if (rows->at_hand.size > SUBS_ROWS_SIZE_MAX)
        return diag_set(diag, ERR_TOO_LARGE, "the rows of these queries are more than one message can hold");
    if (clock_monotonic_us() - rows->started_us > REQUEST_TIME_MAX_US)
        return diag_set(diag, ERR_OUT_OF_TIME,
                        "these queries take more than %d s together: subscribe to them one by one",
                        REQUEST_TIME_MAX_US / 1000000);
    return OK;
}

/* L2. What the queries show is added to `rows`. */
static err subscription_make(struct engine *engine, struct client *client, const struct v1_msg *msg, struct v1_rows *rows,
                             struct v1_subscription **made, struct diag *diag)
{
    struct v1_subscription *subscription = memory_new(sizeof *subscription);
    struct reader left = msg->queries;
    err code = OK;
    client->v1->request++;
    *subscription = (struct v1_subscription){ .kind = rows->kind, .query_id = msg->query_id };
    subscription->queries = memory_new((msg->query_count + 1) * sizeof *subscription->queries);
    for (uint32_t idx = 0; idx < msg->query_count && code == OK; idx++) {
        const bytes text = text_trim(reader_get_sized(&left));
        code = subscription_add(engine, client, subscription, text, rows, diag);
        if (code == OK)
            code = check_request(rows, diag);
    }
    subscription->queries =
        memory_resize(subscription->queries, (subscription->count + 1) * sizeof *subscription->queries);
    if (code == OK && rows->kind == V1_SINGLE) {
        buf_put_bytes(&rows->table, subscription->queries[0]->table);
        if (rows->table.size == 0)
            code = diag_set(diag, ERR_BAD_SQL, "one query is of one table: subscribe to several with SubscribeMulti");
    }
    if (code != OK) {
        subscription_end_all(engine, client, subscription, NULL);
        subscription = NULL;
    }
    *made = subscription;
    return code;
}

/* The new whole comes before the old one goes, so that what stands in both lives on. */
static void keep_subscription(struct engine *engine, struct client *client, struct v1_subscription *subscription)
{
    struct v1_client *v1 = client->v1;
    if (subscription->kind != V1_WHOLE) {
        map_put(&v1->subscriptions, map_u32_key(&subscription->query_id), subscription);
        return;
    }
    if (v1->whole != NULL)
        subscription_end_all(engine, client, v1->whole, NULL);
    v1->whole = subscription;
}

/* L3 */
static err check_query_id(const struct v1_client *v1, uint32_t query_id, struct diag *diag)
{
    if (map_find(&v1->subscriptions, map_u32_key(&query_id)) != NULL)
        return diag_set(diag, ERR_BUSY, "the query id %u is in use", query_id);
    if (v1->subscriptions.count == SUBS_SETS_MAX)
        return diag_set(diag, ERR_TOO_LARGE, "a client may hold %d subscriptions", SUBS_SETS_MAX);
    return OK;
}

static void subscribe(struct engine *engine, struct client *client, const struct v1_msg *msg)
{
    struct v1_rows *rows = v1_rows_new(engine, client, msg);
    struct v1_subscription *subscription;
    struct diag diag;
    err code = OK;
    if (rows->kind != V1_WHOLE)
        code = check_query_id(client->v1, msg->query_id, &diag);
    if (code == OK)
        code = subscription_make(engine, client, msg, rows, &subscription, &diag);
    if (code != OK) {
        v1_rows_refuse(rows, engine, client, &diag);
        return;
    }
    v1_rows_tell(rows, engine, client);
    keep_subscription(engine, client, subscription);
}

static void unsubscribe(struct engine *engine, struct client *client, const struct v1_msg *msg)
{
    struct v1_rows *rows = v1_rows_new(engine, client, msg);
    struct v1_subscription *subscription = map_find(&client->v1->subscriptions, map_u32_key(&msg->query_id));
    if (subscription == NULL || subscription->kind != rows->kind) {
        struct diag diag;
        diag_set(&diag, ERR_NOT_FOUND, "there is no such subscription: query id %u", msg->query_id);
        v1_rows_refuse(rows, engine, client, &diag);
        return;
    }
    if (rows->kind == V1_SINGLE)
        buf_put_bytes(&rows->table, subscription->queries[0]->table);
    map_remove(&client->v1->subscriptions, map_u32_key(&msg->query_id));
    subscription_end_all(engine, client, subscription, rows);
    v1_rows_tell(rows, engine, client);
}

static bool refers_to_ended(const struct v1_subscription *subscription)
{
    for (uint32_t idx = 0; idx < subscription->count; idx++) {
        if (subscription->queries[idx]->has_ended)
            return true;
    }
    return false;
}

static void tell_ended(struct engine *engine, struct client *client, struct v1_subscription *subscription,
                       const struct diag *diag)
{
    if (subscription == NULL || subscription->has_ended || !refers_to_ended(subscription))
        return;
    subscription->has_ended = client->v1->has_ended = true;
    const struct v1_writer writer = v1_answer_begin(engine, client);
    v1_put_subscription_error(&writer.message->layout, 0, NULL,
                              subscription->kind == V1_WHOLE ? NULL : &subscription->query_id,
                              bytes_of_text(diag->text));
    v1_answer_end(engine, client);
}

void v1_query_ended(struct engine *engine, struct client *client, uint32_t set_id, const struct diag *diag)
{
    struct v1_client *v1 = client->v1;
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&v1->queries, &place)) != NULL;) {
        struct v1_query *query = entry->value;
        query->has_ended = query->has_ended || query->set_id == set_id;
    }
    tell_ended(engine, client, v1->whole, diag);
    place = 0;
    for (struct map_entry *entry; (entry = map_next(&v1->subscriptions, &place)) != NULL;)
        tell_ended(engine, client, entry->value, diag);
}

/* A subscription that has ended, or NULL. */
static struct v1_subscription *take_ended(struct v1_client *v1)
{
    uint32_t place = 0;
    struct v1_subscription *whole = v1->whole;
    if (whole != NULL && whole->has_ended) {
        v1->whole = NULL;
        return whole;
    }
    for (struct map_entry *entry; (entry = map_next(&v1->subscriptions, &place)) != NULL;) {
        struct v1_subscription *subscription = entry->value;
        if (subscription->has_ended) {
            map_remove(&v1->subscriptions, map_u32_key(&subscription->query_id));
            return subscription;
        }
    }
    return NULL;
}

void v1_drop_ended(struct engine *engine)
{
    for (struct client *client = engine->clients; client != NULL; client = client->next) {
        if (client->v1 == NULL || !client->v1->has_ended)
            continue;
        for (struct v1_subscription *ended; (ended = take_ended(client->v1)) != NULL;)
            subscription_end_all(engine, client, ended, NULL);
        client->v1->has_ended = false;
    }
}

/* Queries without subscribing */

struct one_off {
    struct engine *engine;
    struct client *client;
    bytes message_id;
    int64_t started_us;
};

static void tell_rows_once(void *context, bytes query_rows, const struct type *row_type)
{
    const struct one_off *one_off = context;
    const struct v1_writer writer = v1_answer_begin(one_off->engine, one_off->client);
    v1_put_one_off(&writer.message->layout, one_off->message_id);
    v1_update_put_tables(&writer, query_rows, row_type);
    buf_put_u64(&writer.message->layout, (uint64_t)(clock_monotonic_us() - one_off->started_us));
    v1_answer_end(one_off->engine, one_off->client);
}

static void ask_once(struct engine *engine, struct client *client, const struct v1_msg *msg)
{
    struct one_off one_off = { engine, client, msg->message_id, clock_monotonic_us() };
    struct diag diag;
    if (subscription_rows_once(engine, client, msg->text, tell_rows_once, &one_off, &diag) == OK)
        return;
    const struct v1_writer writer = v1_answer_begin(engine, client);
    v1_put_one_off_error(&writer.message->layout, msg->message_id, bytes_of_text(diag.text),
                         clock_monotonic_us() - one_off.started_us);
    v1_answer_end(engine, client);
}

/* Messages in */

static void refuse_procedure(struct engine *engine, struct client *client, const struct v1_msg *msg)
{
    const struct v1_writer writer = v1_answer_begin(engine, client);
    v1_put_procedure_error(&writer.message->layout, msg->request_id, BYTES_LITERAL("no such procedure"));
    v1_answer_end(engine, client);
}

static void run_message(struct engine *engine, struct client *client, const struct v1_msg *msg, bool is_text)
{
    if (msg->kind != V1_CALL_REDUCER && client_has_left(client))
        return;
    switch (msg->kind) {
    case V1_CALL_REDUCER: run_call(engine, client, msg, is_text); break;
    case V1_SUBSCRIBE:
    case V1_SUBSCRIBE_SINGLE:
    case V1_SUBSCRIBE_MULTI: subscribe(engine, client, msg); break;
    case V1_UNSUBSCRIBE:
    case V1_UNSUBSCRIBE_MULTI: unsubscribe(engine, client, msg); break;
    case V1_ONE_OFF_QUERY: ask_once(engine, client, msg); break;
    case V1_CALL_PROCEDURE: refuse_procedure(engine, client, msg); break;
    case V1_MSG_KIND_COUNT: unreachable();
    }
}

void v1_run_frame(struct engine *engine, struct client *client, bytes frame, bool is_text)
{
    struct buf decoded = { 0 };
    struct v1_msg msg;
    struct diag diag;
    err code = OK;
    if (is_text) {
        code = v1_json_decode(frame, &decoded, &diag);
        frame = buf_bytes(&decoded);
    }
    if (code == OK)
        code = v1_msg_decode(frame, &msg, &diag);
    if (code == OK)
        run_message(engine, client, &msg, is_text);
    else
        answer_close(engine, client, CLOSE_INTERNAL, diag.text);
    buf_deinit(&decoded);
}
