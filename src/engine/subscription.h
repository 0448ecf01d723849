/* subscription — what a client asks to be shown: sets of live queries, and one-off ones. */
#pragma once

#include "engine/state.h"
#include "proto/client_msg.h"

/* Who asks, for queries. */
struct query_caller subscription_caller(const struct engine *engine, const identity *who, bool is_owner);
void subscription_begin(struct engine *engine, struct client *client, const struct client_msg *msg);
void subscription_end(struct engine *engine, struct client *client, const struct client_msg *msg);
/* The rows of a query as they are now, as QueryRows of one table. `tell` is called when there are any to be told, with
 * their type. */
typedef void subscription_rows_fn(void *context, bytes query_rows, const struct type *row_type);
err subscription_rows_once(struct engine *engine, struct client *client, bytes text, subscription_rows_fn *tell,
                           void *context, struct diag *diag);
/* A set has ended by itself. */
void subscription_tell_ended(struct engine *engine, struct subscriber *subscriber, uint32_t query_set_id,
                             const struct diag *diag);
void subscription_ask_once(struct engine *engine, struct client *client, const struct client_msg *msg);
