/* fanout — one writer that moves everything so many times a second, and many who hear of it.
 *
 * Listeners keep nothing of what they read: they count the bytes of updates. How many a tick is worth is learned from
 * the first one, before the measuring; from there on a listener's count says which ticks it has heard to their end. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 1 << 18, TICKS_REMEMBERED = 4096 };

struct listener {
    struct conn conn;
    uint64_t heard;    /* bytes since the first tick */
    uint64_t per_tick; /* bytes */
    uint64_t ticks;
};

struct fanout {
    const struct target *target;
    const struct fanout_options *options;
    struct listener *listeners;
    struct conn writer;
    int epoll;
    uint8_t *scratch;
    uint32_t ticks; /* sent since the first one */
    int64_t sent_at_ns[TICKS_REMEMBERED];
    bool measuring;
    uint64_t bytes, heard_ticks;
    int64_t max_us;
    struct latencies latencies;
};

static void watch(struct fanout *fanout, struct conn *conn, void *data)
{
    fcntl(conn->fd, F_SETFL, fcntl(conn->fd, F_GETFL) | O_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = data };
    if (epoll_ctl(fanout->epoll, EPOLL_CTL_ADD, conn->fd, &event) != 0)
        die("epoll: %s", strerror(errno));
}

static void open_all(struct fanout *fanout)
{
    const struct fanout_options *options = fanout->options;
    fanout->listeners = calloc(options->listeners, sizeof *fanout->listeners);
    for (uint32_t i = 0; i < options->listeners; i++) {
        struct listener *listener = &fanout->listeners[i];
        conn_open(&listener->conn, fanout->target, 1);
        fanout->target->protocol->listen(&listener->conn, &options->scene,
                                         options->by_area ? (int32_t)(i % options->scene.areas) : AREA_ALL);
        watch(fanout, &listener->conn, listener);
    }
    conn_open(&fanout->writer, fanout->target, 1);
    watch(fanout, &fanout->writer, NULL);
}

static ssize_t read_some(struct fanout *fanout, struct conn *conn)
{
    const ssize_t size = recv(conn->fd, fanout->scratch, READ_SIZE, 0);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
        die("the server left a connection: %s", size == 0 ? "closed" : strerror(errno));
    return size;
}

static void note_ticks(struct fanout *fanout, struct listener *listener)
{
    const int64_t now = now_ns();
    for (; listener->ticks < listener->heard / listener->per_tick; listener->ticks++) {
        if (!fanout->measuring)
            continue;
        const int64_t micros = (now - fanout->sent_at_ns[listener->ticks % TICKS_REMEMBERED]) / 1000;
        latencies_add(&fanout->latencies, micros);
        fanout->max_us = micros > fanout->max_us ? micros : fanout->max_us;
        fanout->heard_ticks++;
    }
}

static void hear(struct fanout *fanout, struct listener *listener)
{
    const ssize_t size = read_some(fanout, &listener->conn);
    if (size <= 0)
        return;
    const uint64_t counted =
        fanout->target->protocol->count_updates(&listener->conn, fanout->scratch, (size_t)size);
    listener->heard += counted;
    fanout->bytes += fanout->measuring ? counted : 0;
    if (listener->per_tick > 0)
        note_ticks(fanout, listener);
}

/* Reads what comes until then. */
static void hear_until(struct fanout *fanout, int64_t end_ns)
{
    struct epoll_event events[64];
    for (int64_t left; (left = end_ns - now_ns()) > 0;) {
        const int count = epoll_wait(fanout->epoll, events, 64, (int)(left / 1000000) + 1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                read_some(fanout, &fanout->writer);
            else
                hear(fanout, events[i].data.ptr);
        }
    }
}

static void send_tick(struct fanout *fanout)
{
    fanout->sent_at_ns[fanout->ticks % TICKS_REMEMBERED] = now_ns();
    fanout->target->protocol->put_tick(&fanout->writer, &fanout->options->scene, fanout->ticks++);
    conn_flush(&fanout->writer);
}

