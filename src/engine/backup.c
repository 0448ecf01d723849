#include "engine/backup.h"

#include "base/buf.h"
#include "base/hash.h"
#include "snap/folder.h"

#include <inttypes.h>

enum { PIECE_SIZE = 1 << 20, FLAG_PAUSED = 1, TAIL_SUM_AT = BACKUP_TAIL_SIZE - 4 };
static const char head_magic[8] = { 'S', 'T', 'D', 'B', 'B', 'A', 'C', 'K' };
static const char tail_magic[8] = { 'S', 'T', 'D', 'B', 'E', 'N', 'D', '\n' };

/* --- The head --- */

static void head_encode(const struct backup_head *head, uint8_t out[BACKUP_HEAD_SIZE])
{
    memset(out, 0, BACKUP_HEAD_SIZE);
    memcpy(out, head_magic, sizeof head_magic);
    bytes_put_u32(out + 8, BACKUP_FORMAT);
    bytes_put_u32(out + 12, head->schedules_paused ? FLAG_PAUSED : 0);
    memcpy(out + 16, head->database.at, sizeof head->database.at);
    bytes_put_u64(out + 48, head->offset);
    bytes_put_u64(out + 56, (uint64_t)head->timestamp_us);
    bytes_put_u64(out + 72, head->snapshot_size);
    memcpy(out + 80, head->name, strlen(head->name));
    bytes_put_u32(out + 156, crc32c(0, out, 156));
}

static err head_decode(const uint8_t from[BACKUP_HEAD_SIZE], const char *path, struct backup_head *head,
                       struct diag *diag)
{
    if (memcmp(from, head_magic, sizeof head_magic) != 0)
        return diag_set(diag, ERR_CORRUPT, "%s is not a backup of a database", path);
    if (bytes_get_u32(from + 156) != crc32c(0, from, 156))
        return diag_set(diag, ERR_CORRUPT, "%s is damaged: its first %d bytes do not match their checksum", path,
                        BACKUP_HEAD_SIZE);
    if (bytes_get_u32(from + 8) != BACKUP_FORMAT)
        return diag_set(diag, ERR_NEWER_FORMAT,
                        "%s was written by another version: its format is %" PRIu32 ", and %d is the one known here",
                        path, bytes_get_u32(from + 8), BACKUP_FORMAT);
    *head = (struct backup_head){ .offset = bytes_get_u64(from + 48),
                                  .timestamp_us = (int64_t)bytes_get_u64(from + 56),
                                  .snapshot_size = bytes_get_u64(from + 72),
                                  .schedules_paused = (bytes_get_u32(from + 12) & FLAG_PAUSED) != 0 };
    memcpy(head->database.at, from + 16, sizeof head->database.at);
    memcpy(head->name, from + 80, BACKUP_NAME_MAX);
    return OK;
}

/* --- Making one --- */

struct backup {
    const struct disk *disk;
    struct disk_file *file; /* the snapshot's */
    uint64_t snapshot_size;
    uint64_t done;          /* of all bytes */
    uint32_t sum;
    uint8_t head[BACKUP_HEAD_SIZE];
};

static err open_snapshot(struct backup *backup, const char *folder, struct backup_head *head, struct diag *diag)
{
    const struct disk *disk = backup->disk;
    const struct snap_options options = { .disk = disk, .dir = folder };
    struct snap_label label;
    TRY(snap_peek(&options, head->offset, &label, diag));
    head->timestamp_us = label.timestamp_us;
    char *path = snap_path(folder, head->offset);
    err code = disk->open(disk->self, path, false, &backup->file, diag);
    if (code == OK)
        code = disk->size(disk->self, backup->file, &head->snapshot_size, diag);
    memory_free(path);
    return code;
}

err backup_open(struct backup **out, const struct disk *disk, const char *dir, const struct backup_head *head,
                struct diag *diag)
{
    struct backup *backup = memory_new(sizeof *backup);
    struct backup_head whole = *head;
    struct buf folder = { 0 };
    buf_put_format(&folder, "%s/snapshots", dir);
    buf_put_u8(&folder, '\0');
    backup->disk = disk;
    const err code = open_snapshot(backup, (const char *)folder.data, &whole, diag);
    buf_deinit(&folder);
    if (code != OK) {
        backup_close(backup);
        return code;
    }
    backup->snapshot_size = whole.snapshot_size;
    head_encode(&whole, backup->head);
    *out = backup;
    return OK;
}

void backup_close(struct backup *backup)
{
    if (backup == NULL)
        return;
    backup->disk->close(backup->disk->self, backup->file);
    memory_free(backup);
}

uint64_t backup_size(const struct backup *backup)
{
    return BACKUP_HEAD_SIZE + backup->snapshot_size + BACKUP_TAIL_SIZE;
}

static size_t copy_some(const uint8_t *from, size_t from_size, uint64_t at, uint8_t *out, size_t size)
{
    const size_t left = from_size - (size_t)at;
    const size_t count = size < left ? size : left;
    memcpy(out, from + at, count);
    return count;
}

