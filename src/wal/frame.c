/* The places of the fields, as wal.h lists them. */
#include "wal/frame.h"

#include "base/buf.h"
#include "base/hash.h"

enum { FRAME_MAGIC = 0x4d415246 };
static const char segment_magic[8] = { 'S', 'T', 'D', 'B', 'W', 'A', 'L', '1' };

void segment_header_write(const struct segment_header *header, uint8_t out[SEGMENT_HEADER_SIZE])
{
    memset(out, 0, SEGMENT_HEADER_SIZE);
    memcpy(out, segment_magic, sizeof segment_magic);
    bytes_put_u32(out + 8, header->version);
    memcpy(out + 16, header->database_id, sizeof header->database_id);
    bytes_put_u64(out + 32, header->first_offset);
    bytes_put_u32(out + 40, header->chain);
    bytes_put_u32(out + 44, header->salt);
    bytes_put_u32(out + 60, crc32c(0, out, 60));
}

bool segment_header_read(const uint8_t from[SEGMENT_HEADER_SIZE], struct segment_header *header)
{
    if (memcmp(from, segment_magic, sizeof segment_magic) != 0 || bytes_get_u32(from + 60) != crc32c(0, from, 60))
        return false;
    *header = (struct segment_header){
        .version = bytes_get_u32(from + 8),
        .first_offset = bytes_get_u64(from + 32),
        .chain = bytes_get_u32(from + 40),
        .salt = bytes_get_u32(from + 44),
    };
    memcpy(header->database_id, from + 16, sizeof header->database_id);
    return true;
}

void frame_header_write(struct frame_header *header, uint8_t out[FRAME_HEADER_SIZE])
{
    bytes_put_u32(out, FRAME_MAGIC ^ header->salt);
    bytes_put_u32(out + 4, header->size);
    bytes_put_u64(out + 8, header->first_offset);
    bytes_put_u32(out + 16, header->record_count);
    bytes_put_u32(out + 20, header->chain);
    bytes_put_u32(out + 24, header->body_sum);
    header->checksum = crc32c(0, out, 28);
    bytes_put_u32(out + 28, header->checksum);
}

bool frame_header_read(const uint8_t from[FRAME_HEADER_SIZE], struct frame_header *header)
{
    if (bytes_get_u32(from + 28) != crc32c(0, from, 28))
        return false;
    *header = (struct frame_header){
        .salt = bytes_get_u32(from) ^ FRAME_MAGIC,
        .size = bytes_get_u32(from + 4),
        .first_offset = bytes_get_u64(from + 8),
        .record_count = bytes_get_u32(from + 16),
        .chain = bytes_get_u32(from + 20),
        .body_sum = bytes_get_u32(from + 24),
        .checksum = bytes_get_u32(from + 28),
    };
    return true;
}
