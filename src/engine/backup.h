/* backup — a database in one file: a verified snapshot and what it takes to start from it.
 *
 *     head, 160 bytes
 *       0  "STDBBACK"                       72  u64     size of the snapshot's file
 *       8  u32     format                   80  u8[72]  the database's name, zeros behind it
 *      12  u32     1: schedules are paused 152  u32     zero
 *      16  u8[32]  the database's identity 156  u32     crc32c of the bytes before
 *      48  u64     offset of the snapshot
 *      56  i64     when it was taken, us
 *      64  u64     zero
 *     the snapshot's file as snap.h draws it: tables, module sources, clients, sequences, under checksums of its own
 *     tail, 16 bytes
 *       0  "STDBEND\n"
 *       8  u32     zero
 *      12  u32     crc32c of all bytes before this sum
 *
 * Rules
 *   K1  A snapshot is read back whole before it goes into a backup (M3), and before a database begins with it.
 *   K2  A later format keeps the head's size, and the places of its format and of its checksum.
 *
 * Threads  any; one a backup. */
#pragma once

#include "base/disk.h"
#include "engine/progress.h"
#include "sats/ident.h"

enum { BACKUP_FORMAT = 1, BACKUP_HEAD_SIZE = 160, BACKUP_TAIL_SIZE = 16, BACKUP_NAME_MAX = 71 };

struct backup_head {
    identity database;
    uint64_t offset;
    int64_t timestamp_us;
    uint64_t snapshot_size;
    bool schedules_paused;
    char name[BACKUP_NAME_MAX + 1];
};

/* Making one: its bytes, piece by piece, from the snapshot at head->offset in the folder of a database. The size and
 * the time are filled in from there. */
struct backup;
err backup_open(struct backup **backup, const struct disk *disk, const char *dir, const struct backup_head *head,
                struct diag *diag);
void backup_close(struct backup *backup); /* NULL is fine */
uint64_t backup_size(const struct backup *backup);
/* The next bytes, at most `size`; *done is 0 at the end. */
err backup_read(struct backup *backup, uint8_t *out, size_t size, size_t *done, struct diag *diag);

/* Reads all of it. ERR_CORRUPT when it is cut short, damaged or no backup, ERR_NEWER_FORMAT. The snapshot's own sums
 * are not looked at. */
err backup_check(const struct disk *disk, const char *path, struct backup_head *head, struct progress *progress,
                 struct diag *diag);
