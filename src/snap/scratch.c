#include "snap/scratch.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COPY_SIZE = 1 << 20 };

err scratch_open(struct scratch *scratch, const struct disk *disk, const char *path, struct diag *diag)
{
    *scratch = SCRATCH_NONE;
    if (disk == disk_real()) {
        scratch->real_path = path;
        return OK;
    }
    scratch->fd = memfd_create("snapshot", MFD_CLOEXEC);
    if (scratch->fd < 0)
        return diag_set(diag, ERR_DISK, "cannot make a file in memory for %s: %s", path, strerror(errno));
    snprintf(scratch->fd_path, sizeof scratch->fd_path, "/proc/self/fd/%d", scratch->fd);
    return OK;
}

void scratch_close(struct scratch *scratch)
{
    if (scratch->fd >= 0)
        close(scratch->fd);
    *scratch = SCRATCH_NONE;
}

const char *scratch_path(const struct scratch *scratch)
{
    return scratch->real_path != NULL ? scratch->real_path : scratch->fd_path;
}

static err copy_piece(const struct scratch *scratch, uint8_t *piece, const struct disk *disk, struct disk_file *file,
                      uint64_t *position, bool *done, struct diag *diag)
{
    const ssize_t got = pread(scratch->fd, piece, COPY_SIZE, (off_t)*position);
    if (got < 0)
        return diag_set(diag, ERR_DISK, "cannot read a file in memory: %s", strerror(errno));
    *done = got == 0;
    if (got > 0)
        TRY(disk->write_at(disk->self, file, *position, piece, (size_t)got, diag));
    *position += (uint64_t)got;
    return OK;
}

err scratch_copy_out(const struct scratch *scratch, const struct disk *disk, struct disk_file *file, struct diag *diag)
{
    if (scratch->fd < 0)
        return OK;
    uint8_t *piece = memory_resize(NULL, COPY_SIZE);
    uint64_t position = 0;
    bool done = false;
    err code = OK;
    while (code == OK && !done)
        code = copy_piece(scratch, piece, disk, file, &position, &done, diag);
    memory_free(piece);
    return code;
}

err scratch_copy_in(const struct scratch *scratch, uint64_t position, bytes piece, struct diag *diag)
{
    if (scratch->fd < 0)
        return OK;
    for (size_t done = 0; done < piece.size;) {
        const ssize_t put = pwrite(scratch->fd, piece.at + done, piece.size - done, (off_t)(position + done));
        if (put <= 0)
            return diag_set(diag, ERR_DISK, "cannot write a file in memory: %s", strerror(errno));
        done += (size_t)put;
    }
    return OK;
}
