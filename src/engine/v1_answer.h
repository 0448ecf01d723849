/* v1_answer — the one way by which a client of v1 is told anything.
 *
 * Rules
 *   A1  Who would have to be told more than a message can hold is not told less: the connection closes. The message may
 *       be an update, and what a commit is telling to others goes on as if that client were still there. */
#pragma once

#include "engine/state.h"
#include "proto/v1_update.h"

enum v1_form v1_answer_form(const struct client *client);

/* A message to be written, then told: one at a time. */
struct v1_writer v1_answer_begin(struct engine *engine, const struct client *client);
void v1_answer_end(struct engine *engine, struct client *client);

/* Tells a message that has ended, which others may be told as well. A client that is being closed is told nothing. */
void v1_answer(struct engine *engine, struct client *client, const struct v1_message *message);
