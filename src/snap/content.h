/* content — the LMDB environment inside a snapshot's file, and nothing of what it means.
 *
 * Written once, front to back: values are appended in the order of their keys, in transactions of bounded size,
 * each handed to the disk (M5). Read once, front to back. No lock file: the folder has one writer, and a file does
 * not change once it has its name.
 *
 * Values are sealed: 4 bytes of crc32c over key and value come first (M4). The functions here put and check them;
 * callers leave 4 bytes of room in front when writing, and get what stands behind them when reading. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <lmdb.h>

enum { SEAL_SIZE = 4, ROW_KEY_SIZE = 8 };

struct content {
    const char *name; /* borrowed: the snapshot's path, for the sentences */
    MDB_env *env;
    MDB_txn *txn;
    MDB_cursor *cursor; /* reading: on the rows */
    MDB_dbi meta, rows;
    size_t pending;      /* bytes put into the running transaction */
    uint32_t chunks_crc; /* over the seals of all rows put or got so far */
};

/* `path` is what LMDB opens. content_close() is due even after a failure. */
err content_create(struct content *content, const char *path, const char *name, struct diag *diag);
err content_open(struct content *content, const char *path, const char *name, struct diag *diag);
void content_close(struct content *content);

/* Writing: rows first, in order, then the rest. `value` begins with room for the seal. */
void row_key_put(uint8_t out[ROW_KEY_SIZE], uint32_t table_id, uint32_t chunk);
err content_add_rows(struct content *content, uint32_t table_id, uint32_t chunk, struct buf *value, struct diag *diag);
err content_put(struct content *content, const char *key, struct buf *value, struct diag *diag);
/* Stores all that was put and says how long the file has to be. */
err content_finish(struct content *content, uint64_t *size, struct diag *diag);

/* Reading. Values are good until the close. ERR_CORRUPT when absent or not as they were sealed. */
err content_get(struct content *content, const char *key, bytes *value, struct diag *diag);
/* The next chunk, which has to be this one; its key is in the caller's sentence. */
err content_next_rows(struct content *content, uint32_t table_id, uint32_t chunk, bytes *value, struct diag *diag);
/* Whether no chunk is left. */
bool content_at_end(struct content *content);
