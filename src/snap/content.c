#include "snap/content.h"

#include "base/background.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>

enum { TRANSACTION_SIZE = 64 << 10, MAP_SIZE_FIRST = 64 << 20, MAP_ROOM = 16 << 20 };

static err refuse(const struct content *content, const char *doing, int code, struct diag *diag)
{
    const bool is_damage = code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID ||
                           code == MDB_VERSION_MISMATCH || code == MDB_NOTFOUND;
    return diag_set(diag, is_damage ? ERR_CORRUPT : ERR_DISK, "cannot %s %s: %s", doing, content->name,
                    mdb_strerror(code));
}

static MDB_val val_of(bytes from)
{
    return (MDB_val){ from.size, (void *)from.at };
}

static uint32_t seal_of(MDB_val key, bytes value)
{
    return crc32c(crc32c(0, key.mv_data, key.mv_size), value.at, value.size);
}

/* --- Opening --- */

static err env_open(struct content *content, const char *path, unsigned flags, struct diag *diag)
{
    int code = mdb_env_create(&content->env);
    if (code == 0)
        code = mdb_env_set_maxdbs(content->env, 2);
    if (code == 0 && (flags & MDB_RDONLY) == 0)
        code = mdb_env_set_mapsize(content->env, MAP_SIZE_FIRST);
    if (code == 0)
        code = mdb_env_open(content->env, path, flags | MDB_NOSUBDIR | MDB_NOLOCK, 0600);
    return code == 0 ? OK : refuse(content, (flags & MDB_RDONLY) != 0 ? "open" : "make", code, diag);
}

static err databases_open(struct content *content, unsigned flags, struct diag *diag)
{
    int code = mdb_dbi_open(content->txn, "meta", flags, &content->meta);
    if (code == 0)
        code = mdb_dbi_open(content->txn, "rows", flags, &content->rows);
    return code == 0 ? OK : refuse(content, (flags & MDB_CREATE) != 0 ? "make" : "open", code, diag);
}

err content_create(struct content *content, const char *path, const char *name, struct diag *diag)
{
    *content = (struct content){ .name = name };
    TRY(env_open(content, path, MDB_NOSYNC, diag));
    const int code = mdb_txn_begin(content->env, NULL, 0, &content->txn);
    if (code != 0)
        return refuse(content, "write", code, diag);
    return databases_open(content, MDB_CREATE, diag);
}

err content_open(struct content *content, const char *path, const char *name, struct diag *diag)
{
    *content = (struct content){ .name = name };
    TRY(env_open(content, path, MDB_RDONLY, diag));
    int code = mdb_txn_begin(content->env, NULL, MDB_RDONLY, &content->txn);
    if (code != 0)
        return refuse(content, "read", code, diag);
    TRY(databases_open(content, 0, diag));
    code = mdb_cursor_open(content->txn, content->rows, &content->cursor);
    return code == 0 ? OK : refuse(content, "read", code, diag);
}

void content_close(struct content *content)
{
    if (content->cursor != NULL)
        mdb_cursor_close(content->cursor);
    if (content->txn != NULL)
        mdb_txn_abort(content->txn);
    if (content->env != NULL)
        mdb_env_close(content->env);
    content->cursor = NULL;
    content->txn = NULL;
    content->env = NULL;
}

/* --- Writing --- */

/* M5. Has the system write what it still keeps of the file, without a sync: that would also flush the disk's cache and
 * the file system's journal, and the log's syncs would stand behind both. Where there is no such call, it is a sync;
 * any other error is the end of this file, since the next sync would no longer tell of it (D3). */
static int push_out(struct content *content)
{
    enum { PUSH = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER };
    int file;
    mdb_env_get_fd(content->env, &file);
    if (sync_file_range(file, 0, 0, PUSH) == 0)
        return 0;
    const bool is_missing = errno == ENOSYS || errno == EINVAL || errno == ESPIPE || errno == EOPNOTSUPP;
    return is_missing ? mdb_env_sync(content->env, 1) : errno;
}

static err commit(struct content *content, struct diag *diag)
{
    int code = mdb_txn_commit(content->txn);
    content->txn = NULL;
    content->pending = 0;
    background_stand_back();
    if (code == 0)
        code = push_out(content);
    return code == 0 ? OK : refuse(content, "write", code, diag);
}

