#include "engine/engine.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/aside.h"
#include "engine/call.h"
#include "engine/checkpoint.h"
#include "engine/clients.h"
#include "engine/derivations.h"
#include "engine/founding.h"
#include "engine/openings.h"
#include "engine/publication.h"
#include "engine/schedule.h"
#include "engine/snapshot_request.h"
#include "engine/startup.h"
#include "engine/swap.h"
#include "engine/turn.h"
#include "engine/v1.h"

#include <stdio.h>

/* Lua libraries recurse natively; guard.h keeps a zone of this for telling so. Only what is touched takes memory. */
enum { STACK_SIZE = 64 << 20, TURN_WAIT_US = 1000000 };

/* What one transaction may change: enough for a world to be made in one call, far from filling memory. */
const struct txn_limits engine_txn_limits = { .rows_max = 50u << 20, .bytes_max = 2ull << 30 };

static void path_in(char path[static 4096], const struct engine *engine, const char *name)
{
    check(snprintf(path, 4096, "%s/%s", engine->dir, name) < 4096);
}

/* The database's identity is drawn once and kept in a file of its own: the log's segments name it. A file that is
 * seen may not be stored yet (the process that made it was killed): its name is made to last before others rely on it. */
static err open_identity(struct engine *engine, struct diag *diag)
{
    const err code = founding_read_identity(engine->disk, engine->dir, &engine->identity, diag);
    if (code == OK)
        return engine->disk->dir_sync(engine->disk->self, engine->dir, diag);
    if (code != ERR_NOT_FOUND)
        return code;
    engine->identity = founding_draw_identity();
    return founding_write_identity(engine->disk, engine->dir, &engine->identity, diag);
}

/* A record names only sequences that records before it have made: what init takes waits for its PUBLISH. */
static void reserve_sequence(void *context, uint32_t sequence_id, __int128 reserved)
{
    struct engine *engine = context;
    const struct record record = { .kind = RECORD_RESERVE,
                                   .timestamp_us = engine->now_us,
                                   .sequence_id = sequence_id,
                                   .reserved = reserved };
    if (engine->was_published)
        call_log(engine, &record, NULL);
    else
        buf_put(&engine->reservations, &record, sizeof record);
}

/* Whether the module is the one in force, and says the same of itself: the tables' schema counts its reducers. */
static bool is_in_force(const struct engine *engine, const struct module *module)
{
    struct record record;
    struct diag ignored;
    return engine->was_published && memcmp(engine->hash, module_hash(module), sizeof engine->hash) == 0 &&
           record_decode(buf_bytes(&engine->publish), &record, &ignored) == OK &&
           bytes_equal(record.def, module_def(module));
}

/* The tables that came back and the module at hand: the same version, a newer one, or the first. */
static err open_module(struct engine *engine, struct module *module, struct diag *diag)
{
    if (is_in_force(engine, module)) {
        struct filters filters;
        TRY(filters_init(&filters, engine->store.schema, NULL, diag));
        publication_bind(engine, module);
        engine->derivations = derivations_new(engine, &filters);
        return OK;
    }
    const err code = publication_apply(engine, module, diag);
    if (code == ERR_MIGRATION)
        diag_note(diag, "%s: the module does not fit the data stored in %s (change it back, or move that folder away to begin anew): ",
                  engine->name, engine->dir);
    return code;
}

static err open_folder(struct engine *engine, bool echo, struct diag *diag)
{
    char path[4096];
    TRY(engine->disk->make_dir(engine->disk->self, engine->dir, diag));
    TRY(swap_finish(engine->disk, engine->dir, diag));
    TRY(open_identity(engine, diag));
    TRY(founding_read_pause(engine->disk, engine->dir, &engine->schedules_paused, diag));
    path_in(path, engine, "module_logs");
    engine->module_log = module_log_new(engine->disk, path, echo, engine->port);
    module_log_adopt(engine->module_log);
    return OK;
}

/* Loads *module when it is NULL. */
static err open_state(struct engine *engine, struct module **module, struct progress *progress, struct diag *diag)
{
    struct map clients = { 0 };
    err code = startup_read(engine, &clients, progress, diag);
    if (code == OK && *module == NULL)
        code = publication_load(engine, module, diag);
    if (code == OK)
        code = open_module(engine, *module, diag);
    startup_disconnect_leftovers(engine, &clients);
    if (code == OK) {
        wal_flush(engine->wal);
        module_log_flush(engine->module_log);
    }
    return code;
}

