/* forking — a database once more, in the same data directory: another identity, the same rows and module, its
 * schedules paused. Whoever calls this holds the data directory. */
#pragma once

#include "cli/archive.h"
#include "engine/progress.h"

/* Whether the fork may be called so: ERR_BAD_USAGE, ERR_IN_USE. */
err forking_check(const char *data_dir, const char *name, struct diag *diag);
/* From the snapshot at `offset` of the database `from`. */
err forking_run(const char *data_dir, const char *from, uint64_t offset, const char *name, struct progress *progress,
                struct diag *diag);
/* From the newest state of a stopped database. */
err forking_run_stopped(struct archive *archive, const char *name, struct progress *progress, struct diag *diag);
