#include "engine/engine.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/clients.h"
#include "engine/publication.h"
#include "engine/recovery.h"
#include "engine/turn.h"

#include <stdio.h>

/* Lua libraries recurse natively; guard.h keeps a zone of this for telling so. Only what is touched takes memory. */
enum { STACK_SIZE = 64 << 20 };

/* What one transaction may change: enough for a world to be made in one call, far from filling memory. */
static const struct txn_limits transaction_limits = { .rows_max = 50u << 20, .bytes_max = 2ull << 30 };

static void path_in(char path[static 4096], const struct engine *engine, const char *name)
{
    check(snprintf(path, 4096, "%s/%s", engine->dir, name) < 4096);
}

/* The database's identity is drawn once and kept in a file of its own: the log's segments name it. */
static err open_identity(struct engine *engine, struct diag *diag)
{
    char path[4096];
    struct buf text = { 0 };
    path_in(path, engine, "identity");
    err code = disk_read_whole(engine->disk, path, &text, diag);
    if (code == ERR_NOT_FOUND) {
        random_bytes(engine->identity.at, sizeof engine->identity.at);
        engine->identity.at[31] = 0xc2; /* identities begin c200 */
        engine->identity.at[30] = 0x00;
        identity_print(&text, &engine->identity);
        buf_put_u8(&text, '\n');
        code = disk_write_whole(engine->disk, path, buf_bytes(&text), diag);
    } else if (code == OK) {
        const bytes digits = bytes_of(text.data, text.size > 0 && text.data[text.size - 1] == '\n' ? text.size - 1 : text.size);
        if (!identity_parse(digits, &engine->identity))
            code = diag_set(diag, ERR_CORRUPT, "%s does not hold a database's identity (64 hex digits)", path);
    }
    buf_deinit(&text);
    return code;
}

static void on_durable(void *context, uint64_t durable)
{
    struct engine *engine = context;
    port_set_durable(engine->port, durable);
}

static void on_log_failure(void *context, const struct diag *diag)
{
    struct engine *engine = context;
    engine->on_failure(engine->context, diag);
}

static void reserve_sequence(void *context, uint32_t sequence_id, __int128 reserved)
{
    struct engine *engine = context;
    const struct record record = { .kind = RECORD_RESERVE,
                                   .timestamp_us = engine->now_us,
                                   .sequence_id = sequence_id,
                                   .reserved = reserved };
    record_encode(wal_append_begin(engine->wal), &record, NULL);
    wal_append_end(engine->wal);
}

static void say_recovery(const struct engine *engine, const struct wal_report *report, int64_t start_us)
{
    if (report->tail_cut)
        log_warn("%s", report->tail_text);
    if (report->record_count > 0)
        log_info("%s: %llu transactions (%.1f MB of log) read back in %.2f s", engine->name,
                 (unsigned long long)report->record_count, (double)report->byte_count / 1e6,
                 (double)(clock_monotonic_us() - start_us) / 1e6);
}

static err open_log(struct engine *engine, struct recovery *recovery, struct diag *diag)
{
    char path[4096];
    struct wal_report report;
    const int64_t start_us = clock_monotonic_us();
    path_in(path, engine, "log");
    struct wal_options options = { .disk = engine->disk,
                                   .dir = path,
                                   .on_durable = on_durable,
                                   .on_failure = on_log_failure,
                                   .context = engine };
    memcpy(options.database_id, engine->identity.at, sizeof options.database_id);
    TRY(wal_open(&engine->wal, &options, recovery_replay, recovery, &report, diag));
    say_recovery(engine, &report, start_us);
    wal_start(engine->wal);
    port_set_durable(engine->port, wal_durable_offset(engine->wal));
    return OK;
}

/* The tables that came back and the module at hand: the same version, a newer one, or the first. */
static err open_module(struct engine *engine, struct module *module, struct diag *diag)
{
    if (engine->was_published && memcmp(engine->hash, module_hash(module), sizeof engine->hash) == 0) {
        publication_bind(engine, module);
        return OK;
    }
    const err code = publication_apply(engine, module, diag);
    if (code == ERR_MIGRATION)
        diag_note(diag, "%s: the module does not fit the data stored in %s (change it back, or move that folder away to begin anew): ",
                  engine->name, engine->dir);
    return code;
}

static err open_parts(struct engine *engine, const struct engine_options *options, struct diag *diag)
{
    char path[4096];
    struct recovery recovery;
    TRY(engine->disk->make_dir(engine->disk->self, engine->dir, diag));
    TRY(open_identity(engine, diag));
    path_in(path, engine, "module_logs");
    engine->module_log = module_log_new(path, true, engine->port);
    module_log_adopt(engine->module_log);

    recovery_init(&recovery, engine);
    err code = open_log(engine, &recovery, diag);
    if (code == OK)
        code = open_module(engine, options->module, diag);
    if (code == OK)
        recovery_disconnect_leftovers(&recovery);
    if (code == OK) {
        wal_flush(engine->wal);
        module_log_flush(engine->module_log);
    }
    recovery_deinit(&recovery);
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
    engine->on_failure = options->on_failure;
    engine->context = options->context;
    store_init(&engine->store);
    map_init(&engine->reducers);
    engine->txn = txn_new(&engine->store, &transaction_limits);
    txn_on_reserve(engine->txn, reserve_sequence, engine);
    engine->subs = subs_new();
    pthread_mutex_init(&engine->publication_lock, NULL);
    pthread_cond_init(&engine->publication_done, NULL);

    const err code = open_parts(engine, options, diag);
    module_log_adopt(NULL); /* the engine's own thread takes over */
    if (code != OK) {
        if (engine->module != options->module)
            module_free(options->module);
        engine_close(engine);
        return code;
    }
    *out = engine;
    return OK;
}

static void *run(void *context)
{
    struct engine *engine = context;
    module_log_adopt(engine->module_log);
    while (!atomic_load(&engine->stopping))
        turn_run(engine);
    clients_disconnect_all(engine);
    module_log_flush(engine->module_log);
    module_log_end_all(engine->module_log);
    wal_flush(engine->wal);
    port_send_flush(engine->port, true);
    return NULL;
}

void engine_start(struct engine *engine)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    check(pthread_create(&engine->thread, &attributes, run, engine) == 0);
    pthread_attr_destroy(&attributes);
    engine->thread_runs = true;
}

void engine_stop(struct engine *engine)
{
    atomic_store(&engine->stopping, true);
    port_interrupt(engine->port);
    if (engine->thread_runs)
        pthread_join(engine->thread, NULL);
    engine->thread_runs = false;
}

void engine_close(struct engine *engine)
{
    if (engine == NULL)
        return;
    wal_close(engine->wal);
    while (engine->clients != NULL) {
        struct client *client = engine->clients;
        engine->clients = client->next;
        subs_drop(engine->subs, &client->subscriber);
        memory_free(client);
    }
    module_free(engine->module);
    module_log_free(engine->module_log);
    subs_free(engine->subs);
    txn_free(engine->txn);
    store_deinit(&engine->store);
    map_deinit(&engine->reducers);
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
