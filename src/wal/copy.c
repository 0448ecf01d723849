#include "wal/copy.h"

#include "base/buf.h"
#include "wal/reader.h"

enum { GROUP_SIZE = 4 << 20 };

static err nothing_to_replay(void *context, uint64_t offset, bytes record, struct diag *diag)
{
    unreachable(); /* the log was made a moment ago */
}

static void failure_keep(void *context, const struct diag *diag)
{
    *(struct diag *)context = *diag;
}

/* Makes everything durable that was appended. The log has no thread here. */
static err group_store(struct wal *wal, const struct diag *failure, struct diag *diag)
{
    wal_flush(wal);
    while (wal_durable_offset(wal) < wal_next_offset(wal)) {
        if (!wal_step(wal)) {
            *diag = *failure;
            return diag->code;
        }
    }
    return OK;
}

static err group_end(const struct wal_copy *copy, struct wal *wal, const struct diag *failure, struct diag *diag)
{
    TRY(group_store(wal, failure, diag));
    if (copy->progress != NULL && !copy->progress(copy->context, wal_next_offset(wal), copy->end))
        return diag_set(diag, ERR_BUSY, "copying the log was stopped");
    return OK;
}

static err records_copy(const struct wal_copy *copy, struct wal_reader *reader, struct wal *wal,
                        const struct diag *failure, struct diag *diag)
{
    size_t gathered = 0;
    bool found = true;
    for (;;) {
        uint64_t offset;
        bytes record;
        TRY(wal_reader_next(reader, &found, &offset, &record, diag));
        if (!found)
            return group_end(copy, wal, failure, diag);
        buf_put_bytes(wal_append_begin(wal), record);
        check(wal_append_end(wal) == offset);
        gathered += record.size;
        if (gathered >= GROUP_SIZE) {
            TRY(group_end(copy, wal, failure, diag));
            gathered = 0;
        }
    }
}

static err log_fill(const struct wal_copy *copy, struct wal_reader *reader, uint64_t oldest, struct diag *diag)
{
    struct diag failure = { 0 };
    struct wal_options options = {
        .disk = copy->disk,
        .dir = copy->to,
        .from = oldest,
        .on_failure = failure_keep,
        .context = &failure,
    };
    struct wal *wal;
    struct wal_report report;
    memcpy(options.database_id, copy->database_id, sizeof options.database_id);
    TRY(wal_create(&options, oldest, diag));
    TRY(wal_open(&wal, &options, nothing_to_replay, NULL, &report, diag));
    const err code = records_copy(copy, reader, wal, &failure, diag);
    wal_close(wal);
    return code;
}

/* Opening the reader at the end first tells whether there is such a record at all. */
err wal_copy(const struct wal_copy *copy, struct diag *diag)
{
    uint64_t oldest;
    struct wal_reader *reader;
    TRY(wal_reader_open(&reader, copy->disk, copy->from, copy->database_id, copy->end, WAL_NO_LIMIT, diag));
    wal_reader_close(reader);
    TRY(wal_reader_oldest(copy->disk, copy->from, &oldest, diag));
    TRY(wal_reader_open(&reader, copy->disk, copy->from, copy->database_id, oldest, copy->end, diag));
    const err code = log_fill(copy, reader, oldest, diag);
    wal_reader_close(reader);
    return code;
}
