#include "snap/label.h"

#include "base/background.h"
#include "base/buf.h"
#include "base/hash.h"

#include <inttypes.h>

enum { PIECE_SIZE = 16 * SNAP_BLOCK_SIZE };
static const char label_magic[8] = { 'S', 'T', 'D', 'B', 'S', 'N', 'A', 'P' };

static void label_encode(const struct snap_label *label, uint8_t out[SNAP_LABEL_SIZE])
{
    memset(out, 0, SNAP_LABEL_SIZE);
    memcpy(out, label_magic, sizeof label_magic);
    bytes_put_u32(out + 8, SNAP_FORMAT);
    bytes_put_u32(out + 12, SNAP_BLOCK_SIZE);
    bytes_put_u64(out + 16, label->content_size);
    memcpy(out + 24, label->database_id, sizeof label->database_id);
    bytes_put_u64(out + 40, label->offset);
    bytes_put_u64(out + 48, (uint64_t)label->timestamp_us);
    bytes_put_u64(out + 56, label->row_count);
    bytes_put_u32(out + 64, label->sums_crc);
    bytes_put_u32(out + 76, crc32c(0, out, 76));
}

static err label_decode(const uint8_t from[SNAP_LABEL_SIZE], const char *path, struct snap_label *label,
                        struct diag *diag)
{
    if (memcmp(from, label_magic, sizeof label_magic) != 0)
        return diag_set(diag, ERR_CORRUPT, "%s is not a snapshot, or its end is missing", path);
    if (bytes_get_u32(from + 76) != crc32c(0, from, 76))
        return diag_set(diag, ERR_CORRUPT, "%s is damaged: its last %d bytes do not match their checksum", path,
                        SNAP_LABEL_SIZE);
    if (bytes_get_u32(from + 8) > SNAP_FORMAT)
        return diag_set(diag, ERR_NEWER_FORMAT,
                        "%s was written by a newer version: its format is %" PRIu32 ", and %d is the newest known here",
                        path, bytes_get_u32(from + 8), SNAP_FORMAT);
    if (bytes_get_u32(from + 8) != SNAP_FORMAT || bytes_get_u32(from + 12) != SNAP_BLOCK_SIZE)
        return diag_set(diag, ERR_CORRUPT, "%s is damaged: its format %" PRIu32 " does not exist", path,
                        bytes_get_u32(from + 8));
    *label = (struct snap_label){
        .content_size = bytes_get_u64(from + 16),
        .offset = bytes_get_u64(from + 40),
        .timestamp_us = (int64_t)bytes_get_u64(from + 48),
        .row_count = bytes_get_u64(from + 56),
        .sums_crc = bytes_get_u32(from + 64),
    };
    memcpy(label->database_id, from + 24, sizeof label->database_id);
    return OK;
}

static uint64_t block_count(uint64_t content_size)
{
    return content_size / SNAP_BLOCK_SIZE + (content_size % SNAP_BLOCK_SIZE != 0);
}

/* A read that must be complete: the size of the file was asked for. */
static err bytes_read(const struct disk *disk, struct disk_file *file, const char *path, uint64_t position, void *out,
                      size_t size, struct diag *diag)
{
    size_t done = 0;
    TRY(disk->read_at(disk->self, file, position, out, size, &done, diag));
    if (done < size)
        return diag_set(diag, ERR_DISK, "%s: the disk ends at byte %" PRIu64 ", before the file's size", path,
                        position + done);
    return OK;
}

static size_t piece_at(const struct snap_label *label, uint64_t position)
{
    const uint64_t left = label->content_size - position;
    return left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;
}

static uint32_t block_sum(const uint8_t *piece, size_t size, size_t start)
{
    const size_t left = size - start;
    return crc32c(0, piece + start, left < SNAP_BLOCK_SIZE ? left : SNAP_BLOCK_SIZE);
}

/* --- Writing --- */

static err sums_make(const struct disk *disk, struct disk_file *file, const char *path, const struct snap_label *label,
                     struct buf *sums, struct diag *diag)
{
    uint8_t *piece = memory_resize(NULL, piece_at(label, 0));
    err code = OK;
    for (uint64_t position = 0; code == OK && position < label->content_size; position += PIECE_SIZE) {
        const size_t size = piece_at(label, position);
        background_stand_back();
        code = bytes_read(disk, file, path, position, piece, size, diag);
        for (size_t start = 0; code == OK && start < size; start += SNAP_BLOCK_SIZE)
            buf_put_u32(sums, block_sum(piece, size, start));
    }
    memory_free(piece);
    return code;
}

