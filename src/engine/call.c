#include "engine/call.h"

#include "base/hash.h"
#include "engine/answer.h"
#include "engine/derivations.h"
#include "engine/schedule.h"
#include "engine/subscription.h"
#include "engine/v1.h"
#include "proto/server_msg.h"
#include "sats/bsatn.h"
#include "sats/json.h"

int32_t call_find(const struct engine *engine, bytes name)
{
    return (int32_t)(uintptr_t)map_find(&engine->reducers, name) - 1;
}

err call_allow(const struct engine *engine, bytes name, int32_t found, bool is_owner, struct diag *diag)
{
    if (found == CALL_NO_REDUCER)
        return diag_set(diag, ERR_NO_REDUCER, "no such reducer: %.*s", BYTES_FORMAT(name));
    const struct reducer_def *def = &engine->store.schema->reducers[found];
    if (def->lifecycle >= 0)
        return diag_set(diag, ERR_FORBIDDEN, "lifecycle reducer %.*s cannot be called directly", BYTES_FORMAT(name));
    if (def->is_private && !is_owner)
        return diag_set(diag, ERR_NO_REDUCER, "no such reducer: %.*s", BYTES_FORMAT(name));
    return OK;
}

err call_prepare(struct engine *engine, bytes name, bool is_owner, uint32_t *reducer, struct diag *diag)
{
    const int32_t found = call_find(engine, name);
    *reducer = (uint32_t)found;
    return call_allow(engine, name, found, is_owner, diag);
}

static err refuse_args(const struct reducer_def *def, struct diag *diag)
{
    diag_note(diag, "invalid arguments for reducer %.*s: ", BYTES_FORMAT(def->name));
    return diag->code = ERR_BAD_ARGS;
}

err call_check_args(struct engine *engine, uint32_t reducer, bytes *args, struct diag *diag)
{
    const struct reducer_def *def = &engine->store.schema->reducers[reducer];
    size_t used = 0;
    if (bsatn_check_args(def->params, *args, &used, diag) != OK)
        return refuse_args(def, diag);
    args->size = used; /* trailing bytes are ignored, as the protocol has it */
    return OK;
}

err call_parse_args(struct engine *engine, uint32_t reducer, bytes text, struct buf *args, struct diag *diag)
{
    const struct reducer_def *def = &engine->store.schema->reducers[reducer];
    return json_parse_args(def->params, text, args, diag) == OK ? OK : refuse_args(def, diag);
}

/* Where a published update goes: the caller's part to `tell`, everybody else's into a TransactionUpdate. */
struct delivery {
    struct engine *engine;
    struct client *client;
    call_tell_fn *tell;
    void *context;
    bool told;
    bool has_ended; /* a subscription, of anybody */
};

static void deliver(void *context, struct subscriber *subscriber, const struct update_part *parts, uint32_t count)
{
    struct delivery *delivery = context;
    struct client *client = container_of(subscriber, struct client, subscriber);
    if (client == delivery->client) {
        delivery->tell(delivery->context, parts, count);
        delivery->told = true;
        return;
    }
    if (client->closing)
        return;
    if (client->v1 != NULL) {
        v1_tell_update(delivery->engine, client, parts, count);
        return;
    }
    server_msg_transaction_update(answer_begin(delivery->engine, client));
    answer_add_parts(delivery->engine, client, parts, count);
    answer_end(delivery->engine, client);
}

static void end_subscription(void *context, struct subscriber *subscriber, uint32_t query_set_id, const struct diag *diag)
{
    struct delivery *delivery = context;
    delivery->has_ended = true;
    subscription_tell_ended(delivery->engine, subscriber, query_set_id, diag);
}

void call_log(struct engine *engine, const struct record *record, const struct delta *delta)
{
    struct buf *out = wal_append_begin(engine->wal);
    const size_t start = out->size;
    record_encode(out, record, delta);
    engine->logged_bytes += out->size - start;
    (void)wal_append_end(engine->wal);
}

