#include "cli/keeping.h"

#include "cli/place.h"
#include "engine/founding.h"
#include "engine/still.h"
#include "engine/swap.h"

#include <stdio.h>
#include <unistd.h>

enum { PIECE_SIZE = 1 << 20, PATH_CAPACITY = 4096 };

static err part_path(char part[static PATH_CAPACITY], const char *path, struct diag *diag)
{
    if (path[0] == '\0' || snprintf(part, PATH_CAPACITY, "%s.part", path) >= PATH_CAPACITY)
        return diag_set(diag, ERR_BAD_USAGE, "the path of the backup is %s", path[0] == '\0' ? "empty" : "too long");
    return OK;
}

err keeping_begin(const char *path, struct diag *diag)
{
    const struct disk *disk = disk_real();
    struct disk_file *file;
    char part[PATH_CAPACITY];
    TRY(part_path(part, path, diag));
    if (access(path, F_OK) == 0)
        return diag_set(diag, ERR_IN_USE, "%s is there already, and a backup is never written over", path);
    TRY(disk->open(disk->self, part, true, &file, diag));
    const err code = disk->truncate(disk->self, file, 0, diag);
    disk->close(disk->self, file);
    return code;
}

static err store_part(const char *part, struct diag *diag)
{
    const struct disk *disk = disk_real();
    struct disk_file *file;
    TRY(disk->open(disk->self, part, false, &file, diag));
    const err code = disk->sync(disk->self, file, diag);
    disk->close(disk->self, file);
    return code;
}

static err sync_parent(char *path, struct diag *diag)
{
    const struct disk *disk = disk_real();
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return disk->dir_sync(disk->self, ".", diag);
    *(slash == path ? slash + 1 : slash) = '\0';
    return disk->dir_sync(disk->self, path, diag);
}

err keeping_finish(const char *path, struct backup_head *head, struct meter *meter, struct diag *diag)
{
    const struct disk *disk = disk_real();
    struct progress progress = { meter_tell, meter, "" };
    char part[PATH_CAPACITY];
    TRY(part_path(part, path, diag));
    err code = backup_check(disk, part, head, &progress, diag);
    if (code == OK)
        code = store_part(part, diag);
    if (code == OK)
        code = disk->rename(disk->self, part, path, diag);
    if (code == OK)
        code = sync_parent(part, diag);
    else
        keeping_abandon(path);
    return code;
}

void keeping_abandon(const char *path)
{
    char part[PATH_CAPACITY];
    struct diag diag;
    if (part_path(part, path, &diag) == OK)
        unlink(part);
}

/* --- Of a stopped database --- */

static err write_pieces(struct backup *backup, struct disk_file *file, uint8_t *piece, struct progress *progress,
                        struct diag *diag)
{
    const struct disk *disk = disk_real();
    uint64_t at = 0;
    for (;;) {
        size_t done;
        TRY(backup_read(backup, piece, PIECE_SIZE, &done, diag));
        if (done == 0)
            return OK;
        TRY(disk->write_at(disk->self, file, at, piece, done, diag));
        at += done;
        progress_step(progress, at, backup_size(backup));
    }
}

static err write_part(const char *path, struct backup *backup, struct progress *progress, struct diag *diag)
{
    const struct disk *disk = disk_real();
    struct disk_file *file;
    char part[PATH_CAPACITY];
    TRY(part_path(part, path, diag));
    TRY(disk->open(disk->self, part, false, &file, diag));
    uint8_t *piece = memory_new(PIECE_SIZE);
    progress->what = "writing the backup";
    const err code = write_pieces(backup, file, piece, progress, diag);
    memory_free(piece);
    disk->close(disk->self, file);
    return code;
}

static err open_stopped(const struct archive *archive, struct backup_head *head, struct backup **backup,
                        struct progress *progress, struct diag *diag)
{
    const struct disk *disk = disk_real();
    *head = (struct backup_head){ 0 };
    snprintf(head->name, sizeof head->name, "%s", archive->name);
    TRY(swap_finish(disk, archive->path, diag));
    TRY(founding_read_identity(disk, archive->path, &head->database, diag));
    TRY(founding_read_pause(disk, archive->path, &head->schedules_paused, diag));
    TRY(still_snapshot(disk, archive->path, &head->offset, progress, diag));
    return backup_open(backup, disk, archive->path, head, diag);
}

err keeping_write(struct archive *archive, const char *path, struct backup_head *head, struct meter *meter,
                  struct diag *diag)
{
    struct progress progress = { meter_tell, meter, "" };
    struct backup *backup = NULL;
    struct disk_file *lock;
    TRY(archive_find(archive, diag));
    TRY(place_lock(&lock, archive_data_dir(archive), diag));
    err code = keeping_begin(path, diag);
    if (code == OK) {
        code = open_stopped(archive, head, &backup, &progress, diag);
        if (code == OK)
            code = write_part(path, backup, &progress, diag);
        backup_close(backup);
        if (code == OK)
            code = keeping_finish(path, head, meter, diag);
        else
            keeping_abandon(path);
    }
    disk_real()->close(disk_real()->self, lock);
    return code;
}
