/* rollback — a stopped database goes back to a moment that is kept; what came after it is kept aside.
 *
 * The log is copied up to the moment, each record verified, and then changed for the old one, together with the
 * snapshots that are later than the moment (swap.h). The folder that gets the old files is a database's folder of
 * its own: log, sql, check and another rollback read it.
 *
 * Rules
 *   J1  Nothing of the old state is changed or deleted; files only move.
 *   J2  Whenever it is cut short, the old state opens or the new one. */
#pragma once

#include "engine/history.h"
#include "engine/progress.h"

struct rollback {
    const struct disk *disk;
    const char *dir;            /* the database's folder; its owner finishes swaps before (swap.h) */
    struct progress *progress;
    /* Found by rollback_plan(). */
    uint64_t end;               /* the first offset that is abandoned */
    uint64_t log_end;           /* behind the last */
};

/* Whether the moment can be reached, and what it abandons; changes nothing. ERR_NOT_FOUND outside of what is kept. */
err rollback_plan(struct rollback *rollback, const struct moment *moment, struct diag *diag);
/* `aside`, as seen from the database's folder, gets the old files; it is absent or empty. */
err rollback_run(const struct rollback *rollback, const char *aside, struct diag *diag);
