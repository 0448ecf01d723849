/* outbox — the packets of one session on their way out, and the WebSocket frames that they become.
 *
 * Frames are built here, whole, in one buffer for many messages, and handed to the socket as finished bytes: a
 * frame per message through libwebsockets' own writer would cost a system call each.
 *
 *     v3   | 82 len | 00 | message message … |    up to 512 KiB of messages in a frame
 *     v2   | 82 len | 00 | message |              one message in a frame, frame after frame; v1 likewise
 *     v1.json   | 81 len | message |              the same, as text
 *
 * Rules
 *   F1  Packets leave in order (O2 of engine/port.h); one that waits for the disk stops those behind it.
 *   F2  A message larger than a frame's limit has a frame to itself. */
#pragma once

#include "engine/port.h"

/* A place between two parts. */
struct outbox_place {
    struct packet *packet;
    uint32_t part;
    size_t at; /* in packet->data */
};

struct outbox {
    struct packet *first, *last; /* owned */
    struct outbox_place place;   /* the next part to leave; in `first` */
    uint32_t message_count;      /* of all that wait */
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
/* Appends the frames of what may leave, about a megabyte of them or one that is larger. */
void outbox_fill(struct outbox *outbox, const struct outbox_terms *terms, struct buf *frames);

void outbox_put_ping(struct buf *frames, bytes payload);
void outbox_put_close(struct buf *frames, uint16_t code, bytes reason); /* cut at 123 bytes, at a character */
