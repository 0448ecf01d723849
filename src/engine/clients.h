/* clients — who is connected: coming, going, and the lifecycle reducers around both. */
#pragma once

#include "engine/state.h"

/* Runs client_connected in the transaction that records the client. When it fails the connection is dropped
 * without a word, as the protocol has it. */
void clients_connect(struct engine *engine, struct session *session);
/* Ends the subscriptions, runs client_disconnected (its failure changes nothing), lets net free the session. */
void clients_disconnect(struct engine *engine, struct session *session);
/* Closes every connection: the module's row layouts changed, or the database stops. */
void clients_close_all(struct engine *engine, const char *reason);
/* At the end of the engine: the sockets are net's to close; here every client is disconnected. */
void clients_disconnect_all(struct engine *engine);
