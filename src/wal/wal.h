/* wal — the write-ahead log: one list of records that only grows, made durable in groups.
 *
 * The engine appends records to memory and goes on. A thread of the log's own takes all that has
 * gathered, writes it as one frame, syncs once, publishes the new durable offset, and takes what gathered
 * meanwhile. No timer: the disk's own pace makes the groups. A record is opaque bytes here.
 *
 * Files: <dir>/<first offset, 20 digits>.wal, preallocated, and the small one that folder.h draws. Offsets count
 * records from 0. The log begins at 0, or later when old segments were retired behind a snapshot.
 *
 *   segment header, 64 bytes
 *      0  char[8]  "STDBWAL1"
 *      8  u32      format version (1)
 *     12  u32      zero
 *     16  u8[16]   id of the database this log belongs to
 *     32  u64      offset of the first record
 *     40  u32      chain: checksum of the last frame before this segment (0 in the first one ever)
 *     44  u32      salt, drawn by chance for this segment
 *     48  u8[12]   zero
 *     60  u32      crc32c of bytes 0..59
 *   frame, starts at a multiple of 8
 *      0  u32      magic 0x4d415246 xor the segment's salt
 *      4  u32      size of the body
 *      8  u64      offset of its first record
 *     16  u32      number of records; 0 is a mark
 *     20  u32      chain: checksum of the frame before
 *     24  u32      crc32c of the body
 *     28  u32      checksum: crc32c of bytes 0..27
 *     32  body     per record: u32 size, bytes
 *         zeros    up to a multiple of 8
 *
 * Rules
 *   W1  Frame n+1 is not written before frame n is synced. So a frame behind a bad one proves that the bad
 *       one was acknowledged: that stops the database, with file and offset. A bad frame with nothing good
 *       behind it is a torn tail: it is cut, once, and said so. The salt keeps a record that looks like a frame
 *       from being taken for the proof.
 *   W2  When the log falls idle it writes a mark (a frame without records), so that W1 covers the last
 *       group too.
 *   W3  After a failed write or sync nothing is acknowledged any more: `on_failure` is called once, and the
 *       durable offset stands still for ever.
 *   W4  Every frame carries the checksum of the one before, over segments: a missing, swapped, doubled or
 *       foreign segment is found.
 *   W5  Room for a frame, and for a mark behind it, is made before the first of its bytes is written: on a full
 *       disk the log ends whole and marked.
 *   W6  The last group has no witness until the mark behind it is synced, IDLE_AFTER_NS later. Should the power fail
 *       in between and the disk spoil just that frame, a frame that one bit makes whole is refused all the same: a
 *       cut write looks otherwise (flip.h). More damage than that, in that frame and that moment, is taken for the
 *       cut that it looks like. */
#pragma once

#include "base/disk.h"

struct wal;

struct wal_options {
    const struct disk *disk;
    const char *dir;
    uint8_t database_id[16];
    uint64_t segment_size; /* bytes after which a new segment is begun; 0: the default of 64 MiB */
    uint32_t rest_after_ms; /* of idleness, after which the thread gives back a large buffer; 0: the default of 10 s */
    /* The first record to replay; a snapshot stands for those before it. Segments that hold none from here on are
     * not read and need not be there. */
    uint64_t from;
    /* From the log's thread, after each sync and before wal_durable_offset() says so: everything below `durable` is on
     * disk. */
    void (*on_durable)(void *context, uint64_t durable);
    /* From the log's thread, once (W3). */
    void (*on_failure)(void *context, const struct diag *diag);
    void *context;
};

/* What recovery found, for the one line it prints. */
struct wal_report {
    uint64_t record_count; /* that were replayed */
    uint64_t byte_count;   /* of all frames that were read */
    bool tail_cut;
    char tail_text[300]; /* file, position and size of what was cut */
};

/* Makes an empty log that begins at `first_offset`, for a database that begins with a snapshot. ERR_IN_USE when
 * the folder has one. Of the options it takes disk, dir, database_id and segment_size. */
err wal_create(const struct wal_options *options, uint64_t first_offset, struct diag *diag);
/* Opens the log, or makes one that begins at 0; verifies all of it from the segment that holds `from` on, and
 * hands each record from there on to `replay` in order. Leaves it ready to append; the thread does not run yet.
 * ERR_CORRUPT names file, byte and offset; so it does when the log begins after `from` or ends before it. */
err wal_open(struct wal **wal, const struct wal_options *options,
             err (*replay)(void *context, uint64_t offset, bytes record, struct diag *diag), void *context,
             struct wal_report *report, struct diag *diag);
/* Starts the log's thread. */
void wal_start(struct wal *wal);
/* In place of the thread, for a world that must run the same way twice: does on this thread what the log's thread
 * would do next, a group or a mark. False when there is nothing to do or the log has failed. */
bool wal_step(struct wal *wal);
/* Writes and syncs what is left, stops the thread, closes. NULL is fine. */
void wal_close(struct wal *wal);

/* Appending one record: get the buffer, write the record's bytes into it, end it. The engine's thread only.
 * The record gets the next offset, which wal_append_end() returns. It is on its way to disk after
 * wal_flush(), or before when much has been appended: one turn's records may be more than a frame can hold. */
struct buf *wal_append_begin(struct wal *wal);
uint64_t wal_append_end(struct wal *wal);
/* Hands all appended records to the log's thread. Waits when more than 256 MiB are not yet durable. */
void wal_flush(struct wal *wal);

/* Gives back memory that no group has needed since the last call. The engine's thread, at any time. */
void wal_trim(struct wal *wal);

uint64_t wal_next_offset(const struct wal *wal);    /* engine's thread */
uint64_t wal_durable_offset(const struct wal *wal); /* any thread: records below it are on disk */
/* Blocks until everything flushed is durable; false when the log has failed before that. Without the thread it does
 * the thread's work. */
bool wal_wait(struct wal *wal);

/* Bounded disk. Any thread, at any time.
 *
 * Removes segments whose records are all below `below`, oldest first, durably, never the newest: the caller has
 * a verified snapshot that stands for them. */
err wal_retire(struct wal *wal, uint64_t below, uint64_t *removed_bytes, struct diag *diag);
uint64_t wal_oldest_offset(struct wal *wal); /* of the first record that is still there */
uint64_t wal_size(struct wal *wal);          /* bytes that the segments take on disk, with the room made ahead */
