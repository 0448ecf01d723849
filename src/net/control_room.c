#include "net/control_room.h"

#include "base/base.h"

#include <libwebsockets.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    STRIDE = 256,
    WRITTEN_MAX = LWS_PRE + 125 + 1, /* C1: a zero follows what is handed over */
    COUNT = 131072,                  /* as many as there can be sockets, see listener.c; the system gives pages as they are used */
    BUFFER_SIZE_MAX = 66 << 10,
};
static const size_t room_size = (size_t)COUNT * STRIDE + BUFFER_SIZE_MAX; /* C2 */

/* One that is free holds the address of the next in its first bytes. */
static struct {
    uint8_t *begin; /* NULL: there is no room */
    uint32_t begun; /* how many have ever been in use */
    uint8_t *free;
} room;

static bool is_here(const void *at)
{
    return room.begin != NULL && (const uint8_t *)at >= room.begin && (const uint8_t *)at < room.begin + room_size;
}

/* NULL when all are in use. */
static void *take(void)
{
    uint8_t *buffer = room.free;
    if (buffer != NULL)
        memcpy(&room.free, buffer, sizeof room.free);
    else if (room.begun < COUNT)
        buffer = room.begin + (size_t)room.begun++ * STRIDE;
    return buffer;
}

static void put_back(uint8_t *buffer)
{
    for (size_t at = WRITTEN_MAX; at < STRIDE; at++)
        check(buffer[at] == 0); /* C1 */
    memset(buffer, 0, WRITTEN_MAX);
    memcpy(buffer, &room.free, sizeof room.free);
    room.free = buffer;
}

/* As libwebsockets asks for memory: a size of zero gives it back. */
static void *allocate(void *at, size_t size, const char *reason)
{
    if (is_here(at)) {
        check(size == 0);
        put_back(at);
        return NULL;
    }
    if (size == 0) {
        free(at);
        return NULL;
    }
    void *buffer = NULL;
    if (at == NULL && room.begin != NULL && size <= BUFFER_SIZE_MAX && strcmp(reason, "rx_ubuf") == 0)
        buffer = take();
    return buffer != NULL ? buffer : realloc(at, size);
}

void control_room_open(void)
{
    if (room.begin != NULL || strncmp(lws_get_library_version(), "4.1.6", 5) != 0)
        return;
    void *begin = mmap(NULL, room_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (begin == MAP_FAILED)
        return; /* each connection has a buffer of its own then */
    (void)madvise(begin, room_size, MADV_NOHUGEPAGE);
    room.begin = begin;
    lws_set_allocator(allocate);
}
