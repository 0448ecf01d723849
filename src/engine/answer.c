#include "engine/answer.h"

#include "engine/openings.h"

enum { GATHERED_SIZE_MAX = 32 << 20 };

static struct packet *packet_new(enum packet_kind kind)
{
    struct packet *packet = memory_new(sizeof *packet);
    packet->kind = kind;
    return packet;
}

static void add_part(struct packet *packet, uint32_t size, struct shared *shared)
{
    packet->size += size;
    /* Bytes that follow one another in `data` and in one message are one part. */
    if (shared == NULL && packet->part_count > 0) {
        struct packet_part *last = &packet->parts[packet->part_count - 1];
        if (last->shared == NULL && !last->ends_message) {
            last->size += size;
            return;
        }
    }
    if (packet->part_count == packet->part_capacity) {
        packet->part_capacity = packet->part_capacity > 0 ? packet->part_capacity * 2 : 16;
        packet->parts = memory_resize(packet->parts, packet->part_capacity * sizeof *packet->parts);
    }
    packet->parts[packet->part_count++] = (struct packet_part){ .size = size, .shared = shared };
}

/* What was written into `data` since the last part became a part. */
static void close_inline(struct engine *engine, struct packet *packet)
{
    if (packet->data.size > packet->counted) {
        add_part(packet, (uint32_t)(packet->data.size - packet->counted), NULL);
        engine->gathered_size += packet->data.size - packet->counted;
        packet->counted = packet->data.size;
    }
}

struct buf *answer_begin(struct engine *engine, struct client *client)
{
    if (client->open == NULL) {
        client->open = packet_new(PACKET_MESSAGES);
        client->open->to.session = client->session;
        client->next_open = engine->open_clients;
        engine->open_clients = client;
    }
    return &client->open->data;
}

struct packet *answer_put_aside(struct client *client)
{
    struct packet *aside = client->open;
    client->open = packet_new(PACKET_MESSAGES);
    client->open->to.session = client->session;
    return aside;
}

void answer_send_ahead(struct engine *engine, struct client *client, struct packet *aside)
{
    port_send(engine->port, client->open);
    client->open = aside;
}

void answer_add_parts(struct engine *engine, struct client *client, const struct update_part *parts, uint32_t count)
{
    struct packet *packet = client->open;
    for (uint32_t idx = 0; idx < count; idx++) {
        if (parts[idx].shared == NULL) {
            buf_put_bytes(&packet->data, parts[idx].inline_bytes);
            continue;
        }
        close_inline(engine, packet);
        add_part(packet, parts[idx].shared->size, shared_ref(parts[idx].shared));
        engine->gathered_size += parts[idx].shared->size;
    }
}

/* M1 */
static uint64_t needs_now(const struct engine *engine, const struct session *session)
{
    return session->confirmed ? wal_next_offset(engine->wal) : 0;
}

void answer_end(struct engine *engine, struct client *client)
{
    struct packet *packet = client->open;
    close_inline(engine, packet);
    check(packet->part_count > 0);
    packet->parts[packet->part_count - 1].ends_message = true;
    packet->message_count++;
    packet->needs = needs_now(engine, client->session);
}

void answer_close(struct engine *engine, struct client *client, uint16_t code, const char *reason)
{
    answer_flush(engine);
    openings_drop(engine->openings, client);
    struct packet *packet = packet_new(PACKET_CLOSE);
    packet->to.session = client->session;
    packet->needs = needs_now(engine, client->session);
    packet->close_code = code;
    buf_put_text(&packet->data, reason);
    port_send(engine->port, packet);
    client->closing = true;
}

void answer_drop(struct engine *engine, struct session *session)
{
    struct packet *packet = packet_new(PACKET_DROP);
    packet->to.session = session;
    packet->needs = needs_now(engine, session);
    port_send(engine->port, packet);
}

void answer_flush(struct engine *engine)
{
    for (struct client *client = engine->open_clients; client != NULL; client = client->next_open) {
        struct packet *packet = client->open;
        client->open = NULL;
        if (packet->message_count == 0)
            packet_free(packet); /* what was begun waits: openings_begin() */
        else if (!openings_hold(client, packet))
            port_send(engine->port, packet);
    }
    engine->open_clients = NULL;
}

bool answer_is_much(const struct engine *engine)
{
    return engine->gathered_size > GATHERED_SIZE_MAX;
}
