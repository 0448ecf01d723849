/* reader — the log as history: its records from any offset it still has, also while it is being written.
 *
 * A second pair of eyes, independent of the log's thread: it opens the files itself, verifies every frame as
 * recovery does, changes nothing, and holds one frame in memory.
 *
 * Rules
 *   R1  Nothing at or behind `durable_limit` is handed out, and its bytes are not judged.
 *   R2  What is below the limit must be there and whole; if not, ERR_CORRUPT names file, byte and record.
 *   R3  Without a limit the log's own end counts: what recovery would cut as a torn tail ends the reading, what
 *       recovery would refuse is refused.
 *   R4  A segment that was retired meanwhile is no damage: ERR_NOT_FOUND says where the log begins now.
 *   R5  Only who asks for it reads on behind damage: wal_reader_resume(). */
#pragma once

#include "base/disk.h"

struct wal_reader;

/* The limit of a stopped database: R3. */
#define WAL_NO_LIMIT UINT64_MAX

/* Where the log in this folder begins; 0 when there is none. */
err wal_reader_oldest(const struct disk *disk, const char *dir, uint64_t *offset, struct diag *diag);
/* The first offset of each segment in this folder, ascending, as u64s, appended. The newest may have no record yet. */
struct buf;
err wal_reader_segments(const struct disk *disk, const char *dir, struct buf *firsts, struct diag *diag);

/* Opens the log before the record `from`. A running database gives its wal_durable_offset() as the limit.
 * ERR_NOT_FOUND outside of what there is: "the log begins at offset N", "the log ends at offset N". */
err wal_reader_open(struct wal_reader **reader, const struct disk *disk, const char *dir, const uint8_t database_id[16],
                    uint64_t from, uint64_t durable_limit, struct diag *diag);
/* The next record; *found is false at the end, after which the limit may be raised and the reading go on.
 * `record` is good until the next call. After a failure the reader can only be closed. */
err wal_reader_next(struct wal_reader *reader, bool *found, uint64_t *offset, bytes *record, struct diag *diag);
/* Of the record that comes next. */
uint64_t wal_reader_offset(const struct wal_reader *reader);
/* The file and the byte where the frame of the last record stands, or where reading failed. */
const char *wal_reader_place(const struct wal_reader *reader, uint64_t *position);

/* For audits and salvage (R5).
 *
 * Stands before the oldest segment, which wal_reader_resume() enters. After a failure that leaves the names of the
 * segments the reader is there all the same, else it is NULL. */
err wal_reader_open_oldest(struct wal_reader **reader, const struct disk *disk, const char *dir,
                           const uint8_t database_id[16], struct diag *diag);
/* After a failure: goes on with the next frame that is whole, in this segment or a later one; wal_reader_next()
 * gives its records then, which do not follow those before. *found is false when nothing is left. A failure is the
 * next fault on the way: it may be resumed after, too. */
err wal_reader_resume(struct wal_reader *reader, bool *found, struct diag *diag);
/* Never lower than it was. */
void wal_reader_set_limit(struct wal_reader *reader, uint64_t durable_limit);
void wal_reader_close(struct wal_reader *reader); /* NULL is fine */
