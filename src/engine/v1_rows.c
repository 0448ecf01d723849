#include "engine/v1_rows.h"

#include "base/clock.h"
#include "engine/answer.h"
#include "engine/v1_answer.h"
#include "sub/part_reader.h"

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
    v1_message_deinit(&rows->message);
    buf_deinit(&rows->elements);
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

static struct v1_writer writer_of(struct v1_rows *rows)
{
    return (struct v1_writer){ .message = &rows->message,
                               .schema = rows->schema,
                               .in_background = rows->opening_count > 0 };
}

static struct shared *translate(struct v1_rows *rows, bytes table, const struct v1_list *list)
{
    const struct v1_writer writer = writer_of(rows);
    atomic_fetch_add(&rows->engine->v1_lists_shown, 1);
    return v1_list_make_piece(&writer, &list->rows, table, JSON_STORED);
}

/* R2. In the byte form rows are what they were; the first who needs them as JSON makes that for all. */
static struct shared *translate_awaited(struct v1_rows *rows, bytes table, const struct v1_list *list,
                                        struct shared *encoded, struct translation *translation)
{
    if (rows->form == V1_BYTES)
        return shared_ref(encoded);
    if (!translation->is_made)
        *translation = (struct translation){ true, translate(rows, table, list) };
    return translation->rows != NULL ? shared_ref(translation->rows) : NULL;
}

static bool needs_piece(const struct v1_rows *rows, const struct v1_list *list)
{
    return !rows->message.is_too_large && v1_list_needs_piece(list, rows->form);
}

/* The next table of QueryRows: its rows are at hand or, a part of their own, have been awaited. */
static void add_table(struct v1_rows *rows, struct part_reader *parts, struct opening *opening)
{
    const bytes table = reader_get_sized(part_reader_bytes(parts));
    struct v1_element *element = v1_elements_add(&rows->elements, table);
    struct v1_list *list = rows->subscribes ? &element->inserts : &element->deletes;
    struct reader *at_hand = part_reader_bytes(parts);
    if (reader_left(at_hand) > 0) {
        list->rows = row_list_view_take(at_hand);
        if (needs_piece(rows, list))
            v1_list_set_piece(&rows->message, list, translate(rows, table, list));
        return;
    }
    const uint32_t place = part_reader_take_shared(parts);
    struct shared *encoded = parts->parts[place].shared;
    struct reader awaited = reader_of(bytes_of(encoded->data, encoded->size));
    list->rows = row_list_view_take(&awaited);
    if (needs_piece(rows, list))
        v1_list_set_piece(&rows->message, list,
                          translate_awaited(rows, table, list, encoded, opening_translation(opening, place)));
}

static void add_query_rows(struct v1_rows *rows, struct part_reader *parts, struct opening *opening)
{
    for (uint32_t tables = reader_get_u32(part_reader_bytes(parts)); tables > 0; tables--)
        add_table(rows, parts, opening);
}

static void add_at_hand(struct v1_rows *rows)
{
    const struct update_part all = { .inline_bytes = buf_bytes(&rows->at_hand) };
    struct part_reader parts = part_reader_of(&all, 1);
    for (uint32_t idx = 0; idx < rows->block_count; idx++)
        add_query_rows(rows, &parts, NULL);
}

static err add_opening(struct v1_rows *rows, struct opening *opening)
{
    TRY(opening_check(opening, &rows->diag));
    const size_t size = rows->rows_size + opening_size(opening);
    if (size > SUBS_ROWS_SIZE_MAX)
        return diag_set(&rows->diag, ERR_TOO_LARGE, "the rows of these queries are more than one message can hold");
    const uint32_t count = opening_part_count(opening);
    struct update_part *parts = memory_new(sizeof *parts * count);
    opening_parts(opening, parts);
    struct part_reader reader = part_reader_of(parts, count);
    add_query_rows(rows, &reader, opening);
    memory_free(parts);
    rows->rows_size = size;
    return OK;
}

/* Who unsubscribes has asked not to hear of rows again: it goes on without those that cannot be told. */
static err add_openings(struct v1_rows *rows)
{
    for (uint32_t idx = 0; idx < rows->opening_count; idx++) {
        const err code = add_opening(rows, rows->openings[idx]);
        if (code != OK && rows->subscribes)
            return code;
    }
    return OK;
}

static void put_message(struct v1_rows *rows)
{
    const struct v1_writer writer = writer_of(rows);
    struct buf *out = &rows->message.layout;
    const int64_t duration_us = clock_monotonic_us() - rows->started_us;
    switch (rows->kind) {
    case V1_WHOLE:
        v1_put_initial_subscription(out);
        v1_update_put(&writer, &rows->elements);
        v1_put_initial_subscription_end(out, rows->request_id, duration_us);
        break;
    case V1_SINGLE:
        v1_put_single_applied(out, rows->subscribes, rows->request_id, rows->query_id, duration_us);
        v1_update_put_single(&writer, buf_bytes(&rows->table), &rows->elements);
        break;
    case V1_MULTI:
        v1_put_multi_applied(out, rows->subscribes, rows->request_id, rows->query_id, duration_us);
        v1_update_put(&writer, &rows->elements);
        break;
    }
}

static void prepare(struct late_answer *answer)
{
    struct v1_rows *rows = container_of(answer, struct v1_rows, answer);
    v1_message_begin(&rows->message, rows->form);
    add_at_hand(rows);
    rows->rows_size = rows->at_hand.size;
    rows->code = add_openings(rows);
    put_message(rows); /* which takes the pieces */
    v1_message_end(&rows->message);
    if (rows->code == OK && rows->message.is_too_large)
        rows->code = diag_set(&rows->diag, ERR_TOO_LARGE, "these rows are more than one message can hold");
    buf_deinit(&rows->at_hand);
}

/* --- On the engine's thread --- */

static void put_refusal(const struct v1_rows *rows, struct engine *engine, struct client *client,
                        const struct diag *diag)
{
    const struct v1_writer writer = v1_answer_begin(engine, client);
    v1_put_subscription_error(&writer.message->layout, clock_monotonic_us() - rows->started_us, &rows->request_id,
                              rows->kind == V1_WHOLE ? NULL : &rows->query_id, bytes_of_text(diag->text));
    v1_answer_end(engine, client);
}

/* R1 */
static bool tell(struct late_answer *answer, struct engine *engine, struct client *client, struct diag *diag)
{
    const struct v1_rows *rows = container_of(answer, struct v1_rows, answer);
    if (rows->code == OK) {
        v1_answer(engine, client, &rows->message);
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

struct v1_rows *v1_rows_new(struct engine *engine, const struct client *client, const struct v1_msg *msg)
{
    struct v1_rows *rows = memory_new(sizeof *rows);
    rows->answer.kind = &late_rows;
    rows->kind = kind_of(msg->kind);
    rows->subscribes = msg->kind != V1_UNSUBSCRIBE && msg->kind != V1_UNSUBSCRIBE_MULTI;
    rows->request_id = msg->request_id;
    rows->query_id = msg->query_id;
    rows->started_us = clock_monotonic_us();
    rows->engine = engine;
    rows->form = v1_answer_form(client);
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
