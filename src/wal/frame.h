/* frame — the two headers of the log's files, to bytes and back. wal.h draws them. */
#pragma once

#include "base/base.h"

enum { SEGMENT_HEADER_SIZE = 64, FRAME_HEADER_SIZE = 32, FRAME_ALIGNMENT = 8, SEGMENT_VERSION = 1 };

struct segment_header {
    uint32_t version;
    uint8_t database_id[16];
    uint64_t first_offset;
    uint32_t chain; /* checksum of the last frame before this segment */
    uint32_t salt;  /* what its frames are told by */
};

void segment_header_write(const struct segment_header *header, uint8_t out[SEGMENT_HEADER_SIZE]);
/* False when the bytes are not what segment_header_write() left. */
bool segment_header_read(const uint8_t from[SEGMENT_HEADER_SIZE], struct segment_header *header);

struct frame_header {
    uint32_t salt; /* of the segment it was written for */
    uint32_t size; /* of the body */
    uint64_t first_offset;
    uint32_t record_count; /* 0: a mark */
    uint32_t chain;        /* checksum of the frame before */
    uint32_t body_sum;
    uint32_t checksum; /* of this header: what the next frame carries as its chain */
};

/* Works out the checksum on the way. */
void frame_header_write(struct frame_header *header, uint8_t out[FRAME_HEADER_SIZE]);
/* False when the bytes are not what frame_header_write() left. */
bool frame_header_read(const uint8_t from[FRAME_HEADER_SIZE], struct frame_header *header);

/* The bytes that a frame takes in its file, with the zeros behind its body. */
static inline uint64_t frame_span(uint32_t body_size)
{
    const uint64_t size = (uint64_t)FRAME_HEADER_SIZE + body_size;
    return (size + FRAME_ALIGNMENT - 1) & ~(uint64_t)(FRAME_ALIGNMENT - 1);
}
