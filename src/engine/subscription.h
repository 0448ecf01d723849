/* subscription — what a client asks to be shown: sets of live queries, and one-off ones. */
#pragma once

#include "engine/state.h"
#include "proto/client_msg.h"

void subscription_begin(struct engine *engine, struct client *client, const struct client_msg *msg);
void subscription_end(struct engine *engine, struct client *client, const struct client_msg *msg);
void subscription_ask_once(struct engine *engine, struct client *client, const struct client_msg *msg);
