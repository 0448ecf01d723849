/* disk — every byte that goes to or comes from stable storage passes here.
 *
 * A vtable, so that a simulator can stand in for the disk: drop, tear and reorder unsynced writes,
 * fail any call. Paths are UTF-8; all functions leave a full sentence with the path in `diag`.
 *
 * Rules
 *   D1  write_at() completes short writes or fails; it never writes half and returns OK.
 *   D2  What must survive is synced by file_sync() or dir_sync(); a new name also needs dir_sync().
 *   D3  After a failed sync nobody knows what is stored: the caller stops, it never retries.
 *   D4  A file that was deleted while it is open cannot be synced: nobody would find again what stands in it. */
#pragma once

#include "base/err.h"

struct buf;

struct disk_file; /* opaque to callers */

struct disk {
    void *self;
    /* `create` makes the file when absent; without it an absent file is ERR_NOT_FOUND. For reading and writing. */
    err (*open)(void *self, const char *path, bool create, struct disk_file **file, struct diag *diag);
    void (*close)(void *self, struct disk_file *file); /* NULL is fine */
    err (*size)(void *self, struct disk_file *file, uint64_t *size, struct diag *diag);
    /* Reads up to `size` bytes; *done is less only at the end of the file. */
    err (*read_at)(void *self, struct disk_file *file, uint64_t offset, void *out, size_t size, size_t *done, struct diag *diag);
    err (*write_at)(void *self, struct disk_file *file, uint64_t offset, const void *from, size_t size, struct diag *diag);
    err (*sync)(void *self, struct disk_file *file, struct diag *diag);
    /* What stands there, synced, is not going to be read soon: the system need not keep it in memory. */
    void (*release)(void *self, struct disk_file *file, uint64_t from, uint64_t to);
    err (*truncate)(void *self, struct disk_file *file, uint64_t size, struct diag *diag);
    /* Reserves space up to `size`, which reads as zeros until it is written. */
    err (*reserve)(void *self, struct disk_file *file, uint64_t size, struct diag *diag);
    err (*rename)(void *self, const char *from, const char *to, struct diag *diag);
    err (*remove)(void *self, const char *path, struct diag *diag);
    err (*make_dir)(void *self, const char *path, struct diag *diag); /* exists: OK; parents are made too */
    err (*dir_sync)(void *self, const char *path, struct diag *diag);
    /* Calls `found` with each plain name in the folder, in byte order. */
    err (*list)(void *self, const char *path, void (*found)(void *context, const char *name), void *context, struct diag *diag);
    /* Takes an exclusive lock on the file for this process's life or until unlock; ERR_IN_USE when another has it. */
    err (*lock)(void *self, const char *path, struct disk_file **file, struct diag *diag);
};

/* The real one. */
const struct disk *disk_real(void);

/* ERR_NOT_FOUND when there is none. Whole small files through a temporary name, synced: the old content or the new, nothing between. */
err disk_read_whole(const struct disk *disk, const char *path, struct buf *out, struct diag *diag);
err disk_write_whole(const struct disk *disk, const char *path, bytes content, struct diag *diag);

/* Writes `size` bytes of an open file from `position` on into the file `to`, synced; its name is not. `progress` is
 * told now and then; false stops it (ERR_BUSY). It may be NULL. */
err disk_copy(const struct disk *disk, struct disk_file *from, uint64_t position, uint64_t size, const char *to,
              bool (*progress)(void *context, uint64_t done, uint64_t all), void *context, struct diag *diag);
