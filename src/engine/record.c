#include "engine/record.h"

static const char *const kind_names[] = {
    [RECORD_CALL] = "call",       [RECORD_CONNECT] = "connect", [RECORD_DISCONNECT] = "disconnect",
    [RECORD_PUBLISH] = "publish", [RECORD_RESERVE] = "reserve", [RECORD_UNDO] = "undo",
    [RECORD_TICK] = "tick",       [RECORD_SQL] = "sql",
};

const char *record_kind_name(enum record_kind kind)
{
    return kind_names[kind];
}

enum record_kind record_kind_find(const char *name)
{
    for (size_t kind = RECORD_CALL; kind < COUNTOF(kind_names); kind++)
        if (strcmp(kind_names[kind], name) == 0)
            return (enum record_kind)kind;
    return (enum record_kind)0;
}

static void put_delta(struct buf *out, const struct delta *delta)
{
    if (delta != NULL)
        delta_encode(out, delta);
    else
        buf_put_u32(out, 0);
}

void record_encode(struct buf *out, const struct record *record, const struct delta *delta)
{
    buf_put_u8(out, (uint8_t)record->kind);
    buf_put_u64(out, (uint64_t)record->timestamp_us);
    buf_put_u64(out, record->client);
    buf_put_u64(out, record->seed);
    switch (record->kind) {
    case RECORD_CALL:
        buf_put_u16(out, record->reducer);
        buf_put_sized(out, record->args);
        break;
    case RECORD_CONNECT:
        buf_put(out, record->who.at, sizeof record->who.at);
        buf_put(out, record->connection.at, sizeof record->connection.at);
        break;
    case RECORD_DISCONNECT: break;
    case RECORD_PUBLISH:
        buf_put(out, record->who.at, sizeof record->who.at);
        buf_put(out, record->hash, sizeof record->hash);
        buf_put_sized(out, record->def);
        buf_put_u32(out, record->file_count);
        buf_put_bytes(out, record->files);
        break;
    case RECORD_TICK:
        buf_put_u32(out, record->schedule_id);
        buf_put_u64(out, record->row_id);
        buf_put_u64(out, (uint64_t)record->tick_us);
        buf_put_u8(out, record->tick_failed);
        break;
    case RECORD_RESERVE:
        buf_put_u32(out, record->sequence_id);
        buf_put(out, &record->reserved, sizeof record->reserved);
        return;
    case RECORD_UNDO:
        buf_put(out, record->who.at, sizeof record->who.at);
        buf_put_sized(out, record->args);
        break;
    case RECORD_SQL:
        buf_put_sized(out, record->sql);
        buf_put_u64(out, record->row_limit);
        break;
    }
    put_delta(out, delta);
}

static void get_fixed(struct reader *from, void *out, size_t size)
{
    const bytes taken = reader_take(from, size);
    if (taken.size == size)
        memcpy(out, taken.at, size);
}

/* The files stay as they stand; walking them finds where they end. */
static bytes get_files(struct reader *from, uint32_t count)
{
    const uint8_t *start = from->at;
    for (uint32_t idx = 0; idx < 2 * count && !from->failed; idx++)
        reader_get_sized(from);
    return bytes_of(start, (size_t)(from->at - start));
}

err record_decode(bytes from, struct record *record, struct diag *diag)
{
    struct reader reader = reader_of(from);
    *record = (struct record){ .kind = (enum record_kind)reader_get_u8(&reader) };
    record->timestamp_us = (int64_t)reader_get_u64(&reader);
    record->client = reader_get_u64(&reader);
    record->seed = reader_get_u64(&reader);
    switch (record->kind) {
    case RECORD_CALL:
        record->reducer = reader_get_u16(&reader);
        record->args = reader_get_sized(&reader);
        break;
    case RECORD_CONNECT:
        get_fixed(&reader, record->who.at, sizeof record->who.at);
        get_fixed(&reader, record->connection.at, sizeof record->connection.at);
        break;
    case RECORD_DISCONNECT: break;
    case RECORD_PUBLISH:
        get_fixed(&reader, record->who.at, sizeof record->who.at);
        get_fixed(&reader, record->hash, sizeof record->hash);
        record->def = reader_get_sized(&reader);
        record->file_count = reader_get_u32(&reader);
        record->files = get_files(&reader, record->file_count);
        break;
    case RECORD_TICK:
        record->schedule_id = reader_get_u32(&reader);
        record->row_id = reader_get_u64(&reader);
        record->tick_us = (int64_t)reader_get_u64(&reader);
        record->tick_failed = reader_get_u8(&reader) != 0;
        break;
    case RECORD_RESERVE:
        record->sequence_id = reader_get_u32(&reader);
        get_fixed(&reader, &record->reserved, sizeof record->reserved);
        break;
    case RECORD_UNDO:
        get_fixed(&reader, record->who.at, sizeof record->who.at);
        record->args = reader_get_sized(&reader);
        break;
    case RECORD_SQL:
        record->sql = reader_get_sized(&reader);
        record->row_limit = reader_get_u64(&reader);
        break;
    default:
        return diag_set(diag, ERR_NEWER_FORMAT, "a record of unknown kind %d: a newer stdb-lua wrote this log", record->kind);
    }
    if (reader.failed)
        return diag_set(diag, ERR_CORRUPT, "a log record of %zu bytes ends too early", from.size);
    record->delta = bytes_of(reader.at, reader_left(&reader));
    return OK;
}
