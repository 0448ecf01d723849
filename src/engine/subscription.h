/* subscription — what a client asks to be shown: sets of live queries, and one-off ones. */
#pragma once

#include "engine/state.h"
#include "proto/client_msg.h"

void subscription_begin(struct engine *engine, struct client *client, const struct client_msg *msg);
void subscription_end(struct engine *engine, struct client *client, const struct client_msg *msg);
/* The rows of a query as they are now, appended as QueryRows of one table. */
err subscription_rows_once(struct engine *engine, struct client *client, bytes text, struct buf *out, struct diag *diag);
/* A set has ended by itself. */
void subscription_tell_ended(struct engine *engine, struct subscriber *subscriber, uint32_t query_set_id,
                             const struct diag *diag);
void subscription_ask_once(struct engine *engine, struct client *client, const struct client_msg *msg);
