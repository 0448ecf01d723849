/* v1_message — a message to clients of v1 on its way out: bytes of its own, and row lists between them.
 *
 * Rows are most of a message, and others are told the same rows under other numbers, or among others. So lists of rows
 * are pieces, made apart (v1_update.h) and held by every message that they stand in. What is left is written in the
 * layout of v1_msg.h, without the pieces, and in the text form becomes JSON around them when the message ends.
 *
 * Rules
 *   P1  No message is larger than v1_message_size_max, and making one takes little more memory than that. One that would
 *       be larger ends as `is_too_large`, and is never sent. */
#pragma once

#include "proto/v1_msg.h"

/* Of a message: what sizes of parts can say. Specs lower it before a message is made, but not below what a refusal
 * takes. */
extern size_t v1_message_size_max;

/* Zeroed before the first time; memory is used again. */
struct v1_message {
    enum v1_form form;
    size_t size;       /* of all pieces; once it has ended, of all */
    bool is_too_large; /* P1 */
    struct buf layout; /* while it is written */
    struct buf bytes;  /* once it has ended: all but the pieces */
    struct buf places; /* size_t: where each piece belongs, ascending */
    struct buf pieces; /* struct shared *, held; NULL: a list without rows, of the text form */
};

void v1_message_begin(struct v1_message *message, enum v1_form form);
/* A piece that will be added: P1. NULL: there is none, for it would be too large. */
void v1_message_count(struct v1_message *message, const struct shared *piece);
/* A piece belongs where the layout ends now. Takes the hold over. */
void v1_message_add(struct v1_message *message, struct shared *piece);
void v1_message_end(struct v1_message *message);
/* Lets go of the pieces, and of memory that few messages need. */
void v1_message_clear(struct v1_message *message);
void v1_message_deinit(struct v1_message *message);

/* Of one that has ended, in order: bytes, piece, bytes, ... piece, bytes. */
uint32_t v1_message_piece_count(const struct v1_message *message);
bytes v1_message_bytes(const struct v1_message *message, uint32_t place); /* before the piece; after the last one */
struct shared *v1_message_piece(const struct v1_message *message, uint32_t place); /* NULL: v1_no_rows */
extern const bytes v1_no_rows;
