#include "engine/checkpoint.h"

#include "base/background.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/schedule.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { KEPT_MIN = 2, WAIT_STEP_US = 1000, RETRY_US = 60000000 };
enum { SEGMENTS_KEPT = 16, SEGMENT_MIN = 1 << 20, SEGMENT_MAX = 64 << 20 };

const struct checkpoint_options checkpoint_options_default = {
    .log_bytes = 256ull << 20,
    .interval_us = 3600ll * 1000000,
    .keep_us = 7ll * 24 * 3600 * 1000000,
    .keep_bytes = 16ull << 30,
};

enum stage { STAGE_WRITE, STAGE_PUBLISH, STAGE_VERIFY, STAGE_RETIRE };

/* One snapshot on its way. Made by the engine's thread, then the worker's until `done`. */
struct job {
    enum stage stage;        /* the next thing to do */
    struct frozen *frozen;   /* until it is written */
    struct snap_head head;
    struct buf ticks;     /* what head.ticks points into */
    struct buf clients;   /* what head.clients points into */
    struct buf publish;   /* what head.publish points into */
    struct checkpoint_wish *wishes; /* who asked for it */
    int64_t started_us;
    err code;
    struct diag diag;
    atomic_bool done;
};

struct checkpoint {
    struct engine *engine;
    struct checkpoint_options options;
    char dir[4096];
    struct snap_options snap;
    uint64_t last_offset;     /* of the newest snapshot, or what stands for it */
    uint64_t last_logged;     /* engine->logged_bytes when it was taken */
    uint64_t replayed_bytes;  /* of log behind it that the start had to read; counts as new */
    int64_t last_us;          /* when it was taken, monotonic */
    int64_t not_before_us;    /* after a failure */
    struct checkpoint_wish *wanted; /* asked for, not begun */
    struct job *job;          /* at work, or NULL */
    pthread_t thread;
    atomic_bool stopping;
};

static bool go_on(void *context, uint64_t rows_done, uint64_t rows_all)
{
    const struct checkpoint *checkpoint = context;
    background_stand_back();
    return !atomic_load(&checkpoint->stopping);
}

struct checkpoint *checkpoint_new(struct engine *engine, const struct checkpoint_options *options)
{
    struct checkpoint *checkpoint = memory_new(sizeof *checkpoint);
    checkpoint->engine = engine;
    checkpoint->options = *options;
    check(snprintf(checkpoint->dir, sizeof checkpoint->dir, "%s/snapshots", engine->dir) < (int)sizeof checkpoint->dir);
    checkpoint->snap = (struct snap_options){ engine->disk, checkpoint->dir, go_on, checkpoint };
    return checkpoint;
}

/* C4 */
uint64_t checkpoint_segment_size(const struct checkpoint *checkpoint)
{
    const uint64_t share = checkpoint->options.keep_bytes / SEGMENTS_KEPT;
    return share < SEGMENT_MIN ? SEGMENT_MIN : share > SEGMENT_MAX ? SEGMENT_MAX : share;
}

void checkpoint_opened(struct checkpoint *checkpoint, uint64_t snapshot_offset, uint64_t replayed_bytes)
{
    checkpoint->last_offset = snapshot_offset;
    checkpoint->replayed_bytes = replayed_bytes;
    checkpoint->last_us = clock_monotonic_us();
}

/* --- The worker --- */

static err write_snapshot(struct checkpoint *checkpoint, struct job *job)
{
    const err code = snap_write(&checkpoint->snap, job->frozen, &job->head, &job->diag);
    frozen_drop(job->frozen);
    job->frozen = NULL;
    return code;
}

/* M1. Once the log has failed this stays so until the database stops. */
static bool waits_for_log(const struct checkpoint *checkpoint)
{
    const struct job *job = checkpoint->job;
    return job->stage == STAGE_PUBLISH && !atomic_load(&checkpoint->stopping) &&
           wal_durable_offset(checkpoint->engine->wal) < job->head.offset;
}

static err publish_snapshot(struct checkpoint *checkpoint, struct job *job)
{
    if (wal_durable_offset(checkpoint->engine->wal) < job->head.offset)
        return diag_set(&job->diag, ERR_BUSY, "the database is stopping");
    return snap_publish(&checkpoint->snap, job->head.offset, &job->diag);
}

struct kept {
    uint64_t offset, size;
    int64_t taken_us;
};

