/* Bytes that grow, and frozen bytes that many hold. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are written as the host stores numbers");

enum { BUF_CAPACITY_MIN = 64 };

void buf_init(struct buf *buf)
{
    *buf = (struct buf){ 0 };
}

void buf_deinit(struct buf *buf)
{
    memory_free(buf->data);
    buf_init(buf);
}

void buf_trim(struct buf *buf, size_t most)
{
    if (buf->capacity > most)
        buf_deinit(buf);
}

/* Doubles, so that the bytes of a growing buf are copied twice on average and not once a write. */
void buf_grow(struct buf *buf, size_t room)
{
    check(room <= SIZE_MAX / 4 && buf->size <= SIZE_MAX / 4);
    const size_t needed = buf->size + room;
    if (needed <= buf->capacity)
        return;

    size_t capacity = buf->capacity * 2;
    if (capacity < BUF_CAPACITY_MIN)
        capacity = BUF_CAPACITY_MIN;
    if (capacity < needed)
        capacity = needed;
    buf->data = memory_resize(buf->data, capacity);
    buf->capacity = capacity;
}

void buf_put_format(struct buf *buf, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);

    /* Mostly there is room; vsnprintf's terminator is written behind the end, not counted. */
    const size_t room = buf->capacity - buf->size;
    const int length = vsnprintf(room > 0 ? (char *)buf->data + buf->size : NULL, room, format, arguments);
    va_end(arguments);
    check(length >= 0);
    if ((size_t)length >= room) {
        buf_grow(buf, (size_t)length + 1);
        vsnprintf((char *)buf->data + buf->size, (size_t)length + 1, format, again);
    }
    va_end(again);
    buf->size += (size_t)length;
}

struct shared *shared_reserve(size_t size)
{
    check(size <= UINT32_MAX);
    struct shared *shared = memory_resize(NULL, sizeof *shared + size);
    shared->holders = 1;
    shared->size = (uint32_t)size;
    return shared;
}

struct shared *shared_new(bytes from)
{
    struct shared *shared = shared_reserve(from.size);
    bytes_copy(shared->data, from);
    return shared;
}

struct shared *shared_ref(struct shared *shared)
{
    const uint32_t before = __atomic_fetch_add(&shared->holders, 1, __ATOMIC_RELAXED);
    check(before > 0 && before < UINT32_MAX);
    return shared;
}

/* The last holder must see all that the others did before they let go, hence acquire and release. */
void shared_unref(struct shared *shared)
{
    if (shared == NULL)
        return;
    const uint32_t before = __atomic_fetch_sub(&shared->holders, 1, __ATOMIC_ACQ_REL);
    check(before > 0);
    if (before == 1)
        memory_free(shared);
}
