/* Any bytes as the files of a log: opening either refuses them or gives a log that goes on and opens again
 * with the same records.
 *
 * input: u8 kind, then the content of the files. Kind 0 takes it as the one segment. Kind 1 takes it as
 * frames: u16 size, u8 count, body, u8 what to spoil, again and again, with the sums put right, so that the
 * fuzzer gets behind them. */
#include "../wal/memory_disk.h"

#include "base/hash.h"
#include "wal/frame.h"
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
        struct frame_header header = { (uint32_t)body.size, offset, count, chain, crc32c(0, body.at, body.size), 0 };

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

static void log_make(struct memory_disk *disk, const uint8_t *data, size_t size)
{
    struct memory_file *file = memory_add(disk, "log/00000000000000000000.wal");
    struct reader reader = reader_of(bytes_of(data, size));
    if (reader_get_u8(&reader) % 2 == 1)
        frames_put(&file->seen, &reader);
    else
        buf_put_bytes(&file->seen, reader_take(&reader, reader_left(&reader)));
}

static struct wal *log_open(struct memory_disk *disk, struct buf *records)
{
    const struct wal_options options = { .disk = &disk->disk, .dir = "log", .segment_size = 512 };
    struct wal *wal;
    struct wal_report report;
    struct diag diag = { 0 };
    const err code = wal_open(&wal, &options, record_take, records, &report, &diag);
    check(code == OK || (diag.code == code && diag.text[0] != '\0' && wal == NULL));
    return wal;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_disk *disk = memory_disk_new();
    struct buf first, second;
    buf_init(&first);
    buf_init(&second);
    log_make(disk, data, size);

    struct wal *wal = log_open(disk, &first);
    if (wal != NULL) {
        buf_put_text(wal_append_begin(wal), "one more");
        wal_append_end(wal);
        wal_close(wal);
        buf_put_sized(&first, BYTES_LITERAL("one more"));

        wal = log_open(disk, &second);
        check(wal != NULL && bytes_equal(buf_bytes(&first), buf_bytes(&second)));
        wal_close(wal);
    }
    buf_deinit(&first);
    buf_deinit(&second);
    memory_disk_free(disk);
    return 0;
}
