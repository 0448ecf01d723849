/* startup — what the disk holds becomes tables again: the newest good snapshot, and the log behind it. */
#pragma once

#include "engine/state.h"

/* Opens the log, fills the engine's empty store, and says in one line what was read. `clients` gets who was
 * connected when the log ends (number -> struct caller *, owned by the caller). The log's thread runs then. */
err startup_read(struct engine *engine, struct map *clients, struct progress *progress, struct diag *diag);
/* Those clients are gone: runs client_disconnected for each. After the module is in force. Empties the map. */
void startup_disconnect_leftovers(struct engine *engine, struct map *clients);
