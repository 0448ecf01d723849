/* swap — files of a database's folder changed for others: all of them, or none.
 *
 *     prepare   the new files are written to places of their own (<dir>/incoming/), and synced
 *     commit    <dir>/swap is stored: the list of moves, old files to where they are kept, new ones to their places
 *     finish    the moves are made, one by one, and the list is removed
 *
 * Before the commit the old state opens, and what was prepared is a leftover. After it the new state opens: who
 * opens the folder makes the moves that are left first. A list is stored whole or not at all.
 *
 * Rules
 *   I1  A move is done when its target is there: each target is absent when the list is stored, or an earlier move
 *       of the list takes it away.
 *   I2  Each move is stored before the next is begun, so that those done are the first ones of the list.
 *
 * Threads  the folder's owner: whoever holds the data directory's lock. */
#pragma once

#include "base/buf.h"
#include "base/disk.h"

/* Names are below `dir`; "../" leads out of it. Without line breaks and tabs. */
void swap_add(struct buf *list, const char *from, const char *to);
/* The same for each plain file of the folder `from`; an absent one has none. */
err swap_add_folder(struct buf *list, const struct disk *disk, const char *dir, const char *from, const char *to,
                    struct diag *diag);
/* Commits and finishes. After a failure the folder may be in either state. */
err swap_run(const struct disk *disk, const char *dir, const struct buf *list, struct diag *diag);
/* Finishes what was committed, if anything. ERR_CORRUPT for a list that is none. */
err swap_finish(const struct disk *disk, const char *dir, struct diag *diag);
/* ERR_BUSY when there is something to finish: for those who only read. */
err swap_refuse_pending(const struct disk *disk, const char *dir, struct diag *diag);

/* Whether there is such a file. */
err swap_file_exists(const struct disk *disk, const char *path, bool *exists, struct diag *diag);
/* Removes all plain files of a folder; an absent one is fine. */
err swap_clear_folder(const struct disk *disk, const char *path, struct diag *diag);
