/* still — a snapshot of a database that stands still: its newest state, verified. */
#pragma once

#include "base/disk.h"
#include "engine/progress.h"

/* Makes sure that a whole snapshot of the log's end is in the database's folder `dir`, and gives its offset. The caller
 * owns the folder (swap.h) and has finished its swaps. ERR_NOT_FOUND when nothing has ever happened there. */
err still_snapshot(const struct disk *disk, const char *dir, uint64_t *offset, struct progress *progress,
                   struct diag *diag);
