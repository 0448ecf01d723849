/* segment — one file of the log, and the place in it where the next frame goes.
 *
 * A file is longer than what is written in it:
 *
 *     header | frames | zeros | space that is only promised |
 *                     position        zeroed                size
 *
 * The first write to promised space changes metadata, which a sync has to journal. Small frames find zeros written
 * ahead in steps, so that most of their syncs change none. Large ones are not worth writing twice: they go into
 * promised space as they are. */
#pragma once

#include "base/disk.h"
#include "wal/frame.h"

enum { SEGMENT_PATH_MAX = 4096 };

struct segment {
    const struct disk *disk;
    struct disk_file *file; /* owned; NULL when closed */
    char path[SEGMENT_PATH_MAX];
    uint64_t first_offset;
    uint32_t salt;     /* as the header says; 0 before it was read */
    uint64_t position; /* where the next frame begins */
    uint64_t zeroed;   /* zeros are written up to here, if that is behind `position` */
    uint64_t size;     /* of the file */
    uint64_t released; /* what stands below need not be in memory */
};

/* Opens the file of that name and measures it; `position` stands behind the header. */
err segment_open(struct segment *segment, const struct disk *disk, const char *dir, uint64_t first_offset, bool create,
                 struct diag *diag);
/* Measures it again: the log may have grown meanwhile. */
err segment_measure(struct segment *segment, struct diag *diag);
/* *present is false when no whole header stands there. */
err segment_read_header(const struct segment *segment, struct segment_header *header, bool *present, struct diag *diag);
/* Makes a new segment; header and name are on disk when this returns, and it is known as the log's newest. Draws a
 * salt when the header has none. */
err segment_create(struct segment *segment, const struct disk *disk, const char *dir,
                   const struct segment_header *header, uint64_t size_limit, struct diag *diag);
void segment_close(struct segment *segment); /* closed or half-open is fine */

/* Room for the `size` bytes that are about to be written at `position`, and a step more below `size_limit`. */
err segment_reserve(struct segment *segment, uint64_t size, uint64_t size_limit, struct diag *diag);
/* Writes a whole frame at `position`, syncs it, and moves on. */
err segment_append(struct segment *segment, bytes frame, uint64_t size_limit, struct diag *diag);
