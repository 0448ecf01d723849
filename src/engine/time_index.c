#include "engine/time_index.h"

#include "base/buf.h"
#include "engine/record.h"
#include "wal/reader.h"

static err open_reader(const struct time_index *index, uint64_t from, struct wal_reader **reader, struct diag *diag)
{
    return wal_reader_open(reader, index->disk, index->log_dir, index->database_id, from, index->limit, diag);
}

static err read_next(struct wal_reader *reader, bool *found, uint64_t *offset, int64_t *time_us, struct diag *diag)
{
    struct record record;
    bytes content;
    TRY(wal_reader_next(reader, found, offset, &content, diag));
    if (!*found)
        return OK;
    TRY(record_decode(content, &record, diag));
    *time_us = record.timestamp_us;
    return OK;
}

/* Whether the segment begins behind the time, or is empty yet. One that was given up meanwhile begins before it. */
static err begins_later(const struct time_index *index, uint64_t first_offset, int64_t time_us, bool *is,
                        struct diag *diag)
{
    struct wal_reader *reader;
    bool found = false;
    uint64_t offset;
    int64_t first_us = 0;
    *is = first_offset >= index->limit;
    if (*is)
        return OK;
    err code = open_reader(index, first_offset, &reader, diag);
    if (code == OK) {
        code = read_next(reader, &found, &offset, &first_us, diag);
        *is = code == OK && (!found || first_us > time_us);
        wal_reader_close(reader);
    }
    return code == ERR_NOT_FOUND ? OK : code;
}

/* The beginning of the last segment that does not begin behind the time. */
static err find_segment(const struct time_index *index, int64_t time_us, uint64_t *begin, struct diag *diag)
{
    struct buf firsts = { 0 };
    err code = wal_reader_segments(index->disk, index->log_dir, &firsts, diag);
    size_t low = 0, high = firsts.size / 8;
    while (code == OK && high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        bool is_later;
        code = begins_later(index, bytes_get_u64(firsts.data + middle * 8), time_us, &is_later, diag);
        if (is_later)
            high = middle;
        else
            low = middle;
    }
    *begin = firsts.size > 0 ? bytes_get_u64(firsts.data + low * 8) : 0;
    buf_deinit(&firsts);
    return code;
}

/* Moves *begin to the newest snapshot that was taken before the time, if there is one behind it. */
static err find_snapshot(const struct time_index *index, int64_t time_us, uint64_t *begin, struct diag *diag)
{
    struct buf offsets = { 0 };
    TRY(snap_offsets(index->snaps, &offsets, diag));
    for (size_t left = offsets.size / 8; left > 0; left--) {
        const uint64_t offset = bytes_get_u64(offsets.data + (left - 1) * 8);
        struct snap_label label;
        struct diag damage; /* of a snapshot that is no help here */
        if (offset <= *begin)
            break;
        if (offset > index->limit || snap_peek(index->snaps, offset, &label, &damage) != OK)
            continue;
        if (label.timestamp_us <= time_us)
            *begin = offset;
    }
    buf_deinit(&offsets);
    return OK;
}

err time_index_find(const struct time_index *index, int64_t time_us, uint64_t *offset, struct diag *diag)
{
    struct wal_reader *reader;
    bool found = true;
    uint64_t at;
    int64_t at_us;
    TRY(find_segment(index, time_us, offset, diag));
    TRY(find_snapshot(index, time_us, offset, diag));
    TRY(open_reader(index, *offset, &reader, diag));
    err code = OK;
    while (code == OK && found) {
        code = read_next(reader, &found, &at, &at_us, diag);
        if (code != OK || !found || at_us > time_us)
            break;
        *offset = at + 1;
    }
    wal_reader_close(reader);
    return code;
}