/* A damaged one stands for nothing and is given up at once: *count stays as it is then. */
static err keep_or_remove(struct checkpoint *checkpoint, uint64_t offset, struct kept *kept, size_t *count,
                          struct diag *diag)
{
    struct snap_label label;
    const err code = snap_peek(&checkpoint->snap, offset, &label, diag);
    if (code == ERR_CORRUPT)
        return snap_remove(&checkpoint->snap, offset, diag);
    kept[*count] = (struct kept){ offset, label.content_size, label.timestamp_us };
    *count += code == OK;
    return code;
}

/* C1, C2: the oldest go first, by age and while all together are too large. */
static err retire(struct checkpoint *checkpoint, struct diag *diag)
{
    struct wal *wal = checkpoint->engine->wal;
    const int64_t now_us = clock_wall_us();
    struct buf offsets = { 0 };
    err code = snap_offsets(&checkpoint->snap, &offsets, diag);
    uint64_t total = wal_size(wal), oldest = 0;
    struct kept *kept = memory_new((offsets.size / 8 + 1) * sizeof *kept);
    size_t count = 0;
    struct reader left = reader_of(buf_bytes(&offsets));
    while (code == OK && reader_left(&left) > 0)
        code = keep_or_remove(checkpoint, reader_get_u64(&left), kept, &count, diag);
    for (size_t idx = 0; idx < count; idx++)
        total += kept[idx].size;
    for (size_t idx = 0; code == OK && idx + KEPT_MIN < count; idx++) {
        /* Its successor covers the window's beginning, or there is no room. */
        const bool is_old = kept[idx + 1].taken_us < now_us - checkpoint->options.keep_us;
        if (!is_old && total <= checkpoint->options.keep_bytes)
            break;
        uint64_t freed = 0;
        oldest = kept[idx + 1].offset;
        code = snap_remove(&checkpoint->snap, kept[idx].offset, diag);
        if (code == OK)
            code = wal_retire(wal, oldest, &freed, diag);
        total -= kept[idx].size + freed;
    }
    memory_free(kept);
    buf_deinit(&offsets);
    return code;
}

/* C1: what cannot be read back must not stand for one of those that are kept. */
static err verify_snapshot(struct checkpoint *checkpoint, struct job *job)
{
    struct diag ignored;
    const err code = snap_verify(&checkpoint->snap, job->head.offset, &job->diag);
    if (code != OK && code != ERR_BUSY)
        (void)snap_remove(&checkpoint->snap, job->head.offset, &ignored);
    return code;
}

/* What cannot be removed does not spoil the snapshot. */
static void try_retire(struct checkpoint *checkpoint)
{
    struct diag diag;
    if (retire(checkpoint, &diag) != OK)
        log_warn("%s: old snapshots and log stay: %s", checkpoint->engine->name, diag.text);
}

bool checkpoint_step(struct checkpoint *checkpoint)
{
    struct job *job = checkpoint->job;
    if (job == NULL || atomic_load(&job->done) || waits_for_log(checkpoint))
        return false;
    const enum stage stage = job->stage++;
    switch (stage) {
    case STAGE_WRITE: job->code = write_snapshot(checkpoint, job); break;
    case STAGE_PUBLISH: job->code = publish_snapshot(checkpoint, job); break;
    case STAGE_VERIFY: job->code = verify_snapshot(checkpoint, job); break;
    case STAGE_RETIRE: try_retire(checkpoint); break;
    }
    if (job->code != OK || stage == STAGE_RETIRE) {
        atomic_store(&job->done, true);
        port_interrupt(checkpoint->engine->port);
    }
    return true;
}

static void *work(void *context)
{
    struct checkpoint *checkpoint = context;
    background_begin();
    while (!atomic_load(&checkpoint->job->done)) {
        if (!checkpoint_step(checkpoint))
            usleep(WAIT_STEP_US);
    }
    return NULL;
}

/* --- On the engine's thread --- */

/* snap_head's lists are views: the job owns what they look at. */
static void list_clients(const struct engine *engine, struct buf *out)
{
    for (const struct client *client = engine->clients; client != NULL; client = client->next) {
        if (!client->connected)
            continue;
        const struct snap_client one = { client->caller.number, client->caller.who, client->caller.connection };
        buf_put(out, &one, sizeof one);
    }
}

