#include "engine/port.h"

#include "base/clock.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

enum {
    BLOCK_SIZE = 64 << 10, /* about what one read of a busy socket brings */
    SPARE_BLOCKS_MAX = 64, /* 4 MiB wait for reuse; a burst's blocks beyond it go back to the system */
    POST_ALIGNMENT = 8,
    LOOK_OUT_US = 120, /* O5: longer than from an answer to the next call of a client beside it */
};

struct port {
    void (*wake_net)(void *context);
    void *context; /* borrowed */

    pthread_mutex_t lock;
    pthread_cond_t arrived;
    /* Under the lock. */
    struct block *down, *down_last;
    struct packet *up, *up_last;
    struct block *spare;
    uint32_t spare_count;
    bool engine_waits;
    bool net_woken; /* since net last looked: one wake-up is enough */
    uint64_t awaited; /* the highest `needs` of all packets */

    /* Net's alone. */
    struct block *gathered, *open;
    struct block *reusable;
    /* The engine's alone. */
    struct packet *made, *made_last;
    uint64_t needs_min, needs_max; /* of those */
    bool may_look_out;
    bool looks_out; /* O5: the last wait was short */

    atomic_bool has_news; /* for the engine: under the lock it is set when something comes, cleared when it is taken */
    _Atomic uint64_t durable;
};

void packet_free(struct packet *packet)
{
    for (uint32_t idx = 0; idx < packet->part_count; idx++)
        shared_unref(packet->parts[idx].shared);
    memory_free(packet->parts);
    buf_deinit(&packet->data);
    memory_free(packet);
}

