/* v1_updates — what one commit brings to clients of v1, in their words.
 *
 * They share the rows of a query with clients of all protocols (Q2 of subs.h), but say them otherwise, and in JSON much
 * longer. So what is shared here is what was made of a query's rows, and where clients are brought the same in all, the
 * whole message. Who has a commit's rows for itself pays as if nothing were shared, and for the lookups.
 *
 * Rules
 *   T1  What one commit brings to a query is translated once for each form, however many clients it is brought to, and
 *       whatever else they are brought. */
#pragma once

#include "base/map.h"
#include "proto/v1_update.h"
#include "sub/subs.h"

/* Zeroed at the start; empty between commits, but for memory to use again. */
struct v1_updates {
    struct map messages;  /* form and parts -> struct v1_message, owned */
    struct map pieces;    /* form and where the rows stand -> struct shared, held */
    struct buf key;       /* the one being looked up */
    struct buf elements;  /* of the message being made */
    uint64_t made_count;  /* messages, since the start; for specs */
    uint64_t piece_count; /* likewise */
};

/* Puts a DatabaseUpdate of these parts: of a message that is one client's alone. They are as `deliver` of subs_publish()
 * gets them for a client that is told by table (Q5). */
void v1_updates_put(struct v1_updates *updates, const struct v1_writer *writer, const struct update_part *parts,
                    uint32_t count);
/* The TransactionUpdateLight of these parts, which has ended; good until v1_updates_clear(). */
const struct v1_message *v1_updates_get(struct v1_updates *updates, enum v1_form form, const struct schema *schema,
                                        const struct update_part *parts, uint32_t count);
/* After each commit: its parts are gone, and others may come to stand where they stood. */
void v1_updates_clear(struct v1_updates *updates);
void v1_updates_deinit(struct v1_updates *updates);
