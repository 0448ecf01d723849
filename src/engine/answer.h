/* answer — messages on their way out: gathered per client during a turn, sent together at its end.
 *
 * Rules
 *   M1  Whatever a client is told, an answer, an update, a refusal, a greeting or a farewell, may follow from all that
 *       was committed when it was made. So the packet of a confirmed client needs the log up to there, and net holds it
 *       back until that much is durable (O2 of port.h): such a client never learns of what a crash could undo. Others are
 *       told at once, and with nothing under way nobody waits.
 *   M2  What is gathered is bounded, whatever a turn is asked for: it is handed over before the turn ends when it has
 *       become much, what is shared counted for each client that is told it. How much may wait for a client from there
 *       on is for net to say (S3 of net/ws.h), or for openings.h. */
#pragma once

#include "engine/state.h"

/* A message for a client: write it into the buffer, then end it (M1). */
struct buf *answer_begin(struct engine *engine, struct client *client);
void answer_add_parts(struct engine *engine, struct client *client, const struct update_part *parts, uint32_t count);
void answer_end(struct engine *engine, struct client *client);

/* Ends the connection: with a close frame after what is queued, or without any. */
void answer_close(struct engine *engine, struct client *client, uint16_t code, const char *reason);
void answer_drop(struct engine *engine, struct session *session);

/* For a message that goes before what is gathered: puts the open packet aside, so that the next message begins one of its
 * own, which is sent at once and leaves the other open again. */
struct packet *answer_put_aside(struct client *client);
void answer_send_ahead(struct engine *engine, struct client *client, struct packet *aside);

/* Makes packets of all that was gathered: for the port, or held behind an opening. */
void answer_flush(struct engine *engine);
/* Whether it had better be handed over before anything more is done (M2). */
bool answer_is_much(const struct engine *engine);
