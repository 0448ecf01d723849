/* fleet — the databases that one process serves: each with an engine, a log and a module of its own, all behind one
 * address.
 *
 * One is the fleet's first: its module comes from the person who runs it. All others in the data directory serve the
 * version that was published to them last; the log keeps its files. One that cannot be opened is told and left alone.
 *
 * When the log of one fails, that database stops (W3) and the others serve on; the last one takes the process with it.
 *
 * Threads  fleet_open, fleet_start, fleet_tend, fleet_publish, fleet_version_fate, fleet_print_others, fleet_stop and
 *          fleet_close from one, the others from the keeper's (keeper.h) in between. */
#pragma once

#include "cli/archive.h"
#include "cli/place.h"
#include "engine/engine.h"
#include "net/server.h"

#include <pthread.h>

struct member;

struct fleet {
    /* for fleet_open() */
    const char *data_dir, *listen_addr;
    struct module_limits limits;
    struct checkpoint_options checkpoints;
    void (*on_failure)(void *context); /* from any thread: call fleet_tend() soon */
    void *context;
    /* then */
    struct place place;
    struct server *server;
    struct keeper *keeper;    /* owned */
    pthread_t net_thread;
    /* Held while an engine is closed and opened anew, and by those of the other threads that must not meet that.
     * Taken before `lock`. */
    pthread_mutex_t changing;
    pthread_mutex_t lock;
    struct member *members;   /* owned; the list is under the lock */
    struct member *first;     /* the one with the module that is watched */
    bool has_failed;          /* the log of any; under the lock */
};

void fleet_init(struct fleet *fleet);
/* Opens the address and all databases; `module`, taken over, is for the database `name`. */
err fleet_open(struct fleet *fleet, const char *name, struct module *module, struct diag *diag);
void fleet_start(struct fleet *fleet);
/* Stops databases whose log has failed, and says so. False when none is left. */
bool fleet_tend(struct fleet *fleet);
/* engine_publish() to the first database. */
err fleet_publish(struct fleet *fleet, struct module *module, struct diag *diag);
/* What has become of the version that was published last. */
enum version_fate { VERSION_ON_ITS_WAY, VERSION_DURABLE, VERSION_LOST };
enum version_fate fleet_version_fate(struct fleet *fleet);
void fleet_stop(struct fleet *fleet);
/* After it `has_failed` is final: the logs' threads have ended. */
void fleet_close(struct fleet *fleet);
/* The names of the others, joined for people; empty when there are none. */
void fleet_print_others(struct fleet *fleet, struct buf *out);

/* For the keeper. ERR_NOT_FOUND when it is not served. */
err fleet_snapshot(struct fleet *fleet, const identity *database, char name[DATABASE_NAME_MAX + 1], uint64_t *offset,
                   struct diag *diag);
/* Opens a database that has come to the data directory, and serves it. */
err fleet_add(struct fleet *fleet, const char *name, identity *database, struct diag *diag);
/* Takes it back to a moment, for which it stops and starts with the module of then; its clients are disconnected. A
 * moment that cannot be reached is refused before that. `said` gets the sentence about what was done. */
err fleet_roll_back(struct fleet *fleet, const identity *database, const struct moment *moment, struct buf *said,
                    struct diag *diag);
/* Ends serving it, for good. Not the first one. */
err fleet_remove(struct fleet *fleet, const identity *database, char name[DATABASE_NAME_MAX + 1], struct diag *diag);
