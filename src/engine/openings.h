/* openings — answers whose rows take long, on their way.
 *
 * A thread of its own reads the rows from a frozen view (sub/first_rows.h), one batch after the other, and makes of them
 * what their asker is told, where that takes long as well. The engine goes on; what it has to tell the client meanwhile
 * waits behind the rows, so that a client sees everything in the order in which it happened. Who has no
 * opening never waits.
 *
 * Rules
 *   U1  Packets of a client that has an opening leave in the order they were made (O2), and none before what the
 *       opening answers.
 *   U2  Every opening is answered once, by its rows or by the reason why there are none, unless its client goes.
 *   U3  What is worked on is worked on in the order in which it was asked for. So when an answer's turn has come, all
 *       rows that it needs are there, whoever asked for them first.
 *   U4  What waits to be worked on goes with its client, unless others wait for the same rows: who asks for much and
 *       leaves holds nobody up.
 *
 * Threads  the worker begins with the first batch. */
#pragma once

#include "engine/state.h"

struct openings;

/* An answer that waits for rows; embedded in what its protocol knows of it. */
struct late_answer {
    const struct late_answer_kind *kind;
    bool is_ready;      /* its turn has come (U3) */
    bool is_wanted;     /* its client is there */
};

struct late_answer_kind {
    /* On the worker, when the rows are there; or NULL. */
    void (*prepare)(struct late_answer *answer);
    /* Writes the message or messages. False when the connection cannot go on, for the reason in diag. */
    bool (*tell)(struct late_answer *answer, struct engine *engine, struct client *client, struct diag *diag);
    void (*free)(struct late_answer *answer);
};

struct openings *openings_new(struct engine *engine);
/* Ends the thread. The engine's thread, as one of its last acts. */
void openings_stop(struct openings *openings);
void openings_free(struct openings *openings); /* NULL is fine */

/* Takes the answer over. To be called before anything changes. */
void openings_begin(struct openings *openings, struct client *client, struct late_answer *answer);
/* Once a turn: answers what has been worked out. */
void openings_finish(struct openings *openings);
/* Whenever messages are handed over: gives up what nobody waits for any more (U4), and ends the clients for which too
 * much waits behind their openings. */
void openings_tidy(struct openings *openings);

/* Whether the client's packets wait, and the next one's place among them. */
bool openings_hold(struct client *client, struct packet *packet);
/* The client goes, and what waits for it. */
void openings_drop(struct openings *openings, struct client *client);