static void begin(struct checkpoint *checkpoint)
{
    struct engine *engine = checkpoint->engine;
    struct job *job = memory_new(sizeof *job);
    list_clients(engine, &job->clients);
    schedule_list_ticks(engine->schedule, &job->ticks);
    buf_put_bytes(&job->publish, buf_bytes(&engine->publish));
    job->started_us = clock_monotonic_us();
    job->wishes = checkpoint->wanted;
    checkpoint->wanted = NULL;
    job->frozen = store_freeze(&engine->store);
    job->head = (struct snap_head){ .offset = wal_next_offset(engine->wal),
                                    .timestamp_us = clock_wall_us(),
                                    .publish_offset = engine->publish_offset,
                                    .last_client = engine->last_client,
                                    .client_count = (uint32_t)(job->clients.size / sizeof(struct snap_client)),
                                    .clients = (const struct snap_client *)job->clients.data,
                                    .tick_count = (uint32_t)(job->ticks.size / sizeof(struct snap_tick)),
                                    .ticks = (const struct snap_tick *)job->ticks.data,
                                    .publish = buf_bytes(&job->publish),
                                    .row_limit = engine->row_limit };
    memcpy(job->head.database_id, engine->identity.at, sizeof job->head.database_id);
    memcpy(job->head.first_hash, engine->first_hash, sizeof job->head.first_hash);
    checkpoint->job = job;
    checkpoint->last_logged = engine->logged_bytes;
    checkpoint->replayed_bytes = 0;
    if (!engine->by_hand)
        check(pthread_create(&checkpoint->thread, NULL, work, checkpoint) == 0);
}

static void grant(struct checkpoint *checkpoint, struct checkpoint_wish *wish, const struct job *job)
{
    while (wish != NULL) {
        struct checkpoint_wish *next = wish->next;
        wish->granted(wish, checkpoint->engine, job->code, job->head.offset, &job->diag);
        wish = next;
    }
}

static void finish(struct checkpoint *checkpoint)
{
    struct job *job = checkpoint->job;
    if (!checkpoint->engine->by_hand)
        pthread_join(checkpoint->thread, NULL);
    checkpoint->job = NULL;
    checkpoint->last_us = clock_monotonic_us();
    if (job->code == OK) {
        checkpoint->last_offset = job->head.offset;
        log_info("%s: snapshot at offset %" PRIu64 " taken and read back in %.2f s", checkpoint->engine->name, job->head.offset,
                 (double)(checkpoint->last_us - job->started_us) / 1e6);
    } else {
        checkpoint->not_before_us = checkpoint->last_us + RETRY_US;
        log_warn("%s: no snapshot: %s", checkpoint->engine->name, job->diag.text);
    }
    grant(checkpoint, job->wishes, job);
    buf_deinit(&job->clients);
    buf_deinit(&job->ticks);
    buf_deinit(&job->publish);
    memory_free(job);
}

static bool is_time(const struct checkpoint *checkpoint)
{
    const struct engine *engine = checkpoint->engine;
    const int64_t now_us = clock_monotonic_us();
    if (checkpoint->wanted != NULL)
        return true;
    if (wal_next_offset(engine->wal) == checkpoint->last_offset || now_us < checkpoint->not_before_us)
        return false;
    return engine->logged_bytes - checkpoint->last_logged + checkpoint->replayed_bytes >= checkpoint->options.log_bytes ||
           now_us - checkpoint->last_us >= checkpoint->options.interval_us;
}

void checkpoint_consider(struct checkpoint *checkpoint)
{
    if (checkpoint->job != NULL) {
        if (atomic_load(&checkpoint->job->done))
            finish(checkpoint);
    } else if (is_time(checkpoint)) {
        begin(checkpoint);
    }
}

void checkpoint_ask(struct checkpoint *checkpoint, struct checkpoint_wish *wish)
{
    wish->next = checkpoint->wanted;
    checkpoint->wanted = wish;
}

void checkpoint_stop(struct checkpoint *checkpoint)
{
    atomic_store(&checkpoint->stopping, true);
    while (checkpoint->engine->by_hand && checkpoint_step(checkpoint))
        ;
    if (checkpoint->job != NULL)
        finish(checkpoint);
    const struct job stopped = { .code = ERR_BUSY, .diag = { ERR_BUSY, "the database is stopping" } };
    grant(checkpoint, checkpoint->wanted, &stopped);
    checkpoint->wanted = NULL;
}

void checkpoint_free(struct checkpoint *checkpoint)
{
    memory_free(checkpoint);
}
