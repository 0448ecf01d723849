#include "engine/rollback.h"

#include "engine/swap.h"
#include "wal/copy.h"
#include "wal/reader.h"

#include <inttypes.h>
#include <stdio.h>

enum { PATH_CAPACITY = 4096 };

static void path_in(char path[static PATH_CAPACITY], const struct rollback *rollback, const char *name)
{
    check(snprintf(path, PATH_CAPACITY, "%s/%s", rollback->dir, name) < PATH_CAPACITY);
}

/* --- What there is to do --- */

static err find_end(const struct rollback *rollback, struct history *history, const struct moment *moment,
                    uint64_t *end, struct diag *diag)
{
    struct image image;
    TRY(history_find(history, moment, end, diag));
    image_init(&image);
    rollback->progress->what = "reading the state to go back to";
    history_set_progress(history, progress_step, rollback->progress);
    const err code = history_image_before(history, *end, &image, diag);
    image_deinit(&image);
    return code;
}

static err find_log_end(const struct rollback *rollback, struct history *history, uint64_t *log_end, struct diag *diag)
{
    struct wal_reader *reader;
    bytes record;
    bool found = true;
    uint64_t offset;
    *log_end = rollback->end;
    TRY(wal_reader_open(&reader, rollback->disk, history_log_dir(history), history_database_id(history), rollback->end,
                        WAL_NO_LIMIT, diag));
    err code = OK;
    while (code == OK && found) {
        code = wal_reader_next(reader, &found, &offset, &record, diag);
        *log_end += code == OK && found;
    }
    wal_reader_close(reader);
    return code;
}

err rollback_plan(struct rollback *rollback, const struct moment *moment, struct diag *diag)
{
    struct history *history;
    TRY(history_open(&history, rollback->disk, rollback->dir, diag));
    err code = find_end(rollback, history, moment, &rollback->end, diag);
    if (code == OK)
        code = find_log_end(rollback, history, &rollback->log_end, diag);
    history_close(history);
    return code;
}

/* --- Preparing --- */

static err copy_log(const struct rollback *rollback, const struct history *history, struct diag *diag)
{
    char to[PATH_CAPACITY];
    path_in(to, rollback, "incoming/log");
    TRY(swap_clear_folder(rollback->disk, to, diag));
    struct wal_copy copy = { .disk = rollback->disk,
                             .from = history_log_dir(history),
                             .to = to,
                             .end = rollback->end,
                             .progress = progress_step,
                             .context = rollback->progress };
    memcpy(copy.database_id, history_database_id(history), sizeof copy.database_id);
    rollback->progress->what = "copying the log";
    return wal_copy(&copy, diag);
}

static err copy_file(const struct rollback *rollback, const char *from, const char *to, struct diag *diag)
{
    const struct disk *disk = rollback->disk;
    struct disk_file *file;
    uint64_t size;
    TRY(disk->open(disk->self, from, false, &file, diag));
    err code = disk->size(disk->self, file, &size, diag);
    if (code == OK)
        code = disk_copy(disk, file, 0, size, to, progress_step, rollback->progress, diag);
    disk->close(disk->self, file);
    return code;
}

/* What makes the folder aside a database's: its identity, and a beginning where its log has none. */
static err complete_aside(const struct rollback *rollback, const struct history *history, const char *aside,
                          const struct buf *snapshots, struct diag *diag)
{
    const struct disk *disk = rollback->disk;
    char from[PATH_CAPACITY], folder[PATH_CAPACITY], to[PATH_CAPACITY + 32];
    uint64_t oldest, begin = 0;
    path_in(folder, rollback, aside);
    TRY(disk->make_dir(disk->self, folder, diag));
    path_in(from, rollback, "identity");
    snprintf(to, sizeof to, "%s/identity", folder);
    TRY(copy_file(rollback, from, to, diag));
    TRY(disk->dir_sync(disk->self, folder, diag));
    TRY(wal_reader_oldest(disk, history_log_dir(history), &oldest, diag));
    if (oldest == 0)
        return OK;
    for (size_t at = 0; at < snapshots->size && bytes_get_u64(snapshots->data + at) <= rollback->end; at += 8)
        begin = bytes_get_u64(snapshots->data + at);
    check(snprintf(to, sizeof to, "%s/snapshots", folder) < (int)sizeof to);
    TRY(disk->make_dir(disk->self, to, diag));
    check(snprintf(from, sizeof from, "%s/%020" PRIu64 ".snap", history_snaps(history)->dir, begin) < (int)sizeof from);
    check(snprintf(to, sizeof to, "%s/snapshots/%020" PRIu64 ".snap", folder, begin) < (int)sizeof to);
    rollback->progress->what = "keeping a snapshot aside";
    TRY(copy_file(rollback, from, to, diag));
    *strrchr(to, '/') = '\0';
    return disk->dir_sync(disk->self, to, diag);
}

/* --- Changing --- */

static err list_moves(const struct rollback *rollback, const char *aside, const struct buf *snapshots, struct buf *list,
                      struct diag *diag)
{
    char to[PATH_CAPACITY], from[64];
    check(snprintf(to, sizeof to, "%s/log", aside) < (int)sizeof to);
    TRY(swap_add_folder(list, rollback->disk, rollback->dir, "log", to, diag));
    for (size_t at = 0; at < snapshots->size; at += 8) {
        const uint64_t offset = bytes_get_u64(snapshots->data + at);
        if (offset <= rollback->end)
            continue;
        snprintf(from, sizeof from, "snapshots/%020" PRIu64 ".snap", offset);
        check(snprintf(to, sizeof to, "%s/%s", aside, from) < (int)sizeof to);
        swap_add(list, from, to);
    }
    return swap_add_folder(list, rollback->disk, rollback->dir, "incoming/log", "log", diag);
}

static err prepare(const struct rollback *rollback, const char *aside, struct buf *list, struct diag *diag)
{
    struct history *history;
    struct buf snapshots = { 0 };
    TRY(history_open(&history, rollback->disk, rollback->dir, diag));
    err code = snap_offsets(history_snaps(history), &snapshots, diag);
    if (code == OK)
        code = copy_log(rollback, history, diag);
    if (code == OK)
        code = complete_aside(rollback, history, aside, &snapshots, diag);
    if (code == OK)
        code = list_moves(rollback, aside, &snapshots, list, diag);
    buf_deinit(&snapshots);
    history_close(history);
    return code;
}

err rollback_run(const struct rollback *rollback, const char *aside, struct diag *diag)
{
    struct buf list = { 0 };
    err code = prepare(rollback, aside, &list, diag);
    if (code == OK)
        code = swap_run(rollback->disk, rollback->dir, &list, diag);
    buf_deinit(&list);
    return code;
}
