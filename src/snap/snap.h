/* snap — photographs of a database: whole, checked, one file each.
 *
 * A snapshot holds everything the log's records below its offset amount to. Start loads the newest one that
 * verifies and replays the log behind it.
 *
 * It is one LMDB environment in one file, <dir>/<offset, 20 digits>.snap. LMDB finds its pages by what other
 * pages say and knows no checksums: on a damaged file it may well end the process. So our own stand behind its
 * content, and LMDB opens a file only after plain reads have found every block as it was written (M4).
 *
 *     content   the LMDB environment
 *       database "meta"   "head"       counts, the last PUBLISH record's offset, checksum of all chunk checksums
 *                         "publish"    that record, without what init changed
 *                         "schema"     the description of the schema in force; empty before the first publish
 *                         "ids"        the id of every table, index and sequence by name, and the next id (S1)
 *                         "clients"    who was connected: number, identity, connection id
 *                         "ticks"      up to when rows of catching-up schedules have ticked
 *                         "sequences"  id and reservation of each, in the schema's order
 *       database "rows"   key: u32 table id, u32 chunk number, both big-endian; value: u32 count, BSATN rows
 *     sums      the crc32c of each 64 KiB of the content
 *     label     80 bytes at the end: format, whose and which snapshot it is, sizes, its own checksum (label.h)
 *
 * Every value begins with the crc32c of its key and of what follows: the sums tell what the disk did to the
 * file, these tell that what was read is what was photographed.
 *
 * Rules
 *   M1  A snapshot is never ahead of the durable log: it is published (renamed, folder synced) only after the log
 *       is durable up to its offset.
 *   M2  A file is a snapshot only under its final name. <offset>.snap.new is a leftover; other names are not ours.
 *   M3  A snapshot counts as verified only after it has been read back whole from its file. The one before is
 *       kept until then.
 *   M4  No value is believed before its checksum matches, and no page is given to LMDB before its block's does;
 *       sizes and counts are checked against what is there.
 *   M5  What is written is handed to the disk piece by piece and synced once, at the end: the log's own syncs never wait
 *       for all of it.
 *
 * Threads  any thread; one that writes at a time for a folder.
 * Cost     writing and reading take a few MiB of memory, however large the database is. */
#pragma once

#include "base/arena.h"
#include "base/disk.h"
#include "sats/ident.h"
#include "snap/label.h"
#include "store/frozen.h"

/* What a snapshot holds beside the tables. All views; on loading into `storage`. */
struct snap_client {
    uint64_t number;
    identity who;
    connection_id connection;
};

/* A row of a schedule that catches up, and the time that its last tick was for. */
struct snap_tick {
    uint32_t schedule_id;
    uint64_t row_id;
    int64_t last_us;
};

struct snap_head {
    uint8_t database_id[16];
    uint64_t offset;            /* records below it are in the snapshot */
    int64_t timestamp_us;       /* wall clock when it was taken */
    uint64_t publish_offset;    /* of the PUBLISH record in force */
    uint8_t first_hash[32];     /* of the first program ever published */
    uint64_t last_client;
    uint32_t client_count;
    const struct snap_client *clients;
    uint32_t tick_count;
    const struct snap_tick *ticks;
    bytes publish;              /* the PUBLISH record's bytes */
    uint64_t row_limit;         /* SET row_limit; 0: none */
};

struct snap_options {
    /* Everything but LMDB's own work goes through it. On another disk than the real one LMDB works on a copy of
     * the content in memory, so that a simulator sees and spoils all that would be on the disk. */
    const struct disk *disk;
    const char *dir;
    /* Told now and then while a snapshot is written, verified or loaded; false stops it (ERR_BUSY). May be NULL. */
    bool (*progress)(void *context, uint64_t rows_done, uint64_t rows_all);
    void *context;
};

/* Writes a snapshot under its temporary name, synced. On any failure nothing is left behind. The folder is made
 * when it is absent. */
err snap_write(const struct snap_options *options, struct frozen *frozen, const struct snap_head *head,
               struct diag *diag);
/* Gives it its final name (M1: the caller has seen the log durable up to `offset`). */
err snap_publish(const struct snap_options *options, uint64_t offset, struct diag *diag);
/* A whole file that was brought under the temporary name becomes the snapshot of another database, synced. ERR_CORRUPT
 * when it is not the snapshot at `offset`. */
err snap_relabel(const struct snap_options *options, uint64_t offset, const uint8_t database_id[16], struct diag *diag);
/* Reads it back whole (M3, M4). ERR_CORRUPT names the file, and the table and chunk where it is about one. */
err snap_verify(const struct snap_options *options, uint64_t offset, struct diag *diag);

/* Loads it into an empty store: schema, rows, indexes, sequences. `storage` owns what `head` points into.
 * ERR_CORRUPT, ERR_NEWER_FORMAT, or ERR_IN_USE for another database's; the store is empty again then. */
err snap_load(const struct snap_options *options, uint64_t offset, const uint8_t database_id[16], struct store *store,
              struct snap_head *head, struct arena *storage, struct diag *diag);

/* The same without rows: the caller's is the schema, NULL before the first publish. The file's blocks are verified, its
 * rows are not looked at. */
err snap_load_head(const struct snap_options *options, uint64_t offset, const uint8_t database_id[16],
                   struct schema **schema, struct snap_head *head, struct arena *storage, struct diag *diag);

/* What the label says, at the cost of one read: whose snapshot it is, of when, how many rows. The content is not
 * looked at. */
err snap_peek(const struct snap_options *options, uint64_t offset, struct snap_label *label, struct diag *diag);
/* The offsets of the snapshots in the folder, ascending, as u64s; an absent folder has none. Changes nothing. */
err snap_offsets(const struct snap_options *options, struct buf *offsets, struct diag *diag);
/* The same, and removes leftovers (M2): not while a snapshot is being written into the folder. */
err snap_list(const struct snap_options *options, struct buf *offsets, struct diag *diag);
err snap_remove(const struct snap_options *options, uint64_t offset, struct diag *diag);
