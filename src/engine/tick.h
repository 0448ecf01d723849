/* tick — one row of a schedule table runs its reducer, in the engine or, once more, in a replay.
 *
 * Rules are T1 to T5 of schedule.h; here is T2. */
#pragma once

#include "host/module.h"
#include "txn/txn.h"

struct tick {
    const struct schedule_def *def;
    struct table *table;
    uint64_t row_id;
    int64_t time_us; /* that it is for */
    struct buf row;  /* the row as it was: the reducer's argument */
    bool repeats;
};

/* Finds schedule and row. False when there is no such schedule, or no such row. tick_deinit() is due in any case. */
bool tick_init(struct tick *tick, const struct store *store, uint32_t schedule_id, uint64_t row_id, int64_t time_us);
void tick_deinit(struct tick *tick);

/* Begins a transaction, runs the reducer and leaves the transaction open, to be committed: with what the reducer did
 * and the end of a row that was for one time. When it fails, with that end alone: its error; the module's log has the
 * story. */
err tick_run(const struct tick *tick, struct module *module, struct txn *txn, const struct call_context *context,
             struct diag *diag);
