/* restore — a stopped database becomes what it was: at a moment that it has kept, or in a backup. */
#include "cli/commands.h"

#include "cli/archive.h"
#include "cli/args.h"
#include "cli/meter.h"
#include "cli/place.h"
#include "engine/backup.h"
#include "engine/founding.h"
#include "engine/rollback.h"
#include "engine/swap.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

struct restore {
    struct archive archive;
    const char *to;       /* as asked, or NULL */
    const char *file;     /* likewise */
    bool replaces, forks;
    struct disk_file *lock;
    struct place place;   /* open when the data directory is a new one */
    struct meter meter;
    struct progress progress;
    struct buf folder;    /* "abandoned/…" */
    struct buf aside;     /* the same as seen from the database's folder, terminated */
};

static err make_aside(struct restore *restore, const char *why, struct diag *diag)
{
    TRY(database_make_aside(&restore->folder, archive_data_dir(&restore->archive), restore->archive.name, why, diag));
    buf_put_format(&restore->aside, "../../%.*s/databases/%s", BYTES_FORMAT(buf_bytes(&restore->folder)),
                   restore->archive.name);
    buf_put_u8(&restore->aside, '\0');
    return OK;
}

/* What was taken away stays; a folder that got nothing goes. */
static void clear_up(struct restore *restore)
{
    char path[4300];
    database_clear_staging(restore->archive.path);
    snprintf(path, sizeof path, "%s/%.*s", archive_data_dir(&restore->archive), BYTES_FORMAT(buf_bytes(&restore->folder)));
    if (restore->folder.size > 0)
        (void)rmdir(path);
}

/* --- Back to a moment --- */

static err roll_back(struct restore *restore, struct rollback *rollback, struct diag *diag)
{
    char why[64];
    const uint64_t count = rollback->log_end - rollback->end;
    snprintf(why, sizeof why, "after-offset-%" PRIu64, rollback->end - 1);
    TRY(make_aside(restore, why, diag));
    TRY(rollback_run(rollback, (const char *)restore->aside.data, diag));
    meter_wipe(&restore->meter);
    printf("%s is back at offset %" PRIu64 ". The %" PRIu64 " transaction%s after it %s kept in %s/%.*s, which log, sql "
           "and check read with --data-dir.\n",
           restore->archive.name, rollback->end - 1, count, count == 1 ? "" : "s", count == 1 ? "is" : "are",
           archive_data_dir(&restore->archive), BYTES_FORMAT(buf_bytes(&restore->folder)));
    return OK;
}

static err restore_moment(struct restore *restore, struct diag *diag)
{
    struct moment moment;
    TRY(moment_parse(bytes_of_text(restore->to), &moment, diag));
    TRY(archive_find(&restore->archive, diag));
    TRY(place_lock(&restore->lock, archive_data_dir(&restore->archive), diag));
    TRY(swap_finish(disk_real(), restore->archive.path, diag));
    struct rollback rollback = { .disk = disk_real(), .dir = restore->archive.path, .progress = &restore->progress };
    TRY(rollback_plan(&rollback, &moment, diag));
    if (rollback.end < rollback.log_end)
        return roll_back(restore, &rollback, diag);
    meter_wipe(&restore->meter);
    printf("%s is at offset %" PRIu64 " already: nothing came after that.\n", restore->archive.name, rollback.end - 1);
    return OK;
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
    if (databases_hold(archive_data_dir(&restore->archive), name) && !restore->replaces)
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
                                 .database = restore->forks ? founding_draw_identity() : head->database,
                                 .schedules_paused = restore->forks || head->schedules_paused,
                                 .progress = &restore->progress };
    const bool is_there = databases_hold(archive_data_dir(&restore->archive), restore->archive.name);
    if (is_there) {
        TRY(swap_finish(disk, founding.dir, diag));
        TRY(make_aside(restore, "replaced-by-backup", diag));
    }
    TRY(disk->open(disk->self, restore->file, false, &founding.from, diag));
    const err code = founding_run(&founding, is_there ? (const char *)restore->aside.data : NULL, diag);
    disk->close(disk->self, founding.from);
    return code;
}

static err restore_file(struct restore *restore, struct diag *diag)
{
    struct backup_head head;
    TRY(backup_check(disk_real(), restore->file, &head, &restore->progress, diag));
    TRY(hold_data_dir(restore, diag));
    TRY(choose_name(restore, &head, diag));
    if (!restore->forks)
        TRY(refuse_twin(restore, &head.database, diag));
    TRY(found(restore, &head, diag));
    meter_wipe(&restore->meter);
    printf("%s is in %s as of offset %" PRIu64 ".", restore->archive.name, archive_data_dir(&restore->archive), head.offset);
    if (restore->folder.size > 0)
        printf(" What was there is kept in %s/%.*s.", archive_data_dir(&restore->archive),
               BYTES_FORMAT(buf_bytes(&restore->folder)));
    putchar('\n');
    return OK;
}

/* --- The command --- */

static err refuse_mixture(const struct restore *restore, struct diag *diag)
{
    if ((restore->to == NULL) == (restore->file == NULL))
        return diag_set(diag, ERR_BAD_USAGE, "it takes either the FILE of a backup or --to MOMENT");
    if (restore->to != NULL && (restore->replaces || restore->forks))
        return diag_set(diag, ERR_BAD_USAGE, "--replace and --fork go with the FILE of a backup");
    return OK;
}

static int run(struct restore *restore)
{
    struct diag diag;
    restore->progress = (struct progress){ meter_tell, &restore->meter, "" };
    err code = refuse_mixture(restore, &diag);
    if (code == OK)
        code = restore->to != NULL ? restore_moment(restore, &diag) : restore_file(restore, &diag);
    meter_wipe(&restore->meter);
    if (restore->lock != NULL || restore->place.lock != NULL)
        clear_up(restore);
    disk_real()->close(disk_real()->self, restore->lock);
    if (restore->place.dir != NULL)
        place_close(&restore->place);
    buf_deinit(&restore->folder);
    buf_deinit(&restore->aside);
    return code == OK ? 0 : archive_refuse("restore", &diag);
}

int command_restore(int argc, char **argv)
{
    struct restore restore = { .meter = meter_new() };
    const struct args_option options[] = {
        { "--to", "MOMENT", "go back to this offset, or to this time like 2026-11-20T08:15:30Z", &restore.to, NULL },
        { "--replace", NULL, "put the backup in the place of a database, which is kept aside", NULL, &restore.replaces },
        { "--fork", NULL, "make another database of the backup: an identity of its own, schedules paused", NULL,
          &restore.forks },
        { "--data-dir", "DIR", "where the data lives (.stdb in this folder); a new one is made for a backup",
          &restore.archive.data_dir, NULL },
        { "--database", "NAME", "which database (with --to: the only one; else the backup's name)",
          &restore.archive.database, NULL },
    };
    const struct args_spec spec = {
        .command = "restore",
        .arguments = "[FILE]",
        .about = "Makes a database of a backup, or rolls one back to a moment that it has kept. The server is stopped\n"
                 "meanwhile. What a database held before is not deleted, but kept in a folder of its own under\n"
                 "DIR/abandoned, which log, sql and check read. Cut short, the old state is there or the new one.",
        .options = options,
        .option_count = COUNTOF(options),
        .positional_max = 1,
    };
    int count;
    switch (args_parse(&spec, argc, argv, &restore.file, &count)) {
    case ARGS_HELP: return 0;
    case ARGS_BAD: return 2;
    case ARGS_RUN: break;
    }
    return run(&restore);
}
