/* A file, or a part of one, written once more. */
#include "base/buf.h"
#include "base/disk.h"

enum { PIECE_SIZE = 1 << 20, SYNC_EVERY = 16 }; /* pieces: other syncs never wait for all of it */

struct copying {
    const struct disk *disk;
    struct disk_file *from, *to;
    uint64_t position, size;
    bool (*progress)(void *context, uint64_t done, uint64_t all);
    void *context;
};

static err copy_piece(const struct copying *copying, uint8_t *piece, uint64_t done, size_t size, struct diag *diag)
{
    const struct disk *disk = copying->disk;
    size_t got;
    TRY(disk->read_at(disk->self, copying->from, copying->position + done, piece, size, &got, diag));
    if (got < size)
        return diag_set(diag, ERR_DISK, "the file that is copied ends at byte %llu, before its size",
                        (unsigned long long)(copying->position + done + got));
    return disk->write_at(disk->self, copying->to, done, piece, size, diag);
}

static err copy_pieces(const struct copying *copying, uint8_t *piece, struct diag *diag)
{
    const struct disk *disk = copying->disk;
    uint32_t count = 0;
    for (uint64_t done = 0; done < copying->size;) {
        const uint64_t left = copying->size - done;
        const size_t size = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;
        TRY(copy_piece(copying, piece, done, size, diag));
        done += size;
        if (++count % SYNC_EVERY == 0)
            TRY(disk->sync(disk->self, copying->to, diag));
        if (copying->progress != NULL && !copying->progress(copying->context, done, copying->size))
            return diag_set(diag, ERR_BUSY, "copying was stopped");
    }
    return disk->sync(disk->self, copying->to, diag);
}

err disk_copy(const struct disk *disk, struct disk_file *from, uint64_t position, uint64_t size, const char *to,
              bool (*progress)(void *context, uint64_t done, uint64_t all), void *context, struct diag *diag)
{
    struct copying copying = { disk, from, NULL, position, size, progress, context };
    TRY(disk->open(disk->self, to, true, &copying.to, diag));
    uint8_t *piece = memory_new(PIECE_SIZE);
    err code = disk->truncate(disk->self, copying.to, 0, diag);
    if (code == OK)
        code = copy_pieces(&copying, piece, diag);
    memory_free(piece);
    disk->close(disk->self, copying.to);
    return code;
}
