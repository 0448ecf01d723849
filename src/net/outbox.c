#include "net/outbox.h"

enum {
    PAYLOAD_SIZE_MAX = 512 << 10,  /* where the reference server begins a new payload */
    FRAGMENT_SIZE_MAX = 256 << 10, /* the reference server's are of 4 KiB */
    FILL_SIZE_MAX = 1 << 20,       /* more than a socket's buffer takes at once */
    FRAME_MORE = 0x00,
    FRAME_TEXT = 0x01,
    FRAME_BINARY = 0x02,
    FRAME_CLOSE = 0x08,
    FRAME_PING = 0x09,
    FRAME_IS_LAST = 0x80, /* of its payload */
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

bool outbox_is_beyond(const struct outbox *outbox, uint32_t message_count, size_t size)
{
    const struct packet *first = outbox->first;
    return first != NULL && (outbox->message_count - first->message_count > message_count ||
                             outbox->size - first->size > size);
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
    place->offset = 0;
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

/* The text form alone has no byte that tells of compression. */
static bool tells_compression(enum protocol protocol)
{
    return protocol != PROTOCOL_V1_JSON;
}

/* Puts the next payload at hand (F2); false when nothing may leave. */
static bool begin_payload(struct outbox *outbox, const struct outbox_terms *terms)
{
    if (!settle(&outbox->place, terms))
        return false;
    struct outbox_place place = outbox->place;
    size_t size = pass_message(&place);
    outbox->end = place;
    while (terms->protocol == PROTOCOL_V3 && settle(&place, terms)) {
        const size_t more = pass_message(&place);
        if (size + more > PAYLOAD_SIZE_MAX)
            break;
        size += more;
        outbox->end = place;
    }
    outbox->left = size + tells_compression(terms->protocol);
    outbox->is_begun = false;
    check(outbox->left > 0);
    return true;
}

static void put_frame_head(struct buf *frames, uint8_t first, size_t size)
{
    buf_put_u8(frames, first);
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

static void copy_bytes(struct outbox *outbox, struct buf *frames, size_t size)
{
    struct outbox_place *place = &outbox->place;
    while (size > 0) {
        const struct packet *packet = place->packet;
        if (place->part == packet->part_count) {
            *place = (struct outbox_place){ .packet = packet->next };
            continue;
        }
        const struct packet_part *part = &packet->parts[place->part];
        const uint8_t *at = part->shared != NULL ? part->shared->data : packet->data.data + place->at;
        const size_t rest = part->size - place->offset, piece = size < rest ? size : rest;
        buf_put(frames, at + place->offset, piece);
        place->offset += piece;
        size -= piece;
        if (place->offset == part->size)
            (void)step(place);
    }
}

/* The next `size` bytes of the payload at hand, as a frame. */
static void put_fragment(struct outbox *outbox, enum protocol protocol, struct buf *frames, size_t size)
{
    const uint8_t kind = outbox->is_begun ? FRAME_MORE : protocol == PROTOCOL_V1_JSON ? FRAME_TEXT : FRAME_BINARY;
    const bool is_last = size == outbox->left;
    put_frame_head(frames, kind | (is_last ? FRAME_IS_LAST : 0), size);
    const bool tells = !outbox->is_begun && tells_compression(protocol);
    if (tells)
        buf_put_u8(frames, NOT_COMPRESSED);
    copy_bytes(outbox, frames, size - tells);
    outbox->is_begun = true;
    outbox->left -= size;
    if (is_last)
        outbox->place = outbox->end; /* parts without bytes may stand there */
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

/* F3 */
void outbox_fill(struct outbox *outbox, const struct outbox_terms *terms, struct buf *frames)
{
    while (outbox->left > 0 || begin_payload(outbox, terms)) {
        const size_t size = outbox->left < FRAGMENT_SIZE_MAX ? outbox->left : FRAGMENT_SIZE_MAX;
        if (frames->size > 0 && frames->size + size > FILL_SIZE_MAX)
            break;
        put_fragment(outbox, terms->protocol, frames, size);
    }
    release(outbox);
}

void outbox_put_ping(struct buf *frames, bytes payload)
{
    check(payload.size <= CONTROL_SIZE_MAX);
    put_frame_head(frames, FRAME_PING | FRAME_IS_LAST, payload.size);
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
    put_frame_head(frames, FRAME_CLOSE | FRAME_IS_LAST, size + 2);
    buf_put_u16(frames, __builtin_bswap16(code));
    buf_put(frames, reason.at, size);
}