static uint64_t heard_in_all(const struct fanout *fanout)
{
    uint64_t heard = 0;
    for (uint32_t i = 0; i < fanout->options->listeners; i++)
        heard += fanout->listeners[i].heard;
    return heard;
}

/* One tick, and quiet after it. */
static void learn_tick_size(struct fanout *fanout)
{
    enum { QUIET_NS = 300000000 };
    send_tick(fanout);
    uint64_t before;
    do {
        before = heard_in_all(fanout);
        hear_until(fanout, now_ns() + QUIET_NS);
    } while (before == 0 || heard_in_all(fanout) != before);
    for (uint32_t i = 0; i < fanout->options->listeners; i++) {
        struct listener *listener = &fanout->listeners[i];
        if (listener->heard == 0)
            die("a listener heard nothing of the first tick");
        listener->per_tick = listener->heard;
        listener->ticks = 1;
    }
}

static void tick_for(struct fanout *fanout, double seconds)
{
    const int64_t step = 1000000000LL / fanout->options->ticks_per_second;
    int64_t next = now_ns();
    for (const int64_t end = next + (int64_t)(seconds * 1e9); next < end; next += step) {
        hear_until(fanout, next);
        send_tick(fanout);
    }
    hear_until(fanout, next);
}

static void print_result(const struct fanout *fanout, double seconds, double server, double client)
{
    const struct fanout_options *options = fanout->options;
    const double gigabytes = (double)fanout->bytes / 1e9;
    printf("{\"system\":\"%s\",\"listeners\":%u,\"by_area\":%s,\"by_row\":%s,\"seconds\":%.3f,\"megabytes_per_second\":%.1f,"
           "\"ticks_per_second\":%.2f,\"tick_bytes\":%lu,\"p50_us\":%ld,\"p99_us\":%ld,\"max_us\":%ld,"
           "\"server_cpu_s_per_gb\":%.3f,\"megabytes_per_cpu_second\":%.1f,\"client_cpu_s_per_gb\":%.3f,"
           "\"server_cores\":%.2f,\"client_cores\":%.2f}\n",
           fanout->target->protocol->name, options->listeners, options->by_area ? "true" : "false",
           options->scene.by_row ? "true" : "false", seconds, gigabytes * 1e3 / seconds,
           (double)fanout->heard_ticks / options->listeners / seconds, (unsigned long)fanout->listeners[0].per_tick,
           (long)latencies_percentile(&fanout->latencies, 50), (long)latencies_percentile(&fanout->latencies, 99),
           (long)fanout->max_us, server / gigabytes, server > 0 ? gigabytes * 1e3 / server : 0, client / gigabytes,
           server / seconds, client / seconds);
}

static void measure(struct fanout *fanout)
{
    const struct fanout_options *options = fanout->options;
    const double server_before = process_cpu_seconds(options->server_pid), client_before = own_cpu_seconds();
    const int64_t begin = now_ns();
    fanout->measuring = true;
    tick_for(fanout, options->seconds);
    fanout->measuring = false;
    const double seconds = (double)(now_ns() - begin) / 1e9;
    print_result(fanout, seconds, process_cpu_seconds(options->server_pid) - server_before,
                 own_cpu_seconds() - client_before);
}

static void close_all(struct fanout *fanout)
{
    for (uint32_t i = 0; i < fanout->options->listeners; i++)
        conn_close(&fanout->listeners[i].conn);
    conn_close(&fanout->writer);
    close(fanout->epoll);
}

void run_fanout(const struct target *target, const struct fanout_options *options)
{
    struct fanout *fanout = calloc(1, sizeof *fanout);
    if (target->protocol->listen == NULL)
        die("%s has no fan-out here", target->protocol->name);
    allow_many_files(options->listeners + 64);
    fanout->target = target;
    fanout->options = options;
    fanout->epoll = epoll_create1(EPOLL_CLOEXEC);
    fanout->scratch = malloc(READ_SIZE);
    open_all(fanout);
    learn_tick_size(fanout);
    tick_for(fanout, options->warm_seconds);
    measure(fanout);
    close_all(fanout);
    free(fanout->listeners);
    free(fanout->scratch);
    free(fanout);
}
