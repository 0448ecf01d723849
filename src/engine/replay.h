/* replay — a logged call run once more: against the tables before it, by the module's version of then, with its
 * time and its random seed. It happens in memory; nothing on disk changes.
 *
 * A call gets the same again because all it may look at is given: arguments, caller, time, chance, tables. What is
 * not in the log is how far a sequence had come within its reservation, so it goes on where the logged call's own
 * new rows say that it did. And `pairs` over a table with tables or functions as keys follows addresses: a module
 * whose rows depend on that order is not the same twice, and that is one of the things this finds. */
#pragma once

#include "engine/history.h"
#include "host/module.h"

struct replay {
    struct history *history; /* given */
    module_log_fn *log;      /* given: what the module says meanwhile */
    /* found out */
    bool is_same;
    struct buf call;         /* what was run: "add {"name":"lamp"}" */
    struct buf failure;      /* why the call fails now, if it does */
    struct buf differences;  /* one line each: "logged   + thing {...}", "replayed + thing {...}" */
    uint32_t row_count;      /* rows that the logged call inserted and deleted */
    identity who;
    int64_t timestamp_us;
    uint8_t hash[32];        /* of the module */
    uint64_t publish_offset;
};

/* Runs the record at `offset`: a call, or what a connect, a disconnect or the first publish had to run. ERR_NOT_FOUND
 * outside of the log; ERR_BAD_REQUEST for a record that ran no code, and the sentence says what it is. */
err replay_run(struct replay *replay, uint64_t offset, struct diag *diag);
void replay_deinit(struct replay *replay);
