/* outbox — the packets of one session on their way out, and the WebSocket frames that they become.
 *
 * Frames are built here, in one buffer for many messages, and handed to the socket as finished bytes: a frame per
 * message through libwebsockets' own writer would cost a system call each.
 *
 *     v3   | 82 len | 00 | message message … |    up to 512 KiB of messages in a payload
 *     v2   | 82 len | 00 | message |              one message in a payload, frame after frame; v1 likewise
 *     v1.json   | 81 len | message |              the same, as text
 *     any       | 02 len | 00 | message … | 00 len | … message | 80 len | … |     a payload over 256 KiB, in fragments
 *                                                                                (01, without the 00, for v1.json)
 *
 * Rules
 *   F1  Packets leave in order (O2 of engine/port.h); one that waits for the disk stops those behind it.
 *   F2  A message larger than a payload's limit has a payload to itself.
 *   F3  Of a large message no more is copied than a socket may take at once. The rest stays where it is, which for
 *       the first rows of a table is in one place for all who asked for them. */
#pragma once

#include "engine/port.h"

/* A place in what leaves. */
struct outbox_place {
    struct packet *packet;
    uint32_t part;
    size_t at;     /* of the part, in packet->data */
    size_t offset; /* bytes of the part that have left */
};

struct outbox {
    struct packet *first, *last; /* owned */
    struct outbox_place place;   /* what leaves next; in `first` */
    struct outbox_place end;     /* of the payload at hand */
    size_t left;                 /* bytes of that payload still to leave; 0: none is at hand */
    bool is_begun;               /* its first fragment has left */
    uint32_t message_count;      /* of all packets that wait */
    size_t size;
};

/* What a session may be sent at this moment. */
struct outbox_terms {
    enum protocol protocol;
    uint64_t durable;
};

void outbox_deinit(struct outbox *outbox);
void outbox_put(struct outbox *outbox, struct packet *packet);
bool outbox_is_ready(const struct outbox *outbox, const struct outbox_terms *terms);
/* The close or drop that stands first and may leave now, or NULL. Borrowed until the outbox changes. */
struct packet *outbox_ending(const struct outbox *outbox, const struct outbox_terms *terms);
/* Whether more than so many messages or bytes wait behind the first packet. */
bool outbox_is_beyond(const struct outbox *outbox, uint32_t message_count, size_t size);
/* Appends frames of what may leave, about a megabyte of them. */
void outbox_fill(struct outbox *outbox, const struct outbox_terms *terms, struct buf *frames);

void outbox_put_ping(struct buf *frames, bytes payload);
void outbox_put_close(struct buf *frames, uint16_t code, bytes reason); /* cut at 123 bytes, at a character */
