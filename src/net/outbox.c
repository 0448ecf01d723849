#include "net/outbox.h"

enum {
    FRAME_SIZE_MAX = 512 << 10, /* where the reference server begins a new payload */
    FILL_SIZE_MAX = 1 << 20,    /* more than a socket's buffer takes at once */
    FRAME_TEXT = 0x81,
    FRAME_BINARY = 0x82,
    FRAME_CLOSE = 0x88,
    FRAME_PING = 0x89, /* each with the FIN bit */
    NOT_COMPRESSED = 0x00,
    CONTROL_SIZE_MAX = 125,
};

void outbox_deinit(struct outbox *outbox)
{
    while (outbox->first != NULL) {
        struct packet *packet = outbox->first;
        outbox->first = packet->next;
        packet_free(packet);
    }
    *outbox = (struct outbox){ 0 };
}

void outbox_put(struct outbox *outbox, struct packet *packet)
{
    packet->next = NULL;
    outbox->message_count += packet->message_count;
    outbox->size += packet->size;
    if (outbox->first != NULL) {
        outbox->last->next = packet;
    } else {
        outbox->first = packet;
        outbox->place = (struct outbox_place){ .packet = packet };
    }
    outbox->last = packet;
}

static void drop_first(struct outbox *outbox)
{
    struct packet *packet = outbox->first;
    outbox->first = packet->next;
    outbox->message_count -= packet->message_count;
    outbox->size -= packet->size;
    packet_free(packet);
}

/* F1 */
static bool may_leave(const struct packet *packet, const struct outbox_terms *terms)
{
    return packet != NULL && packet->needs <= terms->durable;
}

bool outbox_is_ready(const struct outbox *outbox, const struct outbox_terms *terms)
{
    return may_leave(outbox->first, terms);
}

struct packet *outbox_ending(const struct outbox *outbox, const struct outbox_terms *terms)
{
    const bool ends = may_leave(outbox->first, terms) && outbox->first->kind != PACKET_MESSAGES;
    return ends ? outbox->first : NULL;
}

/* Moves over one part and tells its size. */
static bool step(struct outbox_place *place)
{
    const struct packet_part *part = &place->packet->parts[place->part++];
    if (part->shared == NULL)
        place->at += part->size;
    return part->ends_message;
}

/* Stands at a part that may leave, in this packet or the next; false when there is none. */
static bool settle(struct outbox_place *place, const struct outbox_terms *terms)
{
    while (may_leave(place->packet, terms) && place->packet->kind == PACKET_MESSAGES) {
        if (place->part < place->packet->part_count)
            return true;
        *place = (struct outbox_place){ .packet = place->packet->next };
    }
    return false;
}

/* Moves over one message; its size. */
static size_t pass_message(struct outbox_place *place)
{
    size_t size = 0;
    bool ended = false;
    while (!ended) {
        check(place->part < place->packet->part_count);
        size += place->packet->parts[place->part].size;
        ended = step(place);
    }
    return size;
}

/* Where the frame that begins at `place` ends, and the size of its messages (F2). */
static struct outbox_place measure_frame(struct outbox_place place, const struct outbox_terms *terms, size_t *size)
{
    *size = pass_message(&place);
    while (terms->protocol == PROTOCOL_V3 && settle(&place, terms)) {
        struct outbox_place after = place;
        const size_t more = pass_message(&after);
        if (*size + more > FRAME_SIZE_MAX)
            break;
        *size += more;
        place = after;
    }
    return place;
}

static void put_frame_head(struct buf *frames, uint8_t opcode, size_t size)
{
    buf_put_u8(frames, opcode);
    if (size < 126) {
        buf_put_u8(frames, (uint8_t)size);
    } else if (size <= UINT16_MAX) {
        buf_put_u8(frames, 126);
        buf_put_u16(frames, __builtin_bswap16((uint16_t)size));
    } else {
        buf_put_u8(frames, 127);
        buf_put_u64(frames, __builtin_bswap64(size));
    }
}

/* The text form alone has no byte that tells of compression. */
static void put_message_head(struct buf *frames, enum protocol protocol, size_t size)
{
    if (protocol == PROTOCOL_V1_JSON) {
        put_frame_head(frames, FRAME_TEXT, size);
        return;
    }
    put_frame_head(frames, FRAME_BINARY, size + 1);
    buf_put_u8(frames, NOT_COMPRESSED);
}

static void copy_parts(struct buf *frames, struct outbox_place from, const struct outbox_place *to)
{
    while (from.packet != to->packet || from.part != to->part) {
        if (from.part == from.packet->part_count) {
            from = (struct outbox_place){ .packet = from.packet->next };
            continue;
        }
        const struct packet_part *part = &from.packet->parts[from.part];
        const uint8_t *at = part->shared != NULL ? part->shared->data : from.packet->data.data + from.at;
        buf_put(frames, at, part->size);
        (void)step(&from);
    }
}

/* Lets go of packets that have left completely. */
static void release(struct outbox *outbox)
{
    while (outbox->first != outbox->place.packet)
        drop_first(outbox);
    struct packet *first = outbox->first;
    if (first != NULL && first->kind == PACKET_MESSAGES && outbox->place.part == first->part_count) {
        drop_first(outbox);
        outbox->place = (struct outbox_place){ .packet = outbox->first };
    }
}

void outbox_fill(struct outbox *outbox, const struct outbox_terms *terms, struct buf *frames)
{
    while (settle(&outbox->place, terms)) {
        size_t size;
        const struct outbox_place end = measure_frame(outbox->place, terms, &size);
        if (frames->size > 0 && frames->size + size > FILL_SIZE_MAX)
            break;
        put_message_head(frames, terms->protocol, size);
        copy_parts(frames, outbox->place, &end);
        outbox->place = end;
    }
    release(outbox);
}

void outbox_put_ping(struct buf *frames, bytes payload)
{
    check(payload.size <= CONTROL_SIZE_MAX);
    put_frame_head(frames, FRAME_PING, payload.size);
    buf_put_bytes(frames, payload);
}

void outbox_put_close(struct buf *frames, uint16_t code, bytes reason)
{
    size_t size = reason.size;
    if (size > CONTROL_SIZE_MAX - 2) {
        size = CONTROL_SIZE_MAX - 2;
        while (size > 0 && (reason.at[size] & 0xc0) == 0x80)
            size--;
    }
    put_frame_head(frames, FRAME_CLOSE, size + 2);
    buf_put_u16(frames, __builtin_bswap16(code));
    buf_put(frames, reason.at, size);
}
