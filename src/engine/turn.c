#include "engine/turn.h"

#include "base/clock.h"
#include "engine/answer.h"
#include "engine/aside.h"
#include "engine/call.h"
#include "engine/checkpoint.h"
#include "engine/clients.h"
#include "engine/derivations.h"
#include "engine/inspection.h"
#include "engine/lookahead.h"
#include "engine/openings.h"
#include "engine/publication.h"
#include "engine/requests.h"
#include "engine/schedule.h"
#include "engine/snapshot_request.h"
#include "engine/subscription.h"
#include "engine/v1.h"
#include "proto/client_msg.h"
#include "proto/server_msg.h"

enum { CLOSE_INTERNAL = 1011, TRIM_EVERY_US = 10000000 };

/* What a finished reducer's answer is written from. */
struct call_answer {
    struct engine *engine;
    struct client *client;
    uint32_t request_id;
};

static void answer_committed(void *context, const struct update_part *parts, uint32_t count)
{
    const struct call_answer *answer = context;
    struct buf *out = answer_begin(answer->engine, answer->client);
    server_msg_reducer_ok(out, answer->request_id, answer->engine->now_us);
    if (count == 0)
        buf_put_u32(out, 0); /* an update without query sets */
    answer_add_parts(answer->engine, answer->client, parts, count);
    answer_end(answer->engine, answer->client);
}

static void answer_refused(struct engine *engine, struct client *client, uint32_t request_id, const struct diag *diag)
{
    struct buf *out = answer_begin(engine, client);
    if (diag->code == ERR_REJECTED)
        server_msg_reducer_err(out, request_id, engine->now_us, bytes_of_text(diag->text));
    else
        server_msg_reducer_internal_error(out, request_id, engine->now_us, bytes_of_text(diag->text));
    answer_end(engine, client);
}

/* What was done and said leaves. The log last: waking its thread takes time, and not all answers wait for it. */
static void hand_over(struct engine *engine)
{
    module_log_flush(engine->module_log);
    answer_flush(engine);
    openings_tidy(engine->openings);
    port_send_flush(engine->port);
    engine->gathered_size = 0;
    wal_flush(engine->wal);
}

/* M2 */
static void hand_over_much(struct engine *engine)
{
    if (answer_is_much(engine))
        hand_over(engine);
}

/* One reducer, one transaction, one answer. */
static void run_call(struct engine *engine, struct client *client, const struct upcoming *call)
{
    struct diag diag;
    bytes args = call->msg.args;
    struct call_answer answer = { engine, client, call->msg.request_id };
    const uint32_t reducer = (uint32_t)call->reducer;

    err code = call_allow(engine, call->msg.text, call->reducer, client->is_owner, &diag);
    if (code == OK)
        code = call_check_args(engine, reducer, &args, &diag);
    if (code == OK)
        code = call_run(engine, &client->caller, client, reducer, args, answer_committed, &answer, &diag);
    if (code != OK)
        answer_refused(engine, client, call->msg.request_id, &diag);
}

static void run_message(struct engine *engine, struct client *client, struct upcoming *upcoming)
{
    struct client_msg *msg = &upcoming->msg;
    if (msg->kind != CLIENT_CALL_REDUCER && client_has_left(client))
        return;
    switch (msg->kind) {
    case CLIENT_CALL_REDUCER: run_call(engine, client, upcoming); break;
    case CLIENT_SUBSCRIBE: subscription_begin(engine, client, msg); break;
    case CLIENT_UNSUBSCRIBE: subscription_end(engine, client, msg); break;
    case CLIENT_ONE_OFF_QUERY: subscription_ask_once(engine, client, msg); break;
    case CLIENT_CALL_PROCEDURE:
        server_msg_procedure_error(answer_begin(engine, client), msg->request_id, BYTES_LITERAL("no such procedure"));
        answer_end(engine, client);
        break;
    }
}

/* A v2 frame is one message and whatever follows it is ignored; a v3 frame is messages to its end. */
static void run_frame(struct engine *engine, struct client *client, bytes frame, bool is_text)
{
    if (client->v1 != NULL) {
        v1_run_frame(engine, client, frame, is_text);
        return;
    }
    struct lookahead ahead;
    struct upcoming *upcoming;
    struct diag diag;
    lookahead_init(&ahead, engine, frame, client->session->protocol == PROTOCOL_V3);
    while (!client->closing && (upcoming = lookahead_take(&ahead)) != NULL) {
        run_message(engine, client, upcoming);
        hand_over_much(engine);
    }
    if (!client->closing && lookahead_end(&ahead, &diag) != OK)
        answer_close(engine, client, CLOSE_INTERNAL, diag.text);
}

static void run_post(struct engine *engine, struct post *post)
{
    engine->now_us = clock_wall_us();
    switch (post->kind) {
    case POST_FRAME:
    case POST_TEXT_FRAME: {
        struct session *session = post->to.session;
        struct client *client = session->client;
        if (client->connected && !client->closing)
            run_frame(engine, client, bytes_of(post->data, post->size), post->kind == POST_TEXT_FRAME);
        atomic_fetch_sub_explicit(&session->waiting, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&session->waiting_bytes, post->size, memory_order_relaxed);
        break;
    }
    case POST_CONNECT: clients_connect(engine, post->to.session); break;
    case POST_DISCONNECT: clients_disconnect(engine, post->to.session); break;
    case POST_REQUEST: requests_run(engine, post->to.request); break;
    }
    hand_over_much(engine);
}

/* What large transactions have left is given back when it was not needed again. */
static void trim_memory(struct engine *engine)
{
    const int64_t now_us = clock_monotonic_us();
    if (now_us - engine->trimmed_us < TRIM_EVERY_US)
        return;
    engine->trimmed_us = now_us;
    txn_trim(engine->txn);
    wal_trim(engine->wal);
}

void turn_run(struct engine *engine, int64_t wait_us)
{
    struct block *blocks = port_receive(engine->port, schedule_wait_us(engine->schedule, wait_us));
    for (struct block *block = blocks; block != NULL; block = block->next) {
        for (size_t at = 0; at < block->used;) {
            struct post *post = (struct post *)(block->data + at);
            run_post(engine, post);
            at += (sizeof *post + post->size + 7) & ~(size_t)7;
        }
    }
    publication_run(engine);
    schedule_run(engine->schedule);
    snapshot_request_take(engine);
    checkpoint_consider(engine->checkpoint);
    derivations_sweep(engine->derivations);
    inspection_step(engine);
    aside_finish(engine->aside);
    openings_finish(engine->openings);
    hand_over(engine);
    port_done(engine->port, blocks);
    trim_memory(engine);
}
