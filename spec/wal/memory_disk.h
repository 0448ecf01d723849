/* A disk in memory for the log's specs and its fuzz target. It knows of each file what was written and what
 * was synced, and can lose power: from then on every call fails, and what survives is the synced state with
 * a random choice of the unsynced pieces. After a failed sync it takes what was written for stored, as
 * kernels do: only what is written again reaches the disk with a later sync. */
#pragma once

#include "base/buf.h"
#include "base/disk.h"

#include <stdio.h>

enum { MEMORY_FILES_MAX = 64, MEMORY_PIECE = 16 };

struct memory_file {
    char path[128];
    bool present;
    bool name_stored;
    struct buf seen;   /* what reads give */
    struct buf stored; /* what was synced */
    struct buf dirty;  /* a byte for each piece: written since the last sync */
};

struct memory_disk {
    struct disk disk;
    struct memory_file files[MEMORY_FILES_MAX];
    uint64_t calls;      /* writes, syncs and the like so far */
    uint64_t fails_from; /* the number of the call that fails, and all behind it; 0: none */
    uint64_t syncs;
    uint64_t fails_sync; /* the number of the one sync that fails; 0: none */
    uint64_t largest_read;
    uint64_t random;
};

static inline err memory_refuse(struct diag *diag, const char *what)
{
    return diag_set(diag, ERR_DISK, "the disk in memory refuses to %s", what);
}

static inline bool memory_is_dead(struct memory_disk *self)
{
    self->calls++;
    return self->fails_from > 0 && self->calls >= self->fails_from;
}

static inline struct memory_file *memory_find(struct memory_disk *self, const char *path)
{
    for (int idx = 0; idx < MEMORY_FILES_MAX; idx++) {
        if (self->files[idx].present && strcmp(self->files[idx].path, path) == 0)
            return &self->files[idx];
    }
    return NULL;
}

static inline struct memory_file *memory_add(struct memory_disk *self, const char *path)
{
    struct memory_file *file = self->files;
    while (file < self->files + MEMORY_FILES_MAX && file->present)
        file++;
    check(file < self->files + MEMORY_FILES_MAX);
    snprintf(file->path, sizeof file->path, "%s", path);
    file->present = true;
    file->name_stored = false;
    return file;
}

static inline void memory_drop(struct memory_file *file)
{
    buf_deinit(&file->seen);
    buf_deinit(&file->stored);
    buf_deinit(&file->dirty);
    file->present = false;
}

static inline void buf_resize(struct buf *buf, size_t size)
{
    if (size > buf->size) {
        const size_t added = size - buf->size;
        memset(buf_extend(buf, added), 0, added);
    }
    buf->size = size;
}

static inline void memory_mark_dirty(struct memory_file *file, size_t offset, size_t size)
{
    if (size == 0)
        return;
    const size_t last = (offset + size - 1) / MEMORY_PIECE;
    if (file->dirty.size <= last)
        buf_resize(&file->dirty, last + 1);
    memset(file->dirty.data + offset / MEMORY_PIECE, 1, last + 1 - offset / MEMORY_PIECE);
}

/* The size is stored by every sync that succeeds, the content where it is dirty. */
static inline void memory_store(struct memory_file *file)
{
    buf_resize(&file->stored, file->seen.size);
    buf_resize(&file->dirty, file->seen.size / MEMORY_PIECE + 1);
    for (size_t at = 0; at < file->seen.size; at += MEMORY_PIECE) {
        const size_t left = file->seen.size - at;
        if (file->dirty.data[at / MEMORY_PIECE] != 0)
            memcpy(file->stored.data + at, file->seen.data + at, left < MEMORY_PIECE ? left : MEMORY_PIECE);
    }
}

static inline err memory_open(void *context, const char *path, bool create, struct disk_file **file, struct diag *diag)
{
    struct memory_file *found = memory_find(context, path);
    *file = NULL;
    if (found == NULL && create && !memory_is_dead(context))
        found = memory_add(context, path);
    if (found == NULL)
        return memory_refuse(diag, "open");
    *file = (struct disk_file *)found;
    return OK;
}

static inline void memory_close(void *context, struct disk_file *file)
{
}

static inline err memory_size(void *context, struct disk_file *file, uint64_t *size, struct diag *diag)
{
    *size = ((struct memory_file *)file)->seen.size;
    return OK;
}

static inline err memory_read_at(void *context, struct disk_file *file, uint64_t offset, void *out, size_t size,
                                 size_t *done, struct diag *diag)
{
    struct memory_disk *self = context;
    const struct buf *seen = &((struct memory_file *)file)->seen;
    const size_t left = offset < seen->size ? seen->size - (size_t)offset : 0;
    *done = size < left ? size : left;
    if (*done > 0)
        memcpy(out, seen->data + offset, *done);
    if (size > self->largest_read)
        self->largest_read = size;
    return OK;
}