/* A transaction that changed nothing is not logged, but what it has read must be durable all the same before its
 * outcome is told (M1 of answer.h). Clients coming and going, and publishing, are always logged. */
static bool must_be_logged(const struct record *record, const struct delta *delta)
{
    const bool may_be_left_out = record->kind == RECORD_CALL || record->kind == RECORD_SQL ||
                                 (record->kind == RECORD_TICK && !record->tick_counts);
    return delta != NULL || !may_be_left_out;
}

static void publish(struct delivery *delivery, const struct delta *delta)
{
    struct engine *engine = delivery->engine;
    subs_publish(engine->subs, &engine->store, delta, deliver, end_subscription, delivery);
    v1_updates_clear(&engine->v1_updates);
    if (delivery->has_ended)
        v1_drop_ended(engine);
}

void call_publish(struct engine *engine, const struct delta *delta)
{
    struct delivery delivery = { .engine = engine };
    publish(&delivery, delta);
}

void call_commit(struct engine *engine, const struct record *record, struct client *client, call_tell_fn *tell, void *context)
{
    const struct delta *delta = txn_commit(engine->txn);
    if (must_be_logged(record, delta))
        call_log(engine, record, delta);

    struct delivery delivery = { engine, client, tell, context, false, false };
    if (delta != NULL && engine->schedule != NULL)
        schedule_follow(engine->schedule, delta, record->timestamp_us);
    if (delta != NULL && engine->derivations != NULL)
        delta = derivations_follow(engine->derivations, delta, end_subscription, &delivery);
    if (delta != NULL)
        publish(&delivery, delta);
    if (tell != NULL && !delivery.told)
        tell(context, NULL, 0);
    txn_end(engine->txn);
}

uint64_t call_draw_seed(struct engine *engine)
{
    return hash_mix((uint64_t)engine->now_us, ++engine->seeds_drawn);
}

/* The record keeps the seed, so that a replay draws the same. */
static err run_reducer(struct engine *engine, const struct caller *caller, uint32_t reducer, bytes args, uint64_t seed,
                       struct diag *diag)
{
    const struct call_context context = {
        .sender = caller->who,
        .connection = caller->connection,
        .timestamp_us = engine->now_us,
        .random_seed = seed,
    };
    return module_call(engine->module, engine->txn, &context, reducer, args, diag);
}

err call_run(struct engine *engine, const struct caller *caller, struct client *client, uint32_t reducer, bytes args,
             call_tell_fn *tell, void *context, struct diag *diag)
{
    const struct record record = { .kind = RECORD_CALL,
                                   .timestamp_us = engine->now_us,
                                   .client = caller->number,
                                   .seed = call_draw_seed(engine),
                                   .reducer = (uint16_t)reducer,
                                   .args = args };
    txn_begin(engine->txn);
    const err code = run_reducer(engine, caller, reducer, args, record.seed, diag);
    if (code != OK) {
        txn_abort(engine->txn);
        return code;
    }
    call_commit(engine, &record, client, tell, context);
    return OK;
}

err call_run_lifecycle(struct engine *engine, const struct caller *caller, enum lifecycle event, bool even_if_it_fails,
                       struct diag *diag)
{
    check(event == LIFECYCLE_CONNECT || event == LIFECYCLE_DISCONNECT);
    const struct record record = { .kind = event == LIFECYCLE_CONNECT ? RECORD_CONNECT : RECORD_DISCONNECT,
                                   .timestamp_us = engine->now_us,
                                   .client = caller->number,
                                   .seed = call_draw_seed(engine),
                                   .who = caller->who,
                                   .connection = caller->connection };
    const int32_t reducer = engine->store.schema->lifecycle[event];
    err code = OK;
    txn_begin(engine->txn);
    if (reducer >= 0)
        code = run_reducer(engine, caller, (uint32_t)reducer, bytes_of("", 0), record.seed, diag);
    if (code != OK) {
        txn_abort(engine->txn);
        if (!even_if_it_fails)
            return code;
        txn_begin(engine->txn);
    }
    call_commit(engine, &record, NULL, NULL, NULL);
    return code;
}
