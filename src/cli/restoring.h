/* restoring — a database becomes what it was: at a moment that it has kept, or in a backup. What is replaced is kept
 * aside (databases.h). */
#pragma once

#include "cli/archive.h"
#include "cli/meter.h"
#include "engine/progress.h"

/* Of a stopped server. */
struct restoring {
    const char *data_dir, *database; /* as in struct archive; for a backup NULL is its own name */
    const char *to;                  /* a moment, or */
    const char *file;                /* a backup: */
    bool replaces;                   /* it may come in the place of a database */
    bool forks;                      /* it becomes another database */
};

/* `said` gets the sentence about what was done. */
err restoring_run(const struct restoring *restoring, struct buf *said, struct meter *meter, struct diag *diag);

/* When nothing is behind the moment, which `end` follows. */
void restoring_say_already(const char *name, uint64_t end, struct buf *said);
/* Rolls back a database that nobody has open; the caller holds the data directory. `archive` has been found. */
err restoring_roll_back(const struct archive *archive, const struct moment *moment, struct progress *progress,
                        struct buf *said, struct diag *diag);
