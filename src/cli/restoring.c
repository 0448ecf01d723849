#include "cli/restoring.h"

#include "cli/place.h"
#include "engine/backup.h"
#include "engine/founding.h"
#include "engine/rollback.h"
#include "engine/swap.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

struct restore {
    const struct restoring *asked;
    struct archive archive;
    struct disk_file *lock;
    struct place place;   /* open when the data directory is a new one */
    struct progress progress;
    struct buf *said;
    struct buf folder;    /* "abandoned/…" */
    struct buf aside;     /* the same as seen from the database's folder, terminated */
};

/* `aside` is the same folder as seen from the database's own, terminated. */
static err make_aside(const struct archive *archive, const char *why, struct buf *folder, struct buf *aside,
                      struct diag *diag)
{
    TRY(database_make_aside(folder, archive_data_dir(archive), archive->name, why, diag));
    buf_put_format(aside, "../../%.*s/databases/%s", BYTES_FORMAT(buf_bytes(folder)), archive->name);
    buf_put_u8(aside, '\0');
    return OK;
}

/* What was taken away stays; a folder that got nothing goes. */
static void clear_up(const struct archive *archive, const struct buf *folder)
{
    char path[4300];
    database_clear_staging(archive->path);
    snprintf(path, sizeof path, "%s/%.*s", archive_data_dir(archive), BYTES_FORMAT(buf_bytes(folder)));
    if (folder->size > 0)
        (void)rmdir(path);
}

/* --- Back to a moment --- */

void restoring_say_already(const char *name, uint64_t end, struct buf *said)
{
    buf_put_format(said, "%s is at offset %" PRIu64 " already: nothing came after that.", name, end - 1);
}

err restoring_roll_back(const struct archive *archive, const struct moment *moment, struct progress *progress,
                        struct buf *said, struct diag *diag)
{
    struct rollback rollback = { .disk = disk_real(), .dir = archive->path, .progress = progress };
    struct buf folder = { 0 }, aside = { 0 };
    char why[64];
    TRY(swap_finish(disk_real(), archive->path, diag));
    TRY(rollback_plan(&rollback, moment, diag));
    const uint64_t count = rollback.log_end - rollback.end;
    if (count == 0) {
        restoring_say_already(archive->name, rollback.end, said);
        return OK;
    }
    snprintf(why, sizeof why, "after-offset-%" PRIu64, rollback.end - 1);
    err code = make_aside(archive, why, &folder, &aside, diag);
    if (code == OK)
        code = rollback_run(&rollback, (const char *)aside.data, diag);
    if (code == OK)
        buf_put_format(said,
                       "%s is back at offset %" PRIu64 ". The %" PRIu64 " transaction%s after it %s kept in %s/%.*s, which "
                       "log, sql and check read with --data-dir.",
                       archive->name, rollback.end - 1, count, count == 1 ? "" : "s", count == 1 ? "is" : "are",
                       archive_data_dir(archive), BYTES_FORMAT(buf_bytes(&folder)));
    clear_up(archive, &folder);
    buf_deinit(&folder);
    buf_deinit(&aside);
    return code;
}

static err restore_moment(struct restore *restore, struct diag *diag)
{
    struct moment moment;
    TRY(moment_parse(bytes_of_text(restore->asked->to), &moment, diag));
    TRY(archive_find(&restore->archive, diag));
    const err code = place_lock(&restore->lock, archive_data_dir(&restore->archive), diag);
    if (code == ERR_IN_USE)
        return diag_set(diag, code,
                        "a server runs on %s, and nothing was changed; stop it, or have it do this itself with --live "
                        "--database %s",
                        archive_data_dir(&restore->archive), restore->archive.name);
    TRY(code);
    return restoring_roll_back(&restore->archive, &moment, &restore->progress, restore->said, diag);
}

/* --- From a backup --- */

/* A new data directory gets all that a server's has. */
static err hold_data_dir(struct restore *restore, struct diag *diag)
{
    const char *data_dir = archive_data_dir(&restore->archive);
    TRY(data_dir_check(data_dir, diag));
    if (access(data_dir, F_OK) != 0)
        return place_open(&restore->place, disk_real(), data_dir, diag);
    return place_lock(&restore->lock, data_dir, diag);
}

