/* openings — subscriptions whose first rows take long, on their way.
 *
 * A thread of its own reads the rows from a frozen view (sub/first_rows.h), one batch after the other. The engine goes
 * on; what it has to tell the client meanwhile waits behind the rows, so that a client sees everything in the order in
 * which it happened. Nobody else waits.
 *
 * Rules
 *   U1  Packets of a client that has an opening leave in the order they were made (O2), and none before what the
 *       opening answers.
 *   U2  Every opening is answered once, by its rows or by the reason why there are none, unless its client goes.
 *
 * Threads  the worker begins with the first batch. */
#pragma once

#include "engine/state.h"
#include "proto/client_msg.h"

struct openings;

struct openings *openings_new(struct engine *engine);
/* Ends the thread. The engine's thread, as one of its last acts. */
void openings_stop(struct openings *openings);
void openings_free(struct openings *openings); /* NULL is fine */

/* The request's rows are in `opening`, taken over. To be called before anything changes. */
void openings_begin(struct openings *openings, struct client *client, const struct client_msg *msg,
                    struct opening *opening);
/* Once a turn: answers what has been worked out. */
void openings_finish(struct openings *openings);

/* Whether the client's packets wait, and the next one's place among them. */
bool openings_hold(struct client *client, struct packet *packet);
/* The client goes, and what waits for it. */
void openings_drop(struct openings *openings, struct client *client);