/* Of those this process may use. */
static int processor_count(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

struct port *port_new(void (*wake_net)(void *context), void *context)
{
    struct port *port = memory_new(sizeof *port);
    pthread_condattr_t attributes;
    port->wake_net = wake_net;
    port->context = context;
    port->may_look_out = processor_count() > 1;
    check(pthread_mutex_init(&port->lock, NULL) == 0);
    check(pthread_condattr_init(&attributes) == 0);
    check(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    check(pthread_cond_init(&port->arrived, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
    return port;
}

static void free_blocks(struct block *blocks)
{
    while (blocks != NULL) {
        struct block *next = blocks->next;
        memory_free(blocks);
        blocks = next;
    }
}

static void free_packets(struct packet *packets)
{
    while (packets != NULL) {
        struct packet *next = packets->next;
        packet_free(packets);
        packets = next;
    }
}

void port_free(struct port *port)
{
    if (port == NULL)
        return;
    free_blocks(port->down);
    free_blocks(port->spare);
    free_blocks(port->gathered);
    free_blocks(port->reusable);
    free_packets(port->up);
    free_packets(port->made);
    pthread_cond_destroy(&port->arrived);
    pthread_mutex_destroy(&port->lock);
    memory_free(port);
}

static struct block *block_new(struct port *port, size_t room)
{
    struct block *block = port->reusable;
    if (room <= BLOCK_SIZE && block != NULL) {
        port->reusable = block->next;
    } else {
        const size_t capacity = room > BLOCK_SIZE ? room : BLOCK_SIZE;
        block = memory_resize(NULL, sizeof *block + capacity);
        block->capacity = capacity;
    }
    block->next = NULL;
    block->used = 0;
    return block;
}

static struct block *block_with_room(struct port *port, size_t room)
{
    if (port->open != NULL && port->open->capacity - port->open->used >= room)
        return port->open;
    struct block *block = block_new(port, room);
    if (port->open != NULL)
        port->open->next = block;
    else
        port->gathered = block;
    port->open = block;
    return block;
}

void port_post(struct port *port, enum post_kind kind, void *to, bytes data)
{
    _Static_assert(sizeof(struct post) % POST_ALIGNMENT == 0, "posts follow one another");
    check(data.size <= UINT32_MAX);
    const size_t room = (sizeof(struct post) + data.size + POST_ALIGNMENT - 1) & ~(size_t)(POST_ALIGNMENT - 1);
    struct block *block = block_with_room(port, room);
    struct post *post = (struct post *)(block->data + block->used);
    post->size = (uint32_t)data.size;
    post->kind = kind;
    post->to.session = to;
    if (data.size > 0)
        memcpy(post->data, data.at, data.size);
    block->used += room;
}

void port_flush(struct port *port)
{
    if (port->gathered == NULL)
        return;
    pthread_mutex_lock(&port->lock);
    if (port->down_last != NULL)
        port->down_last->next = port->gathered;
    else
        port->down = port->gathered;
    port->down_last = port->open;
    atomic_store_explicit(&port->has_news, true, memory_order_relaxed);
    if (port->reusable == NULL) {
        port->reusable = port->spare;
        port->spare = NULL;
        port->spare_count = 0;
    }
    const bool engine_waits = port->engine_waits;
    pthread_mutex_unlock(&port->lock);
    port->gathered = port->open = NULL;
    if (engine_waits)
        pthread_cond_signal(&port->arrived);
}

struct packet *port_take(struct port *port)
{
    pthread_mutex_lock(&port->lock);
    struct packet *packets = port->up;
    port->up = port->up_last = NULL;
    port->net_woken = false;
    pthread_mutex_unlock(&port->lock);
    return packets;
}

uint64_t port_durable(struct port *port)
{
    return atomic_load_explicit(&port->durable, memory_order_acquire);
}

static bool has_news(const struct port *port)
{
    return atomic_load_explicit(&port->has_news, memory_order_relaxed);
}

/* Others go first: who runs on this processor may be the one that is waited for. */
static void look_out(const struct port *port, int64_t until_us)
{
    while (!has_news(port) && clock_monotonic_us() < until_us)
        sched_yield();
}

/* Under the lock. */
static void sleep_until_news(struct port *port, int64_t until_us)
{
    const struct timespec until = { .tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000 };
    port->engine_waits = true;
    while (!has_news(port))
        if (pthread_cond_timedwait(&port->arrived, &port->lock, &until) != 0)
            break;
    port->engine_waits = false;
}

struct block *port_receive(struct port *port, int64_t timeout_us)
{
    const bool waits = timeout_us > 0 && !has_news(port);
    const int64_t begin_us = waits ? clock_monotonic_us() : 0;
    if (waits && port->looks_out)
        look_out(port, begin_us + (timeout_us < LOOK_OUT_US ? timeout_us : LOOK_OUT_US));
    pthread_mutex_lock(&port->lock);
    if (waits && !has_news(port))
        sleep_until_news(port, begin_us + timeout_us);
    struct block *blocks = port->down;
    port->down = port->down_last = NULL;
    atomic_store_explicit(&port->has_news, false, memory_order_relaxed);
    pthread_mutex_unlock(&port->lock);
    if (waits)
        port->looks_out = port->may_look_out && blocks != NULL && clock_monotonic_us() - begin_us < LOOK_OUT_US;
    return blocks;
}

/* Blocks of the usual size go back to net, the rest to the system. */
void port_done(struct port *port, struct block *blocks)
{
    struct block *dropped = NULL;
    if (blocks == NULL)
        return;
    pthread_mutex_lock(&port->lock);
    while (blocks != NULL) {
        struct block *block = blocks;
        blocks = block->next;
        const bool kept = block->capacity == BLOCK_SIZE && port->spare_count < SPARE_BLOCKS_MAX;
        struct block **list = kept ? &port->spare : &dropped;
        block->next = *list;
        *list = block;
        port->spare_count += kept;
    }
    pthread_mutex_unlock(&port->lock);
    free_blocks(dropped);
}

void port_send(struct port *port, struct packet *packet)
{
    packet->next = NULL;
    if (port->made_last != NULL) {
        port->made_last->next = packet;
    } else {
        port->made = packet;
        port->needs_min = UINT64_MAX;
        port->needs_max = 0;
    }
    port->made_last = packet;
    if (packet->needs < port->needs_min)
        port->needs_min = packet->needs;
    if (packet->needs > port->needs_max)
        port->needs_max = packet->needs;
}

/* O4. The lock is what keeps a wake-up from being lost: the durable offset is set before it is taken, so either it is
 * seen here, or these packets are seen there. */
void port_send_flush(struct port *port)
{
    if (port->made == NULL)
        return;
    pthread_mutex_lock(&port->lock);
    if (port->up_last != NULL)
        port->up_last->next = port->made;
    else
        port->up = port->made;
    port->up_last = port->made_last;
    if (port->needs_max > port->awaited)
        port->awaited = port->needs_max;
    const bool wake = !port->net_woken && port->needs_min <= port_durable(port);
    port->net_woken |= wake;
    pthread_mutex_unlock(&port->lock);
    port->made = port->made_last = NULL;
    if (wake)
        port->wake_net(port->context);
}

void port_interrupt(struct port *port)
{
    pthread_mutex_lock(&port->lock);
    atomic_store_explicit(&port->has_news, true, memory_order_relaxed);
    pthread_mutex_unlock(&port->lock);
    pthread_cond_signal(&port->arrived);
}

void port_set_durable(struct port *port, uint64_t durable)
{
    const uint64_t before = port_durable(port);
    atomic_store_explicit(&port->durable, durable, memory_order_release);
    pthread_mutex_lock(&port->lock);
    const bool wake = !port->net_woken && port->awaited > before;
    port->net_woken |= wake;
    pthread_mutex_unlock(&port->lock);
    if (wake)
        port->wake_net(port->context);
}
