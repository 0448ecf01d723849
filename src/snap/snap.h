/* snap — photographs of a database: whole, checked, one file each.
 *
 * A snapshot is one LMDB environment in one file, <dir>/<offset, 20 digits>.snap, that holds everything the
 * log's records below `offset` amount to. LMDB 0.9 has no checksums, so every value carries ours. Start loads
 * the newest snapshot that verifies and replays the log behind it.
 *
 *   database "meta"    "head"     format version, database id, offset, counts, checksum of all chunk checksums
 *                      "publish"  the last PUBLISH record, whole: the schema, the module's files
 *                      "ids"      every table's, index's and sequence's id by name, and the next id (S1)
 *                      "clients"  who was connected: number, identity, connection id
 *                      "sequences" id and reservation of each
 *   database "rows"    key: u32 table id, u32 chunk number, both big-endian; value: u32 crc32c, u32 rows, BSATN rows
 *
 * Rules
 *   M1  A snapshot is never ahead of the durable log: it is published (renamed, folder synced) only after the log
 *       is durable up to its offset.
 *   M2  A file is a snapshot only under its final name; what has another name is a leftover and is removed.
 *   M3  A snapshot counts as verified only after it has been read back whole from its file. The one before is
 *       kept until then.
 *   M4  No value is believed before its checksum matches; sizes and counts are checked against what is there. */
#pragma once

#include "base/disk.h"
#include "sats/ident.h"
#include "store/frozen.h"

/* What a snapshot holds beside the tables. All views; on loading into `storage`. */
struct snap_client {
    uint64_t number;
    identity who;
    connection_id connection;
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
    bytes publish;              /* the PUBLISH record's bytes */
};

struct snap_options {
    const struct disk *disk;    /* for names, renames, syncs and removal; LMDB writes the file's content itself */
    const char *dir;
    /* Told now and then while a snapshot is written, verified or loaded; false stops it (ERR_BUSY). May be NULL. */
    bool (*progress)(void *context, uint64_t rows_done, uint64_t rows_all);
    void *context;
};

/* Writes a snapshot under its temporary name. On any failure nothing is left behind. Any thread. */
err snap_write(const struct snap_options *options, const struct frozen *frozen, const struct snap_head *head, struct diag *diag);
/* Gives it its final name (M1: the caller has seen the log durable up to `offset`). */
err snap_publish(const struct snap_options *options, uint64_t offset, struct diag *diag);
/* Reads it back whole (M3, M4). ERR_CORRUPT names file, table and chunk. */
err snap_verify(const struct snap_options *options, uint64_t offset, struct diag *diag);

/* Loads it into an empty store: schema, rows, indexes, sequences. `storage` owns what `head` points into.
 * ERR_CORRUPT, ERR_NEWER_FORMAT, or ERR_IN_USE for another database's; the store is empty again then. */
err snap_load(const struct snap_options *options, uint64_t offset, const uint8_t database_id[16], struct store *store,
              struct snap_head *head, struct arena *storage, struct diag *diag);

/* The offsets of the snapshots in the folder, ascending; removes leftovers (M2). `offsets` gets u64s. */
err snap_list(const struct snap_options *options, struct buf *offsets, struct diag *diag);
err snap_remove(const struct snap_options *options, uint64_t offset, struct diag *diag);
