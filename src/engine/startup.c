#include "engine/startup.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/call.h"
#include "engine/checkpoint.h"
#include "engine/image.h"
#include "engine/schedule.h"

#include <inttypes.h>
#include <stdio.h>

enum { TELL_EVERY = 4096 }; /* records */

/* A bad snapshot is passed over, since the log may still hold what it held. Anything else (another database's, a
 * newer format, a disk that refuses) is for a person to look at. */
static err load_snapshot(struct engine *engine, struct image *image, struct progress *progress, struct diag *diag)
{
    char dir[4096];
    struct buf offsets = { 0 };
    check(snprintf(dir, sizeof dir, "%s/snapshots", engine->dir) < (int)sizeof dir);
    const struct snap_options options = { .disk = engine->disk,
                                          .dir = dir,
                                          .progress = progress != NULL ? progress_step : NULL,
                                          .context = progress };
    if (progress != NULL)
        progress->what = "loading the snapshot";
    err code = snap_list(&options, &offsets, diag);
    for (size_t left = offsets.size / 8; code == OK && left > 0; left--) {
        uint64_t offset;
        memcpy(&offset, offsets.data + (left - 1) * 8, 8);
        code = image_load(image, &options, offset, engine->identity.at, diag);
        if (code == OK)
            break;
        if (code == ERR_CORRUPT) {
            log_warn("%s: %s; going back to the snapshot before", engine->name, diag->text);
            code = OK;
        }
    }
    buf_deinit(&offsets);
    return code;
}

struct replaying {
    struct image *image;
    struct progress *progress;
};

static err replay(void *context, uint64_t offset, bytes record, struct diag *diag)
{
    const struct replaying *replaying = context;
    if (replaying->progress != NULL && offset % TELL_EVERY == 0)
        progress_step(replaying->progress, offset, 0);
    return image_apply(replaying->image, offset, record, diag);
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

static err open_log(struct engine *engine, struct image *image, struct wal_report *report, struct progress *progress,
                    struct diag *diag)
{
    struct replaying replaying = { image, progress };
    char dir[4096];
    check(snprintf(dir, sizeof dir, "%s/log", engine->dir) < (int)sizeof dir);
    struct wal_options options = { .disk = engine->disk,
                                   .dir = dir,
                                   .segment_size = engine->segment_size > 0 ? engine->segment_size
                                                                            : checkpoint_segment_size(engine->checkpoint),
                                   .from = image->next_offset,
                                   .on_durable = on_durable,
                                   .on_failure = on_log_failure,
                                   .context = engine };
    memcpy(options.database_id, engine->identity.at, sizeof options.database_id);
    if (progress != NULL)
        progress->what = "replaying the log";
    return wal_open(&engine->wal, &options, replay, &replaying, report, diag);
}

static void say_what_was_read(const struct engine *engine, uint64_t snapshot, const struct wal_report *report, int64_t start_us)
{
    char from[64] = "";
    if (report->tail_cut)
        log_warn("%s", report->tail_text);
    if (snapshot > 0)
        snprintf(from, sizeof from, "snapshot at offset %" PRIu64 " and ", snapshot);
    if (snapshot > 0 || report->record_count > 0)
        log_info("%s: %s%" PRIu64 " transactions (%.1f MB of log) read back in %.2f s", engine->name, from, report->record_count,
                 (double)report->byte_count / 1e6, (double)(clock_monotonic_us() - start_us) / 1e6);
}

/* The image's parts become the engine's; the tables move as they are. */
static void take_over(struct engine *engine, struct image *image, struct map *clients)
{
    engine->store = image->store;
    store_init(&image->store);
    *clients = image->clients;
    map_init(&image->clients);
    engine->schedule = schedule_new(engine, &image->timers);
    engine->publish = image->publish;
    buf_init(&image->publish);
    engine->publish_offset = image->publish_offset;
    engine->was_published = image->was_published;
    engine->last_client = image->last_client;
    engine->row_limit = image->row_limit;
    memcpy(engine->hash, image->hash, sizeof engine->hash);
    memcpy(engine->first_hash, image->first_hash, sizeof engine->first_hash);
}

err startup_read(struct engine *engine, struct map *clients, struct progress *progress, struct diag *diag)
{
    const int64_t start_us = clock_monotonic_us();
    struct image image;
    struct wal_report report;
    image_init(&image);
    err code = load_snapshot(engine, &image, progress, diag);
    const uint64_t snapshot = image.next_offset;
    if (code == OK)
        code = open_log(engine, &image, &report, progress, diag);
    if (progress != NULL) {
        progress->what = "";
        progress_step(progress, 0, 0);
    }
    if (code == OK) {
        say_what_was_read(engine, snapshot, &report, start_us);
        take_over(engine, &image, clients);
        checkpoint_opened(engine->checkpoint, snapshot, report.byte_count);
        if (!engine->by_hand)
            wal_start(engine->wal);
        port_set_durable(engine->port, wal_durable_offset(engine->wal));
    }
    image_deinit(&image);
    memory_trim(); /* indexes have grown through many sizes */
    return code;
}

void startup_disconnect_leftovers(struct engine *engine, struct map *clients)
{
    uint32_t place = 0;
    engine->now_us = clock_wall_us();
    for (struct map_entry *entry; (entry = map_next(clients, &place)) != NULL;) {
        struct diag diag;
        if (engine->module != NULL)
            (void)call_run_lifecycle(engine, entry->value, LIFECYCLE_DISCONNECT, true, &diag);
        memory_free(entry->value);
    }
    map_deinit(clients);
}