static inline err memory_write_at(void *context, struct disk_file *file, uint64_t offset, const void *from, size_t size,
                                  struct diag *diag)
{
    struct buf *seen = &((struct memory_file *)file)->seen;
    const bool dead = memory_is_dead(context); /* the write at which it dies is under way: it may be torn */
    if (dead && ((struct memory_disk *)context)->calls > ((struct memory_disk *)context)->fails_from)
        return memory_refuse(diag, "write");
    if (seen->size < offset + size)
        buf_resize(seen, (size_t)offset + size);
    if (size > 0)
        memcpy(seen->data + offset, from, size);
    memory_mark_dirty((struct memory_file *)file, (size_t)offset, size);
    return dead ? memory_refuse(diag, "write") : OK;
}

static inline err memory_sync(void *context, struct disk_file *file, struct diag *diag)
{
    struct memory_disk *self = context;
    struct memory_file *synced = (struct memory_file *)file;
    const bool fails = memory_is_dead(self) || ++self->syncs == self->fails_sync;
    if (!fails)
        memory_store(synced);
    buf_clear(&synced->dirty);
    return fails ? memory_refuse(diag, "sync") : OK;
}

static inline err memory_truncate(void *context, struct disk_file *file, uint64_t size, struct diag *diag)
{
    if (memory_is_dead(context))
        return memory_refuse(diag, "truncate");
    struct memory_file *cut = (struct memory_file *)file;
    const size_t before = cut->seen.size;
    buf_resize(&cut->seen, (size_t)size);
    if (size < before)
        memory_mark_dirty(cut, (size_t)size, before - (size_t)size);
    return OK;
}

static inline err memory_reserve(void *context, struct disk_file *file, uint64_t size, struct diag *diag)
{
    struct buf *seen = &((struct memory_file *)file)->seen;
    if (memory_is_dead(context))
        return memory_refuse(diag, "reserve");
    if (seen->size < size)
        buf_resize(seen, (size_t)size);
    return OK;
}

static inline err memory_make_dir(void *context, const char *path, struct diag *diag)
{
    return OK;
}

static inline err memory_dir_sync(void *context, const char *path, struct diag *diag)
{
    struct memory_disk *self = context;
    if (memory_is_dead(self))
        return memory_refuse(diag, "sync the folder");
    for (int idx = 0; idx < MEMORY_FILES_MAX; idx++)
        self->files[idx].name_stored |= self->files[idx].present;
    return OK;
}

/* In byte order, as the contract asks: the smallest name above the last one, again and again. */
static inline err memory_list(void *context, const char *path, void (*found)(void *context, const char *name),
                              void *found_context, struct diag *diag)
{
    struct memory_disk *self = context;
    const char *last = "";
    for (;;) {
        const char *next = NULL;
        for (int idx = 0; idx < MEMORY_FILES_MAX; idx++) {
            const char *name = strrchr(self->files[idx].path, '/');
            if (self->files[idx].present && strcmp(name, last) > 0 && (next == NULL || strcmp(name, next) < 0))
                next = name;
        }
        if (next == NULL)
            return OK;
        found(found_context, next + 1);
        last = next;
    }
}

static inline struct memory_disk *memory_disk_new(void)
{
    struct memory_disk *self = memory_new(sizeof *self);
    self->random = 1;
    self->disk = (struct disk){
        .self = self,
        .open = memory_open,
        .close = memory_close,
        .size = memory_size,
        .read_at = memory_read_at,
        .write_at = memory_write_at,
        .sync = memory_sync,
        .truncate = memory_truncate,
        .reserve = memory_reserve,
        .make_dir = memory_make_dir,
        .dir_sync = memory_dir_sync,
        .list = memory_list,
    };
    return self;
}

static inline void memory_disk_free(struct memory_disk *self)
{
    for (int idx = 0; idx < MEMORY_FILES_MAX; idx++)
        memory_drop(&self->files[idx]);
    memory_free(self);
}

static inline uint64_t memory_random(struct memory_disk *self)
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return self->random;
}

/* Each piece is as it was synced or as it was written last; so is the size, and the name. */
static inline void memory_file_tear(struct memory_disk *self, struct memory_file *file)
{
    if (!file->name_stored && memory_random(self) % 2 == 0) {
        memory_drop(file);
        return;
    }
    const size_t size = memory_random(self) % 2 == 0 ? file->seen.size : file->stored.size;
    buf_resize(&file->seen, size);
    buf_resize(&file->stored, size);
    for (size_t at = 0; at < size; at += MEMORY_PIECE) {
        const size_t piece = size - at < MEMORY_PIECE ? size - at : MEMORY_PIECE;
        if (memory_random(self) % 2 == 0)
            memcpy(file->seen.data + at, file->stored.data + at, piece);
    }
    buf_clear(&file->stored);
    buf_put_bytes(&file->stored, buf_bytes(&file->seen));
    buf_clear(&file->dirty);
}

/* The power comes back: the disk works again, with what survived. */
static inline void memory_disk_restart(struct memory_disk *self)
{
    for (int idx = 0; idx < MEMORY_FILES_MAX; idx++) {
        if (self->files[idx].present)
            memory_file_tear(self, &self->files[idx]);
    }
    self->calls = self->fails_from = self->syncs = self->fails_sync = 0;
}
