/* time_index — where in a log a time is, without reading all of it.
 *
 * Records carry their time, but nothing lists the times. What there is: the first record of each segment, found by
 * the file's name, and the label of each snapshot. A bisection over those leads into one segment, which is read from
 * there on.
 *
 * Where the clock was set back, a time stands in several places; the answer is one of them. */
#pragma once

#include "snap/snap.h"

struct time_index {
    const struct disk *disk;
    const char *log_dir;
    const uint8_t *database_id; /* 16 bytes */
    const struct snap_options *snaps;
    uint64_t limit; /* of the log, as wal_reader_open() takes it */
};

/* The offset of the first record that is later than the time: that of the log's end when none is. ERR_NOT_FOUND when
 * that place was given up meanwhile. */
err time_index_find(const struct time_index *index, int64_t time_us, uint64_t *offset, struct diag *diag);
