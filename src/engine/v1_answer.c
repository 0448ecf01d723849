#include "engine/v1_answer.h"

#include "engine/answer.h"

enum { CLOSE_INTERNAL = 1011 };

enum v1_form v1_answer_form(const struct client *client)
{
    return client->session->protocol == PROTOCOL_V1_JSON ? V1_TEXT : V1_BYTES;
}

struct v1_writer v1_answer_begin(struct engine *engine, const struct client *client)
{
    v1_message_begin(&engine->v1_message, v1_answer_form(client));
    return (struct v1_writer){ .message = &engine->v1_message, .schema = engine->store.schema };
}

void v1_answer_end(struct engine *engine, struct client *client)
{
    v1_message_end(&engine->v1_message);
    v1_answer(engine, client, &engine->v1_message);
    v1_message_clear(&engine->v1_message);
}

static struct update_part part_of(struct shared *piece)
{
    if (piece == NULL)
        return (struct update_part){ .inline_bytes = v1_no_rows };
    const bool is_small = piece->size <= UPDATE_INLINE_MAX;
    return (struct update_part){ bytes_of(piece->data, piece->size), is_small ? NULL : piece };
}

/* A1 */
static void close_client(struct engine *engine, struct client *client)
{
    answer_close(engine, client, CLOSE_INTERNAL, "there is more to be told than one message can hold");
}

void v1_answer(struct engine *engine, struct client *client, const struct v1_message *message)
{
    if (client->closing)
        return;
    if (message->is_too_large) {
        close_client(engine, client);
        return;
    }
    const uint32_t count = v1_message_piece_count(message);
    (void)answer_begin(engine, client);
    for (uint32_t place = 0; place < count; place++) {
        const struct update_part parts[] = { { .inline_bytes = v1_message_bytes(message, place) },
                                             part_of(v1_message_piece(message, place)) };
        answer_add_parts(engine, client, parts, COUNTOF(parts));
    }
    answer_add_parts(engine, client, &(struct update_part){ .inline_bytes = v1_message_bytes(message, count) }, 1);
    answer_end(engine, client);
}
