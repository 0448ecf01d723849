/* recovery — the log read back into tables, the call's way in reverse. */
#pragma once

#include "engine/state.h"

/* What replay has learned beside the tables. */
struct recovery {
    struct engine *engine;
    struct map clients;       /* number -> struct caller *, owned: who was connected when the log ends */
    uint64_t last_offset;
};

void recovery_init(struct recovery *recovery, struct engine *engine);
void recovery_deinit(struct recovery *recovery);
/* wal_open's replay function; `context` is the recovery. */
err recovery_replay(void *context, uint64_t offset, bytes record, struct diag *diag);
/* Clients that were connected when the process ended are gone: runs client_disconnected for each. After the
 * module is in force. */
void recovery_disconnect_leftovers(struct recovery *recovery);
