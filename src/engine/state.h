/* state — what one database consists of, for the files of this folder.
 *
 * All of it belongs to the engine's thread once engine_start() has run, except where it says otherwise. */
#pragma once

#include "base/map.h"
#include "engine/engine.h"
#include "engine/image.h"
#include "engine/module_log.h"
#include "engine/record.h"
#include "engine/v1_updates.h"
#include "sub/subs.h"
#include "txn/txn.h"
#include "wal/wal.h"

#include <pthread.h>

/* One WebSocket client. */
struct client {
    struct subscriber subscriber; /* its subscriptions */
    struct session *session;
    struct caller caller;
    struct v1_client *v1;         /* owned; NULL for later protocols */
    bool is_owner;
    bool connected;               /* client_connected has committed; nothing is done for it otherwise */
    bool closing;                 /* a close is on its way: what still comes in is ignored */
    struct packet *open;          /* this turn's messages for it, or NULL */
    struct client *next_open;
    struct held *held, *held_last;  /* what waits behind first rows: openings' */
    size_t held_size;               /* of packets that wait */
    struct client *previous, *next; /* all clients */
};

/* What it has asked to be done is done all the same; what it has asked to be told is not worked out any more. */
static inline bool client_has_left(const struct client *client)
{
    return atomic_load_explicit(&client->session->has_left, memory_order_relaxed);
}

struct aside;
struct inspection;
struct checkpoint;
struct derivations;
struct held;
struct openings;
struct checkpoint_wish;
struct publication;
struct schedule;
struct v1_client;

struct engine {
    const struct disk *disk;      /* borrowed */
    char *dir;                    /* owned */
    char *name;                   /* owned */
    identity identity;            /* of the database */
    identity owner;
    bool schedules_paused;        /* nothing runs by a timetable: a fork, until somebody resumes it */
    struct store store;
    struct txn *txn;              /* owned */
    struct wal *wal;              /* owned */
    struct module *module;        /* owned */
    struct module_limits limits;
    struct subs *subs;            /* owned */
    struct port *port;            /* borrowed */
    struct module_log *module_log; /* owned */
    struct map reducers;          /* name -> place + 1, of the module in force */
    uint8_t hash[32];             /* of the program in force */
    uint8_t first_hash[32];       /* of the first program ever published */
    bool was_published;           /* the log holds a PUBLISH record */
    struct buf reservations;      /* struct record: what init takes from sequences, until its PUBLISH is logged */
    struct buf publish;           /* the PUBLISH record in force, for snapshots, without what init changed */
    uint64_t publish_offset;
    uint64_t logged_bytes;        /* size of all records appended since the start */
    struct checkpoint *checkpoint; /* owned */
    struct derivations *derivations; /* owned */
    struct catalog catalog;       /* what names mean to clients */
    struct openings *openings;    /* owned */
    struct schedule *schedule;    /* owned */
    struct aside *aside;          /* owned */
    struct inspection *inspection; /* the one that is under way, a job of aside's, or NULL */
    uint64_t last_client;         /* the highest client number given */
    uint64_t row_limit;           /* rows that a statement of another than the owner may expect to read; 0: any */
    struct client *clients;       /* all connected */
    struct client *open_clients;  /* with messages made in this turn */
    size_t gathered_size;         /* of all messages made since the last handing over (M2 in answer.h) */
    struct v1_message v1_message; /* the one being made: v1_answer.h */
    struct v1_updates v1_updates; /* of the running commit */
    atomic_uint_fast64_t v1_lists_shown; /* first rows put into v1's words, since the start, by any thread; for specs */
    uint64_t init_seed;           /* what init's random source was given; for its record */
    uint64_t seeds_drawn;         /* since the start */
    int64_t now_us;               /* wall clock of the post at hand */
    int64_t trimmed_us;           /* when memory was last given back, monotonic */

    uint64_t segment_size;
    bool by_hand;
    pthread_t thread;
    bool thread_runs;
    atomic_bool stopping;

    pthread_mutex_t publication_lock;
    pthread_cond_t publication_done;
    struct publication *publication; /* under the lock */
    struct checkpoint_wish *wishes;  /* under the lock: for snapshots, from other threads */
    bool wishes_closed;              /* under the lock: nobody grants them any more */

    void (*on_failure)(void *context, const struct diag *diag);
    void *context;
};