static err choose_name(struct restore *restore, const struct backup_head *head, struct diag *diag)
{
    const char *name = restore->archive.database != NULL ? restore->archive.database : head->name;
    TRY(database_name_check(name, diag));
    memcpy(restore->archive.name, name, strlen(name) + 1);
    if (databases_hold(archive_data_dir(&restore->archive), name) && !restore->asked->replaces)
        return diag_set(diag, ERR_IN_USE,
                        "there is a database %s in %s already; --replace puts the backup in its place and keeps it aside, "
                        "--database NAME gives the backup another name",
                        name, archive_data_dir(&restore->archive));
    database_path(restore->archive.path, archive_data_dir(&restore->archive), name);
    return OK;
}

/* A server finds databases by their identity, too: no two have the same. */
static err refuse_twin(const struct restore *restore, const identity *database, struct diag *diag)
{
    const char *data_dir = archive_data_dir(&restore->archive);
    struct buf names = { 0 };
    err code = databases_list(data_dir, &names, diag);
    if (code == ERR_NOT_FOUND)
        code = OK;
    for (size_t at = 0; code == OK && at < names.size; at += strlen((char *)names.data + at) + 1) {
        const char *name = (const char *)names.data + at;
        char path[4096];
        identity other;
        database_path(path, data_dir, name);
        if (strcmp(name, restore->archive.name) != 0 && founding_read_identity(disk_real(), path, &other, diag) == OK &&
            memcmp(&other, database, sizeof other) == 0)
            code = diag_set(diag, ERR_IN_USE,
                            "the database of this backup is in %s already, as %s; --fork makes another one of it", data_dir,
                            name);
    }
    buf_deinit(&names);
    return code;
}

static err found(struct restore *restore, const struct backup_head *head, struct diag *diag)
{
    const struct disk *disk = disk_real();
    struct founding founding = { .disk = disk,
                                 .dir = restore->archive.path,
                                 .position = BACKUP_HEAD_SIZE,
                                 .size = head->snapshot_size,
                                 .offset = head->offset,
                                 .database = restore->asked->forks ? founding_draw_identity() : head->database,
                                 .schedules_paused = restore->asked->forks || head->schedules_paused,
                                 .progress = &restore->progress };
    const bool is_there = databases_hold(archive_data_dir(&restore->archive), restore->archive.name);
    if (is_there) {
        TRY(swap_finish(disk, founding.dir, diag));
        TRY(make_aside(&restore->archive, "replaced-by-backup", &restore->folder, &restore->aside, diag));
    }
    TRY(disk->open(disk->self, restore->asked->file, false, &founding.from, diag));
    const err code = founding_run(&founding, is_there ? (const char *)restore->aside.data : NULL, diag);
    disk->close(disk->self, founding.from);
    return code;
}

static err restore_file(struct restore *restore, struct diag *diag)
{
    struct backup_head head;
    TRY(backup_check(disk_real(), restore->asked->file, &head, &restore->progress, diag));
    TRY(hold_data_dir(restore, diag));
    TRY(choose_name(restore, &head, diag));
    if (!restore->asked->forks)
        TRY(refuse_twin(restore, &head.database, diag));
    TRY(found(restore, &head, diag));
    buf_put_format(restore->said,
                   "%s is in %s as of offset %" PRIu64 "; `stdb-lua run MODULE --database %s --data-dir %s` serves it.",
                   restore->archive.name, archive_data_dir(&restore->archive), head.offset, restore->archive.name,
                   archive_data_dir(&restore->archive));
    if (restore->folder.size > 0)
        buf_put_format(restore->said, " What was there is kept in %s/%.*s.", archive_data_dir(&restore->archive),
                       BYTES_FORMAT(buf_bytes(&restore->folder)));
    return OK;
}

/* --- Both --- */

err restoring_run(const struct restoring *asked, struct buf *said, struct meter *meter, struct diag *diag)
{
    struct restore restore = { .archive = { .data_dir = asked->data_dir, .database = asked->database },
                               .asked = asked,
                               .said = said,
                               .progress = { meter_tell, meter, "" } };
    const err code = asked->to != NULL ? restore_moment(&restore, diag) : restore_file(&restore, diag);
    if (restore.lock != NULL || restore.place.lock != NULL)
        clear_up(&restore.archive, &restore.folder);
    disk_real()->close(disk_real()->self, restore.lock);
    if (restore.place.dir != NULL)
        place_close(&restore.place);
    buf_deinit(&restore.folder);
    buf_deinit(&restore.aside);
    return code;
}