err engine_open(struct engine **out, const struct engine_options *options, struct diag *diag)
{
    struct engine *engine = memory_new(sizeof *engine);
    engine->disk = options->disk;
    engine->dir = memory_copy(options->dir, strlen(options->dir) + 1);
    engine->name = memory_copy(options->name, strlen(options->name) + 1);
    engine->owner = options->owner;
    engine->limits = options->limits;
    engine->port = options->port;
    engine->segment_size = options->segment_size;
    engine->by_hand = options->by_hand;
    engine->on_failure = options->on_failure;
    engine->context = options->context;
    store_init(&engine->store);
    map_init(&engine->reducers);
    engine->txn = txn_new(&engine->store, &engine_txn_limits);
    txn_on_reserve(engine->txn, reserve_sequence, engine);
    engine->subs = subs_new();
    engine->catalog = (struct catalog){ engine, derivations_find };
    pthread_mutex_init(&engine->publication_lock, NULL);
    pthread_cond_init(&engine->publication_done, NULL);

    struct module *module = options->module;
    engine->checkpoint = checkpoint_new(engine, &options->checkpoints);
    engine->aside = aside_new(engine);
    engine->openings = openings_new(engine);
    err code = open_folder(engine, options->echo, diag);
    if (code == OK)
        code = open_state(engine, &module, options->progress, diag);
    module_log_adopt(NULL); /* the engine's own thread takes over */
    if (code != OK) {
        if (engine->module != module)
            module_free(module);
        engine_close(engine);
        return code;
    }
    *out = engine;
    return OK;
}

/* The engine's last act. */
static void end(struct engine *engine)
{
    clients_disconnect_all(engine);
    snapshot_request_close(engine);
    checkpoint_stop(engine->checkpoint);
    aside_stop(engine->aside);
    openings_stop(engine->openings);
    module_log_flush(engine->module_log);
    module_log_end_all(engine->module_log);
    wal_flush(engine->wal);
    (void)wal_wait(engine->wal); /* answers that wait for the disk leave before net ends */
    port_send_flush(engine->port);
}

static void *run(void *context)
{
    struct engine *engine = context;
    module_log_adopt(engine->module_log);
    while (!atomic_load(&engine->stopping))
        turn_run(engine, TURN_WAIT_US);
    end(engine);
    return NULL;
}

void engine_start(struct engine *engine)
{
    check(!engine->by_hand);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    check(pthread_create(&engine->thread, &attributes, run, engine) == 0);
    pthread_attr_destroy(&attributes);
    engine->thread_runs = true;
}

bool engine_step(struct engine *engine, enum engine_step step)
{
    check(engine->by_hand);
    switch (step) {
    case ENGINE_LOG: return wal_step(engine->wal);
    case ENGINE_SNAPSHOT: return checkpoint_step(engine->checkpoint);
    case ENGINE_ASIDE: return aside_step(engine->aside);
    case ENGINE_TURN: break;
    }
    module_log_adopt(engine->module_log);
    turn_run(engine, 0);
    module_log_adopt(NULL);
    return true;
}

static void end_by_hand(struct engine *engine)
{
    module_log_adopt(engine->module_log);
    end(engine);
    module_log_adopt(NULL);
}

void engine_stop(struct engine *engine)
{
    atomic_store(&engine->stopping, true);
    port_interrupt(engine->port);
    if (engine->by_hand)
        end_by_hand(engine);
    else if (engine->thread_runs)
        pthread_join(engine->thread, NULL);
    engine->thread_runs = false;
}

void engine_close(struct engine *engine)
{
    if (engine == NULL)
        return;
    checkpoint_free(engine->checkpoint);
    aside_free(engine->aside);
    openings_free(engine->openings);
    schedule_free(engine->schedule);
    wal_close(engine->wal);
    while (engine->clients != NULL) {
        struct client *client = engine->clients;
        engine->clients = client->next;
        subs_drop(engine->subs, &client->subscriber);
        v1_client_free(client->v1);
        memory_free(client);
    }
    derivations_free(engine->derivations);
    module_free(engine->module);
    module_log_free(engine->module_log);
    subs_free(engine->subs);
    v1_message_deinit(&engine->v1_message);
    v1_updates_deinit(&engine->v1_updates);
    txn_free(engine->txn);
    store_deinit(&engine->store);
    map_deinit(&engine->reducers);
    buf_deinit(&engine->reservations);
    buf_deinit(&engine->publish);
    pthread_mutex_destroy(&engine->publication_lock);
    pthread_cond_destroy(&engine->publication_done);
    memory_free(engine->dir);
    memory_free(engine->name);
    memory_free(engine);
}

const identity *engine_identity(const struct engine *engine)
{
    return &engine->identity;
}
