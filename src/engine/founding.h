/* founding — a database begins with a snapshot: that of a backup, or of another database.
 *
 * It is prepared beside what the folder holds and then put in its place (swap.h): cut short, the folder is as it was,
 * or holds the new database.
 *
 * A database's schedules can be paused: the file "schedules-paused" in its folder says so until somebody resumes
 * them. A fork begins like that, since what its original does on a timetable is done already. */
#pragma once

#include "base/disk.h"
#include "engine/progress.h"
#include "sats/ident.h"

struct founding {
    const struct disk *disk;
    const char *dir;          /* the new database's folder; its owner finishes swaps before (swap.h) */
    struct disk_file *from;   /* holds the snapshot's file: */
    uint64_t position, size;  /* there */
    uint64_t offset;          /* of the snapshot; the log begins there */
    identity database;        /* who the new one is; a snapshot of another becomes its own */
    bool schedules_paused;
    struct progress *progress;
};

/* `aside`, as seen from the folder, gets the database that is there now; NULL when there is none. */
err founding_run(const struct founding *founding, const char *aside, struct diag *diag);

identity founding_draw_identity(void);
/* What the folder's file "identity" holds. ERR_NOT_FOUND, ERR_CORRUPT. */
err founding_read_identity(const struct disk *disk, const char *dir, identity *database, struct diag *diag);
err founding_write_identity(const struct disk *disk, const char *dir, const identity *database, struct diag *diag);

err founding_read_pause(const struct disk *disk, const char *dir, bool *schedules_paused, struct diag *diag);
err founding_end_pause(const struct disk *disk, const char *dir, struct diag *diag);