/* Bytes of the file's pages that are in use. */
static uint64_t size_used(const struct content *content)
{
    MDB_envinfo info;
    MDB_stat stat;
    mdb_env_info(content->env, &info);
    mdb_env_stat(content->env, &stat);
    return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

/* LMDB's map cannot grow inside a transaction, so each begins with room for all that it may put. */
static err room_make(struct content *content, size_t size, struct diag *diag)
{
    MDB_envinfo info;
    mdb_env_info(content->env, &info);
    const uint64_t needed = size_used(content) + TRANSACTION_SIZE + size + MAP_ROOM;
    uint64_t map_size = info.me_mapsize;
    while (map_size < needed)
        map_size *= 2;
    const int code = map_size == info.me_mapsize ? 0 : mdb_env_set_mapsize(content->env, map_size);
    return code == 0 ? OK : refuse(content, "enlarge", code, diag);
}

static err transaction_for(struct content *content, size_t size, struct diag *diag)
{
    if (content->txn != NULL && content->pending + size > TRANSACTION_SIZE)
        TRY(commit(content, diag));
    if (content->txn != NULL)
        return OK;
    TRY(room_make(content, size, diag));
    const int code = mdb_txn_begin(content->env, NULL, 0, &content->txn);
    return code == 0 ? OK : refuse(content, "write", code, diag);
}

static err value_put(struct content *content, MDB_dbi database, bytes key, struct buf *value, unsigned flags,
                     struct diag *diag)
{
    check(value->size >= SEAL_SIZE);
    TRY(transaction_for(content, value->size, diag));
    MDB_val at = val_of(key), sealed = val_of(buf_bytes(value));
    const uint32_t seal = seal_of(at, bytes_of(value->data + SEAL_SIZE, value->size - SEAL_SIZE));
    memcpy(value->data, &seal, sizeof seal);
    const int code = mdb_put(content->txn, database, &at, &sealed, flags);
    content->pending += value->size;
    return code == 0 ? OK : refuse(content, "write", code, diag);
}

void row_key_put(uint8_t out[ROW_KEY_SIZE], uint32_t table_id, uint32_t chunk)
{
    const uint32_t big_endian[2] = { __builtin_bswap32(table_id), __builtin_bswap32(chunk) };
    memcpy(out, big_endian, ROW_KEY_SIZE);
}

err content_add_rows(struct content *content, uint32_t table_id, uint32_t chunk, struct buf *value, struct diag *diag)
{
    uint8_t key[ROW_KEY_SIZE];
    row_key_put(key, table_id, chunk);
    TRY(value_put(content, content->rows, bytes_of(key, sizeof key), value, MDB_APPEND, diag));
    content->chunks_crc = crc32c(content->chunks_crc, value->data, SEAL_SIZE);
    return OK;
}

err content_put(struct content *content, const char *key, struct buf *value, struct diag *diag)
{
    return value_put(content, content->meta, bytes_of_text(key), value, 0, diag);
}

err content_finish(struct content *content, uint64_t *size, struct diag *diag)
{
    TRY(commit(content, diag));
    *size = size_used(content);
    const int code = mdb_env_sync(content->env, 1); /* never tried again (D3): the whole file is given up */
    return code == 0 ? OK : refuse(content, "write", code, diag);
}

/* --- Reading --- */

static bool value_open(MDB_val key, MDB_val sealed, bytes *value)
{
    if (sealed.mv_size < SEAL_SIZE)
        return false;
    *value = bytes_of((const uint8_t *)sealed.mv_data + SEAL_SIZE, sealed.mv_size - SEAL_SIZE);
    const uint32_t seal = seal_of(key, *value);
    return memcmp(sealed.mv_data, &seal, sizeof seal) == 0;
}

err content_get(struct content *content, const char *key, bytes *value, struct diag *diag)
{
    MDB_val at = val_of(bytes_of_text(key)), sealed;
    const int code = mdb_get(content->txn, content->meta, &at, &sealed);
    if (code == MDB_NOTFOUND)
        return diag_set(diag, ERR_CORRUPT, "%s is damaged: it lacks its value `%s`", content->name, key);
    if (code != 0)
        return refuse(content, "read", code, diag);
    if (!value_open(at, sealed, value))
        return diag_set(diag, ERR_CORRUPT, "%s is damaged: its value `%s` does not match its checksum", content->name,
                        key);
    return OK;
}

err content_next_rows(struct content *content, uint32_t table_id, uint32_t chunk, bytes *value, struct diag *diag)
{
    uint8_t wanted[ROW_KEY_SIZE];
    row_key_put(wanted, table_id, chunk);
    MDB_val at, sealed;
    const int code = mdb_cursor_get(content->cursor, &at, &sealed, MDB_NEXT);
    if (code != 0 && code != MDB_NOTFOUND)
        return refuse(content, "read", code, diag);
    if (code != 0 || !bytes_equal(bytes_of(at.mv_data, at.mv_size), bytes_of(wanted, sizeof wanted)))
        return diag_set(diag, ERR_CORRUPT, "it is not there");
    if (!value_open(at, sealed, value))
        return diag_set(diag, ERR_CORRUPT, "it does not match its checksum");
    content->chunks_crc = crc32c(content->chunks_crc, sealed.mv_data, SEAL_SIZE);
    return OK;
}

bool content_at_end(struct content *content)
{
    MDB_val at, sealed;
    return mdb_cursor_get(content->cursor, &at, &sealed, MDB_NEXT) == MDB_NOTFOUND;
}
