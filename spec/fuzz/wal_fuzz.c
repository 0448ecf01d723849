/* Any bytes as the files of a log: opening either refuses them or gives a log that goes on and opens again
 * with the same records; and the reader, which comes first and changes nothing, says the same.
 *
 * input: u8 kind, then the content of the files. Kind 0 takes it as the one segment. Kind 1 takes it as
 * frames: u16 size, u8 count, body, u8 what to spoil, again and again, with the sums put right, so that the
 * fuzzer gets behind them. */
#include "../sim/disk_sim.h"

#include "base/buf.h"
#include "base/hash.h"
#include "wal/frame.h"
#include "wal/reader.h"
#include "wal/wal.h"

static err record_take(void *context, uint64_t offset, bytes record, struct diag *diag)
{
    struct buf *records = context;
    buf_put_sized(records, record);
    return OK;
}

static void header_put(struct buf *out)
{
    const struct segment_header header = { .version = SEGMENT_VERSION };
    segment_header_write(&header, buf_extend(out, SEGMENT_HEADER_SIZE));
}

static void frames_put(struct buf *out, struct reader *reader)
{
    uint32_t chain = 0;
    uint64_t offset = 0;
    header_put(out);
    while (reader_left(reader) > 3) {
        const uint16_t size = reader_get_u16(reader);
        const uint8_t count = reader_get_u8(reader);
        const bytes body = reader_take(reader, size < reader_left(reader) ? size : reader_left(reader));
        const uint8_t spoil = reader_get_u8(reader);
        struct frame_header header = { 0, (uint32_t)body.size, offset, count, chain, crc32c(0, body.at, body.size), 0 };

        const size_t start = out->size;
        const size_t span = (size_t)frame_span(header.size);
        memset(buf_extend(out, span), 0, span);
        frame_header_write(&header, out->data + start);
        memcpy(out->data + start + FRAME_HEADER_SIZE, body.at, body.size);
        if (spoil != 0)
            out->data[start + spoil % span] ^= spoil;
        chain = header.checksum;
        offset += count;
    }
}

static void log_make(struct disk_sim *disk, const uint8_t *data, size_t size)
{
    struct buf content;
    struct reader reader = reader_of(bytes_of(data, size));
    buf_init(&content);
    if (reader_get_u8(&reader) % 2 == 1)
        frames_put(&content, &reader);
    else
        buf_put_bytes(&content, reader_take(&reader, reader_left(&reader)));
    buf_put_u8(&content, 0); /* so that there are bytes to point at */
    disk_sim_put(disk, "log/00000000000000000000.wal", content.data, content.size - 1, true);
    buf_deinit(&content);
}

/* What the reader gives; false when it refuses. */
static bool log_read(struct disk_sim *disk, struct buf *records)
{
    static const uint8_t database_id[16];
    struct wal_reader *reader;
    struct diag diag = { 0 };
    bool found = true;
    err code = wal_reader_open(&reader, disk_sim_disk(disk), "log", database_id, 0, WAL_NO_LIMIT, &diag);
    while (code == OK && found) {
        uint64_t offset;
        bytes record;
        code = wal_reader_next(reader, &found, &offset, &record, &diag);
        if (code == OK && found)
            buf_put_sized(records, record);
    }
    check(code == OK || (diag.code == code && diag.text[0] != '\0'));
    wal_reader_close(reader);
    return code == OK;
}

static struct wal *log_open(struct disk_sim *disk, struct buf *records)
{
    const struct wal_options options = { .disk = disk_sim_disk(disk), .dir = "log", .segment_size = 512 };
    struct wal *wal;
    struct wal_report report;
    struct diag diag = { 0 };
    const err code = wal_open(&wal, &options, record_take, records, &report, &diag);
    check(code == OK || (diag.code == code && diag.text[0] != '\0' && wal == NULL));
    return wal;
}

static void log_go_on(struct disk_sim *disk, struct wal *wal, struct buf *records)
{
    struct buf again;
    buf_init(&again);
    buf_put_text(wal_append_begin(wal), "one more");
    wal_append_end(wal);
    wal_close(wal);
    buf_put_sized(records, BYTES_LITERAL("one more"));

    wal = log_open(disk, &again);
    check(wal != NULL && bytes_equal(buf_bytes(records), buf_bytes(&again)));
    wal_close(wal);
    buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct disk_sim *disk = disk_sim_new(1);
    struct buf read, found;
    buf_init(&read);
    buf_init(&found);
    log_make(disk, data, size);

    const bool readable = log_read(disk, &read);
    struct wal *wal = log_open(disk, &found);
    check(readable == (wal != NULL) && bytes_equal(buf_bytes(&read), buf_bytes(&found)));
    if (wal != NULL)
        log_go_on(disk, wal, &found);
    buf_deinit(&read);
    buf_deinit(&found);
    disk_sim_free(disk);
    return 0;
}
