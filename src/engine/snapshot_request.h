/* snapshot_request — who asks a running database for a snapshot, and what they get: its offset, or a backup made of it.
 * Only the owner may. engine_snapshot() is here, too. */
#pragma once

#include "engine/state.h"

/* REQUEST_SNAPSHOT, REQUEST_BACKUP. */
void snapshot_request_run(struct engine *engine, struct request *request);
/* Once a turn: passes on what engine_snapshot() left. */
void snapshot_request_take(struct engine *engine);
/* The engine's thread ends: whoever asks from now on is refused. */
void snapshot_request_close(struct engine *engine);