static size_t read_tail(const struct backup *backup, uint64_t at, uint8_t *out, size_t size)
{
    uint8_t tail[BACKUP_TAIL_SIZE] = { 0 };
    memcpy(tail, tail_magic, sizeof tail_magic);
    /* Until the sum itself the tail's bytes are the same in every backup. */
    bytes_put_u32(tail + TAIL_SUM_AT, at <= TAIL_SUM_AT ? crc32c(backup->sum, tail + at, TAIL_SUM_AT - (size_t)at)
                                                        : backup->sum);
    return copy_some(tail, sizeof tail, at, out, size);
}

static err read_snapshot(struct backup *backup, uint64_t at, uint8_t *out, size_t size, size_t *done, struct diag *diag)
{
    const uint64_t left = backup->snapshot_size - at;
    const size_t wanted = size < left ? size : (size_t)left;
    TRY(backup->disk->read_at(backup->disk->self, backup->file, at, out, wanted, done, diag));
    if (*done == wanted)
        return OK;
    return diag_set(diag, ERR_DISK, "the snapshot became shorter while it was read");
}

err backup_read(struct backup *backup, uint8_t *out, size_t size, size_t *done, struct diag *diag)
{
    const uint64_t tail_at = BACKUP_HEAD_SIZE + backup->snapshot_size;
    *done = 0;
    if (backup->done < BACKUP_HEAD_SIZE)
        *done = copy_some(backup->head, BACKUP_HEAD_SIZE, backup->done, out, size);
    else if (backup->done < tail_at)
        TRY(read_snapshot(backup, backup->done - BACKUP_HEAD_SIZE, out, size, done, diag));
    else
        *done = read_tail(backup, backup->done - tail_at, out, size);
    /* What is summed ends before the sum. */
    const uint64_t sum_at = tail_at + TAIL_SUM_AT;
    const uint64_t summed = backup->done >= sum_at ? 0 : sum_at - backup->done;
    backup->sum = crc32c(backup->sum, out, *done < summed ? *done : (size_t)summed);
    backup->done += *done;
    return OK;
}

/* --- Reading one --- */

static err sum_file(const struct disk *disk, struct disk_file *file, uint64_t size, struct progress *progress,
                    uint32_t *sum, struct diag *diag)
{
    uint8_t *piece = memory_resize(NULL, PIECE_SIZE);
    err code = OK;
    *sum = 0;
    for (uint64_t at = 0; code == OK && at < size;) {
        size_t done = 0;
        const size_t wanted = size - at < PIECE_SIZE ? (size_t)(size - at) : PIECE_SIZE;
        code = disk->read_at(disk->self, file, at, piece, wanted, &done, diag);
        if (code == OK && done == 0)
            code = diag_set(diag, ERR_DISK, "the backup became shorter while it was read");
        *sum = crc32c(*sum, piece, done);
        at += done;
        progress_step(progress, at, size);
    }
    memory_free(piece);
    return code;
}

static err check_tail(const struct disk *disk, struct disk_file *file, const char *path, uint64_t size,
                      struct progress *progress, struct diag *diag)
{
    uint8_t tail[BACKUP_TAIL_SIZE];
    size_t done;
    uint32_t sum;
    TRY(disk->read_at(disk->self, file, size - sizeof tail, tail, sizeof tail, &done, diag));
    TRY(sum_file(disk, file, size - sizeof tail + TAIL_SUM_AT, progress, &sum, diag));
    if (done == sizeof tail && memcmp(tail, tail_magic, sizeof tail_magic) == 0 &&
        bytes_get_u32(tail + TAIL_SUM_AT) == sum)
        return OK;
    return diag_set(diag, ERR_CORRUPT, "%s is damaged: it does not match its checksum", path);
}

static err check_file(const struct disk *disk, struct disk_file *file, const char *path, struct backup_head *head,
                      struct progress *progress, struct diag *diag)
{
    uint8_t from[BACKUP_HEAD_SIZE];
    uint64_t size;
    size_t done;
    TRY(disk->size(disk->self, file, &size, diag));
    TRY(disk->read_at(disk->self, file, 0, from, sizeof from, &done, diag));
    if (done < sizeof from)
        return diag_set(diag, ERR_CORRUPT, "%s is not a backup of a database, or only the beginning of one", path);
    TRY(head_decode(from, path, head, diag));
    const uint64_t around = BACKUP_HEAD_SIZE + BACKUP_TAIL_SIZE;
    if (size < around || size - around != head->snapshot_size)
        return diag_set(diag, ERR_CORRUPT,
                        "%s is cut short or has grown: it has %" PRIu64 " bytes and was written with %" PRIu64, path,
                        size, head->snapshot_size + around);
    return check_tail(disk, file, path, size, progress, diag);
}

err backup_check(const struct disk *disk, const char *path, struct backup_head *head, struct progress *progress,
                 struct diag *diag)
{
    struct disk_file *file;
    TRY(disk->open(disk->self, path, false, &file, diag));
    progress->what = "verifying the backup";
    const err code = check_file(disk, file, path, head, progress, diag);
    disk->close(disk->self, file);
    return code;
}
