#include "engine/v1_rows.h"

#include "base/background.h"
#include "base/clock.h"
#include "engine/answer.h"
#include "proto/v1_json.h"
#include "proto/v1_update.h"

enum { CLOSE_INTERNAL = 1011 };

static enum v1_subscription_kind kind_of(enum v1_msg_kind kind)
{
    if (kind == V1_SUBSCRIBE)
        return V1_WHOLE;
    return kind == V1_SUBSCRIBE_SINGLE || kind == V1_UNSUBSCRIBE ? V1_SINGLE : V1_MULTI;
}

void v1_rows_free(struct v1_rows *rows)
{
    for (uint32_t idx = 0; idx < rows->opening_count; idx++)
        opening_free(rows->openings[idx]);
    memory_free(rows->openings);
    shared_unref(rows->message);
    schema_free(rows->schema);
    buf_deinit(&rows->table);
    buf_deinit(&rows->at_hand);
    memory_free(rows);
}

void v1_rows_add(struct v1_rows *rows, struct opening *opening)
{
    if (opening == NULL) {
        rows->block_count++;
        return;
    }
    rows->openings = memory_resize(rows->openings, (rows->opening_count + 1) * sizeof *rows->openings);
    rows->openings[rows->opening_count++] = opening;
}

/* --- Once all rows are there: on any one thread --- */

static err add_opening(struct v1_rows *rows, const struct opening *opening)
{
    TRY(opening_check(opening, &rows->diag));
    const uint32_t count = opening_part_count(opening);
    struct update_part *parts = memory_new(sizeof *parts * count);
    opening_parts(opening, parts);
    update_parts_put(&rows->at_hand, parts, count);
    memory_free(parts);
    rows->block_count++;
    if (rows->at_hand.size > SUBS_ROWS_SIZE_MAX)
        return diag_set(&rows->diag, ERR_TOO_LARGE, "the rows of these queries are more than one message can hold");
    return OK;
}

/* Who unsubscribes has asked not to hear of rows again: it goes on without those that cannot be told. */
static err add_openings(struct v1_rows *rows)
{
    for (uint32_t idx = 0; idx < rows->opening_count; idx++) {
        background_stand_back();
        const size_t size = rows->at_hand.size;
        const uint32_t block_count = rows->block_count;
        const err code = add_opening(rows, rows->openings[idx]);
        if (code != OK && rows->subscribes)
            return code;
        if (code != OK) {
            rows->at_hand.size = size;
            rows->block_count = block_count;
        }
    }
    return OK;
}

static void put_message(const struct v1_rows *rows, struct buf *out)
{
    const struct v1_writer writer = { .out = out, .form = rows->form, .schema = rows->schema };
    const int64_t duration_us = clock_monotonic_us() - rows->started_us;
    switch (rows->kind) {
    case V1_WHOLE:
        v1_put_initial_subscription(out);
        v1_update_put_rows(&writer, buf_bytes(&rows->at_hand), rows->block_count, true);
        v1_put_initial_subscription_end(out, rows->request_id, duration_us);
        break;
    case V1_SINGLE:
        v1_put_single_applied(out, rows->subscribes, rows->request_id, rows->query_id, duration_us);
        v1_update_put_single(&writer, buf_bytes(&rows->table), buf_bytes(&rows->at_hand), rows->subscribes);
        break;
    case V1_MULTI:
        v1_put_multi_applied(out, rows->subscribes, rows->request_id, rows->query_id, duration_us);
        v1_update_put_rows(&writer, buf_bytes(&rows->at_hand), rows->block_count, rows->subscribes);
        break;
    }
}

static void prepare(struct late_answer *answer)
{
    struct v1_rows *rows = container_of(answer, struct v1_rows, answer);
    struct buf message = { 0 };
    rows->code = add_openings(rows);
    if (rows->code != OK)
        return;
    put_message(rows, &message);
    buf_deinit(&rows->at_hand);
    rows->message = v1_json_share(rows->form, buf_bytes(&message));
    buf_deinit(&message);
    if (rows->message == NULL)
        rows->code = diag_set(&rows->diag, ERR_TOO_LARGE, "these rows are more than one message can hold");
}

/* --- On the engine's thread --- */

static void put_refusal(const struct v1_rows *rows, struct engine *engine, struct client *client, const struct diag *diag)
{
    struct buf message = { 0 };
    v1_put_subscription_error(&message, clock_monotonic_us() - rows->started_us, &rows->request_id,
                              rows->kind == V1_WHOLE ? NULL : &rows->query_id, bytes_of_text(diag->text));
    struct shared *shared = v1_json_share(rows->form, buf_bytes(&message));
    answer_shared(engine, client, shared);
    shared_unref(shared);
    buf_deinit(&message);
}

/* R1 */
static bool tell(struct late_answer *answer, struct engine *engine, struct client *client, struct diag *diag)
{
    const struct v1_rows *rows = container_of(answer, struct v1_rows, answer);
    if (rows->code == OK) {
        answer_shared(engine, client, rows->message);
        return true;
    }
    *diag = rows->diag;
    put_refusal(rows, engine, client, diag);
    return false;
}

static void free_answer(struct late_answer *answer)
{
    v1_rows_free(container_of(answer, struct v1_rows, answer));
}

static const struct late_answer_kind late_rows = { .prepare = prepare, .tell = tell, .free = free_answer };

struct v1_rows *v1_rows_new(struct engine *engine, enum v1_form form, const struct v1_msg *msg)
{
    struct v1_rows *rows = memory_new(sizeof *rows);
    rows->answer.kind = &late_rows;
    rows->kind = kind_of(msg->kind);
    rows->subscribes = msg->kind != V1_UNSUBSCRIBE && msg->kind != V1_UNSUBSCRIBE_MULTI;
    rows->request_id = msg->request_id;
    rows->query_id = msg->query_id;
    rows->started_us = clock_monotonic_us();
    rows->form = form;
    rows->schema = schema_ref(engine->store.schema);
    return rows;
}

void v1_rows_tell(struct v1_rows *rows, struct engine *engine, struct client *client)
{
    struct diag diag;
    if (rows->opening_count > 0) {
        openings_begin(engine->openings, client, &rows->answer);
        return;
    }
    prepare(&rows->answer);
    if (!tell(&rows->answer, engine, client, &diag))
        answer_close(engine, client, CLOSE_INTERNAL, diag.text);
    v1_rows_free(rows);
}

void v1_rows_refuse(struct v1_rows *rows, struct engine *engine, struct client *client, const struct diag *diag)
{
    subs_leave_batch(engine->subs);
    put_refusal(rows, engine, client, diag);
    v1_rows_free(rows);
}