err label_append(const struct disk *disk, struct disk_file *file, const char *path, struct snap_label *label,
                 struct diag *diag)
{
    struct buf end;
    buf_init(&end);
    err code = sums_make(disk, file, path, label, &end, diag);
    if (code == OK) {
        label->sums_crc = crc32c(0, end.data, end.size);
        label_encode(label, buf_extend(&end, SNAP_LABEL_SIZE));
        code = disk->write_at(disk->self, file, label->content_size, end.data, end.size, diag);
    }
    buf_deinit(&end);
    return code;
}

err label_replace(const struct disk *disk, struct disk_file *file, const struct snap_label *label, struct diag *diag)
{
    uint8_t out[SNAP_LABEL_SIZE];
    const uint64_t position = label->content_size + 4 * block_count(label->content_size);
    label_encode(label, out);
    return disk->write_at(disk->self, file, position, out, sizeof out, diag);
}

/* --- Reading --- */

err label_read(const struct disk *disk, struct disk_file *file, const char *path, struct snap_label *label,
               struct diag *diag)
{
    uint64_t size;
    uint8_t from[SNAP_LABEL_SIZE];
    TRY(disk->size(disk->self, file, &size, diag));
    if (size < SNAP_LABEL_SIZE)
        return diag_set(diag, ERR_CORRUPT, "%s is not a snapshot: it has only %" PRIu64 " bytes", path, size);
    TRY(bytes_read(disk, file, path, size - SNAP_LABEL_SIZE, from, sizeof from, diag));
    TRY(label_decode(from, path, label, diag));

    const uint64_t before = size - SNAP_LABEL_SIZE;
    if (label->content_size > before || before - label->content_size != 4 * block_count(label->content_size))
        return diag_set(diag, ERR_CORRUPT,
                        "%s is damaged: it has %" PRIu64 " bytes, which is not the size it was written with", path,
                        size);
    return OK;
}

static err piece_check(const uint8_t *piece, size_t size, const uint8_t *sums, const char *path, uint64_t position,
                       struct diag *diag)
{
    for (size_t start = 0; start < size; start += SNAP_BLOCK_SIZE, sums += 4)
        if (block_sum(piece, size, start) != bytes_get_u32(sums))
            return diag_set(diag, ERR_CORRUPT,
                            "%s is damaged: the block at byte %" PRIu64 " does not match its checksum", path,
                            position + start);
    return OK;
}

static err sums_read(const struct disk *disk, struct disk_file *file, const char *path, const struct snap_label *label,
                     struct buf *sums, struct diag *diag)
{
    const size_t size = (size_t)(4 * block_count(label->content_size)); /* the file has as many: label_read() */
    TRY(bytes_read(disk, file, path, label->content_size, buf_extend(sums, size), size, diag));
    if (crc32c(0, sums->data, sums->size) != label->sums_crc)
        return diag_set(diag, ERR_CORRUPT, "%s is damaged: its list of checksums does not match its own", path);
    return OK;
}

err label_check(const struct disk *disk, struct disk_file *file, const char *path, const struct snap_label *label,
                err (*take)(void *context, uint64_t position, bytes piece, struct diag *diag), void *context,
                struct diag *diag)
{
    struct buf sums;
    buf_init(&sums);
    uint8_t *piece = memory_resize(NULL, piece_at(label, 0));
    err code = sums_read(disk, file, path, label, &sums, diag);
    for (uint64_t position = 0; code == OK && position < label->content_size; position += PIECE_SIZE) {
        const size_t size = piece_at(label, position);
        background_stand_back();
        code = bytes_read(disk, file, path, position, piece, size, diag);
        if (code == OK)
            code = piece_check(piece, size, sums.data + 4 * (position / SNAP_BLOCK_SIZE), path, position, diag);
        if (code == OK && take != NULL)
            code = take(context, position, bytes_of(piece, size), diag);
    }
    memory_free(piece);
    buf_deinit(&sums);
    return code;
}
