#include "cli/forking.h"

#include "cli/place.h"
#include "engine/founding.h"
#include "engine/still.h"
#include "engine/swap.h"

#include <inttypes.h>
#include <stdio.h>

err forking_check(const char *data_dir, const char *name, struct diag *diag)
{
    TRY(database_name_check(name, diag));
    if (databases_hold(data_dir, name))
        return diag_set(diag, ERR_IN_USE, "there is a database %s already", name);
    return OK;
}

err forking_run(const char *data_dir, const char *from, uint64_t offset, const char *name, struct progress *progress,
                struct diag *diag)
{
    const struct disk *disk = disk_real();
    char from_dir[4096], to_dir[4096], path[4200];
    database_path(from_dir, data_dir, from);
    database_path(to_dir, data_dir, name);
    snprintf(path, sizeof path, "%s/snapshots/%020" PRIu64 ".snap", from_dir, offset);
    struct founding founding = { .disk = disk,
                                 .dir = to_dir,
                                 .offset = offset,
                                 .database = founding_draw_identity(),
                                 .schedules_paused = true,
                                 .progress = progress };
    TRY(disk->open(disk->self, path, false, &founding.from, diag));
    err code = disk->size(disk->self, founding.from, &founding.size, diag);
    if (code == OK)
        code = founding_run(&founding, NULL, diag);
    disk->close(disk->self, founding.from);
    database_clear_staging(to_dir);
    return code;
}

err forking_run_stopped(struct archive *archive, const char *name, struct progress *progress, struct diag *diag)
{
    const char *data_dir = archive_data_dir(archive);
    struct disk_file *lock;
    uint64_t offset;
    TRY(archive_find(archive, diag));
    TRY(place_lock(&lock, data_dir, diag));
    err code = forking_check(data_dir, name, diag);
    if (code == OK)
        code = swap_finish(disk_real(), archive->path, diag);
    if (code == OK)
        code = still_snapshot(disk_real(), archive->path, &offset, progress, diag);
    if (code == OK)
        code = forking_run(data_dir, archive->name, offset, name, progress, diag);
    disk_real()->close(disk_real()->self, lock);
    return code;
}
