/* label — what stands behind the content of a snapshot's file: the sums of its blocks, and what it is.
 *
 *     0  "STDBSNAP"            40  u64 offset            68  u32[2] zero
 *     8  u32 format            48  i64 timestamp, us     76  u32 crc32c of the bytes before
 *    12  u32 block size        56  u64 rows
 *    16  u64 content size      64  u32 crc32c of the sums
 *    24  u8[16] database id
 *
 * Rules
 *   L1  A later format keeps the label's size, the places of its format and of its checksum. */
#pragma once

#include "base/buf.h"
#include "base/disk.h"

enum { SNAP_FORMAT = 1, SNAP_BLOCK_SIZE = 65536, SNAP_LABEL_SIZE = 80 };

struct snap_label {
    uint64_t content_size;
    uint8_t database_id[16];
    uint64_t offset;
    int64_t timestamp_us;
    uint64_t row_count;
    uint32_t sums_crc;
};

/* Writes sums and label behind the content of an open file, which label->content_size gives; the rest of the sums
 * is worked out here. `path` is for the sentences. */
err label_append(const struct disk *disk, struct disk_file *file, const char *path, struct snap_label *label,
                 struct diag *diag);
/* Writes another label over the one that is there; of the same content. */
err label_replace(const struct disk *disk, struct disk_file *file, const struct snap_label *label, struct diag *diag);
/* ERR_CORRUPT, ERR_NEWER_FORMAT. The label alone: *label is to be believed then, the content is not. */
err label_read(const struct disk *disk, struct disk_file *file, const char *path, struct snap_label *label,
               struct diag *diag);
/* Compares every block of the content with its sum, in pieces, each handed to `take` (may be NULL) after it. */
err label_check(const struct disk *disk, struct disk_file *file, const char *path, const struct snap_label *label,
                err (*take)(void *context, uint64_t position, bytes piece, struct diag *diag), void *context,
                struct diag *diag);
