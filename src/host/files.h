/* files — the sources of one module: its folder, and what was read below it.
 *
 * The first VM of a module reads from the disk; each later one gets the same texts again, so a VM made after
 * a killed call runs what was published, whatever the disk holds by then.
 *
 * Rules
 *   F1  Only plain relative names: nothing absolute, no "..", and no link that leads out of the folder.
 *   F2  A text, once read, does not change and is not read again. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum { FILES_TEXT_MAX = 4 << 20, FILES_COUNT_MAX = 1000 };

struct file {
    char *path; /* owned: as opened */
    char *name; /* owned: below the folder, as chunks are named */
    struct buf text;
};

struct files {
    char *folder;       /* owned: resolved */
    char *entry;        /* owned: the name of the first file, "module.lua" */
    struct file **items; /* owned */
    uint32_t count, capacity;
    bool complete;      /* F2: nothing more is read from the disk */
    void (*opening)(void *context, const char *path); /* of each file before it is opened; may be NULL */
    void *context;
};

/* `path`: the first file, or a folder with a module.lua in it. */
err files_init(struct files *files, const char *path, struct diag *diag);
/* From texts that were kept, as pairs of sized name and sized text, the first file first. */
err files_init_kept(struct files *files, bytes kept, uint32_t count, struct diag *diag);
void files_deinit(struct files *files);

/* The file of this name, read now when it was not yet. */
err files_get(struct files *files, bytes name, const struct file **file, struct diag *diag);
/* Only among those read; NULL when absent. */
const struct file *files_find(const struct files *files, bytes name);
/* Keccak-256 over names and texts, ordered by name. */
void files_hash(const struct files *files, uint8_t digest[32]);
