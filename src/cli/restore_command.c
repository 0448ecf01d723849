/* restore — a stopped database becomes what it was: at a moment that it has kept, or in a backup. */
#include "cli/commands.h"

#include "cli/archive.h"
#include "cli/args.h"
#include "cli/meter.h"
#include "cli/place.h"
#include "engine/rollback.h"
#include "engine/swap.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

struct restore {
    struct archive archive;
    const char *to;   /* as asked, or NULL */
    struct disk_file *lock;
    struct meter meter;
};

/* "abandoned/…" is under the data directory, two folders above the database's own. */
static err make_aside(const struct restore *restore, const char *why, struct buf *folder, struct buf *seen,
                      struct diag *diag)
{
    TRY(database_make_aside(folder, archive_data_dir(&restore->archive), restore->archive.name, why, diag));
    buf_put_format(seen, "../../%.*s/databases/%s", BYTES_FORMAT(buf_bytes(folder)), restore->archive.name);
    buf_put_u8(seen, '\0');
    return OK;
}

/* What was prepared there has moved; the empty folders are no use to anybody. */
static void remove_staging(const char *database)
{
    static const char *const folders[] = { "incoming/log", "incoming/snapshots", "incoming" };
    char path[4200];
    for (size_t idx = 0; idx < COUNTOF(folders); idx++) {
        snprintf(path, sizeof path, "%s/%s", database, folders[idx]);
        (void)rmdir(path);
    }
}

static err roll_back(struct restore *restore, struct rollback *rollback, struct diag *diag)
{
    char why[64];
    struct buf folder = { 0 }, aside = { 0 };
    snprintf(why, sizeof why, "after-offset-%" PRIu64, rollback->end - 1);
    err code = make_aside(restore, why, &folder, &aside, diag);
    if (code == OK)
        code = rollback_run(rollback, (const char *)aside.data, diag);
    meter_wipe(&restore->meter);
    if (code == OK) {
        const uint64_t count = rollback->log_end - rollback->end;
        remove_staging(restore->archive.path);
        printf("%s is back at offset %" PRIu64 ". The %" PRIu64 " transaction%s after it %s kept in %s/%.*s, which log, "
               "past and check read with --data-dir.\n",
               restore->archive.name, rollback->end - 1, count, count == 1 ? "" : "s", count == 1 ? "is" : "are",
               archive_data_dir(&restore->archive), BYTES_FORMAT(buf_bytes(&folder)));
    }
    buf_deinit(&folder);
    buf_deinit(&aside);
    return code;
}

static err restore_moment(struct restore *restore, struct diag *diag)
{
    struct moment moment;
    struct progress progress = { meter_tell, &restore->meter, "" };
    TRY(moment_parse(bytes_of_text(restore->to), &moment, diag));
    TRY(archive_find(&restore->archive, diag));
    TRY(place_lock(&restore->lock, archive_data_dir(&restore->archive), diag));
    TRY(swap_finish(disk_real(), restore->archive.path, diag));
    struct rollback rollback = { .disk = disk_real(), .dir = restore->archive.path, .progress = &progress };
    TRY(rollback_plan(&rollback, &moment, diag));
    if (rollback.end < rollback.log_end)
        return roll_back(restore, &rollback, diag);
    meter_wipe(&restore->meter);
    printf("%s is at offset %" PRIu64 " already: nothing came after that.\n", restore->archive.name, rollback.end - 1);
    return OK;
}

static int run(struct restore *restore)
{
    struct diag diag;
    const err code = restore_moment(restore, &diag);
    disk_real()->close(disk_real()->self, restore->lock);
    meter_wipe(&restore->meter);
    return code == OK ? 0 : archive_refuse("restore", &diag);
}

int command_restore(int argc, char **argv)
{
    struct restore restore = { .meter = meter_new() };
    const struct args_option options[] = {
        { "--to", "MOMENT", "go back to this offset, or to this time like 2026-11-20T08:15:30Z", &restore.to, NULL },
        { "--data-dir", "DIR", "where the data lives (.stdb in this folder)", &restore.archive.data_dir, NULL },
        { "--database", "NAME", "which database (the only one there)", &restore.archive.database, NULL },
    };
    const struct args_spec spec = {
        .command = "restore",
        .arguments = "",
        .about = "Rolls a database back to a moment that it has kept: its server is stopped meanwhile. What happened\n"
                 "after that moment is not deleted, but kept in a folder of its own under DIR/abandoned, which log, past\n"
                 "and check read. When it is cut short, the old state is there or the new one.",
        .options = options,
        .option_count = COUNTOF(options),
    };
    int count;
    switch (args_parse(&spec, argc, argv, NULL, &count)) {
    case ARGS_HELP: return 0;
    case ARGS_BAD: return 2;
    case ARGS_RUN: break;
    }
    return run(&restore);
}
