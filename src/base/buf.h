/* buf — growing bytes, and the little-endian writers of every format here.
 * reader — the other direction: strict, bounded, remembers that it failed. */
#pragma once

#include "base/base.h"

struct buf {
    uint8_t *data; /* owned */
    size_t size;
    size_t capacity;
};

void buf_init(struct buf *buf);
void buf_deinit(struct buf *buf);
void buf_grow(struct buf *buf, size_t room); /* out of line: makes room for `room` more bytes */

/* Empties a buffer that has had more room than `most` bytes, and gives that back. */
void buf_trim(struct buf *buf, size_t most);

static inline bytes buf_bytes(const struct buf *buf) { return bytes_of(buf->data, buf->size); }
static inline void buf_clear(struct buf *buf) { buf->size = 0; }

/* Room for `size` bytes at the end, counted as written; the caller fills it before the next call. */
static inline uint8_t *buf_extend(struct buf *buf, size_t size)
{
    if (buf->capacity - buf->size < size)
        buf_grow(buf, size);
    uint8_t *at = buf->data + buf->size;
    buf->size += size;
    return at;
}

static inline void buf_put(struct buf *buf, const void *from, size_t size)
{
    if (size > 0)
        memcpy(buf_extend(buf, size), from, size);
}

static inline void buf_put_bytes(struct buf *buf, bytes from) { buf_put(buf, from.at, from.size); }
static inline void buf_put_u8(struct buf *buf, uint8_t value) { *buf_extend(buf, 1) = value; }
/* The hosts this builds on are little-endian (asserted in buf.c), so a store is the format. */
static inline void buf_put_u16(struct buf *buf, uint16_t value) { buf_put(buf, &value, 2); }
static inline void buf_put_u32(struct buf *buf, uint32_t value) { buf_put(buf, &value, 4); }
static inline void buf_put_u64(struct buf *buf, uint64_t value) { buf_put(buf, &value, 8); }
static inline void buf_put_text(struct buf *buf, const char *text) { buf_put(buf, text, strlen(text)); }
/* A BSATN string or blob: u32 count, then the bytes. */
static inline void buf_put_sized(struct buf *buf, bytes from)
{
    buf_put_u32(buf, (uint32_t)from.size);
    buf_put_bytes(buf, from);
}
void buf_put_format(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);

/* Numbers at fixed places of a header. */
static inline void bytes_put_u32(uint8_t *at, uint32_t value) { memcpy(at, &value, sizeof value); }
static inline void bytes_put_u64(uint8_t *at, uint64_t value) { memcpy(at, &value, sizeof value); }

static inline uint32_t bytes_get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t bytes_get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed; /* sticky: every get after a failure returns zero or empty */
};

static inline struct reader reader_of(bytes from)
{
    return (struct reader){ from.at, from.at + from.size, false };
}

static inline size_t reader_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static inline bytes reader_take(struct reader *reader, size_t size)
{
    if (reader->failed || reader_left(reader) < size) {
        reader->failed = true;
        return bytes_of("", 0);
    }
    bytes taken = bytes_of(reader->at, size);
    reader->at += size;
    return taken;
}

#define READER_GET_(name, type)                             \
    static inline type name(struct reader *reader)          \
    {                                                       \
        type value = 0;                                     \
        const bytes from = reader_take(reader, sizeof value); \
        if (from.size == sizeof value)                      \
            memcpy(&value, from.at, sizeof value);          \
        return value;                                       \
    }
READER_GET_(reader_get_u8, uint8_t)
READER_GET_(reader_get_u16, uint16_t)
READER_GET_(reader_get_u32, uint32_t)
READER_GET_(reader_get_u64, uint64_t)
#undef READER_GET_

/* A BSATN string or blob. */
static inline bytes reader_get_sized(struct reader *reader)
{
    const uint32_t size = reader_get_u32(reader);
    return reader_take(reader, size);
}

/* shared — frozen bytes that many hold: one encoded update, many sockets. */
struct shared {
    uint32_t holders; /* atomic */
    uint32_t size;
    uint8_t data[];
};

struct shared *shared_new(bytes from);       /* a copy, with one holder */
struct shared *shared_reserve(size_t size); /* to be filled in before anybody else holds it */
struct shared *shared_ref(struct shared *shared);
void shared_unref(struct shared *shared); /* NULL is fine */
