/* scratch — where LMDB works: in the snapshot's own file on the real disk; on any other disk, such as a simulator's,
 * in a file in memory whose content is copied from or to that disk. */
#pragma once

#include "base/disk.h"

struct scratch {
    const char *real_path; /* borrowed; NULL: in memory */
    int fd;                /* in memory; else -1 */
    char fd_path[32];
};

#define SCRATCH_NONE ((struct scratch){ .fd = -1 })

err scratch_open(struct scratch *scratch, const struct disk *disk, const char *path, struct diag *diag);
void scratch_close(struct scratch *scratch);
/* What LMDB opens. */
const char *scratch_path(const struct scratch *scratch);
/* Both do nothing where it is the file itself. */
err scratch_copy_out(const struct scratch *scratch, const struct disk *disk, struct disk_file *file, struct diag *diag);
err scratch_copy_in(const struct scratch *scratch, uint64_t position, bytes piece, struct diag *diag);
