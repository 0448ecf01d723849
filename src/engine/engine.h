/* engine — one database: its tables, log, module, clients, and the thread that runs them.
 *
 * Life     engine_open (recovers, loads, migrates; the log's thread runs), engine_start (the engine's
 *          thread), engine_stop, engine_close. By hand there are no threads: engine_step() in the place of
 *          engine_start().
 * Threads  After engine_start only the functions marked "any thread" may be called from outside. */
#pragma once

#include "base/disk.h"
#include "engine/port.h"
#include "engine/progress.h"
#include "host/module.h"

struct engine;

/* When snapshots are taken, and how much of the past is kept. */
struct checkpoint_options {
    uint64_t log_bytes;        /* a snapshot after this much new log */
    int64_t interval_us;       /* or after this long, if anything was logged */
    int64_t keep_us;           /* how far back the past is kept */
    uint64_t keep_bytes;       /* but no more than this, snapshots and log together */
};
extern const struct checkpoint_options checkpoint_options_default;

/* What one transaction may change. */
struct txn_limits;
extern const struct txn_limits engine_txn_limits;

struct engine_options {
    const struct disk *disk;
    const char *dir;             /* the database's folder */
    const char *name;
    identity owner;
    struct module *module;       /* taken over, also on failure; NULL: the version that was published last */
    struct port *port;           /* borrowed */
    struct module_limits limits;
    struct checkpoint_options checkpoints;
    struct progress *progress;   /* of opening; may be NULL */
    uint64_t segment_size;       /* of the log; 0: what suits the window */
    bool echo;                   /* what the module says is printed on stderr, too */
    bool by_hand;                /* no threads: engine_step() */
    /* Called once from any thread when the database can go on no longer (W3). */
    void (*on_failure)(void *context, const struct diag *diag);
    void *context;
};

err engine_open(struct engine **engine, const struct engine_options *options, struct diag *diag);
void engine_start(struct engine *engine);
/* By hand: does on this thread what one of the engine's threads would do next. False when that is nothing. With a
 * simulated disk, clock and chance below, the same steps have the same outcome. */
enum engine_step { ENGINE_TURN, ENGINE_LOG, ENGINE_SNAPSHOT, ENGINE_ASIDE };
bool engine_step(struct engine *engine, enum engine_step step);
/* Ends the thread after the turn it is in: disconnects every client, syncs. */
void engine_stop(struct engine *engine);
void engine_close(struct engine *engine);

const identity *engine_identity(const struct engine *engine); /* of the database; any thread */

/* Any thread: takes a snapshot of what has happened until now, and waits until it has been verified. ERR_BUSY when the
 * database stops. */
err engine_snapshot(struct engine *engine, uint64_t *offset, struct diag *diag);

/* Any thread: puts a new version of the module in force between two calls. Takes the module over. Waits for
 * the outcome: OK and a one-line summary in diag->text, or the reason; the old one serves on then. */
err engine_publish(struct engine *engine, struct module *module, struct diag *diag);
/* The publishing thread: whether the version in force is on disk. A version is at work before that, like any change. */
bool engine_version_is_durable(const struct engine *engine);
