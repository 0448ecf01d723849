/* run — the closed loop and what it measures. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { FILES_BESIDE = 512 }; /* of this process, beside idle connections */

void latencies_add(struct latencies *latencies, int64_t micros)
{
    uint64_t value = micros < 0 ? 0 : (uint64_t)micros;
    uint32_t power = 0;
    while (value >= 2 * LATENCY_STEPS) {
        value >>= 1;
        power++;
    }
    const uint64_t place = power * LATENCY_STEPS + value;
    latencies->counts[place < LATENCY_COUNT ? place : LATENCY_COUNT - 1]++;
    latencies->count++;
}

int64_t latencies_percentile(const struct latencies *latencies, double percent)
{
    const uint64_t wanted = (uint64_t)((double)latencies->count * percent / 100.0);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < LATENCY_COUNT; i++) {
        seen += latencies->counts[i];
        if (seen <= wanted)
            continue;
        const uint32_t power = i < 2 * LATENCY_STEPS ? 0 : i / LATENCY_STEPS - 1;
        return (int64_t)(i - power * LATENCY_STEPS) << power;
    }
    return 0;
}

struct run {
    const struct target *target;
    struct draws *draws;
    struct conn *conns;
    uint32_t connections;
    int epoll;
    bool measuring;
    int64_t batch_ns; /* when the bytes being looked at were read */
    int64_t max_us;
    uint64_t answered, refused;
    uint64_t in_flight;
    uint64_t left; /* calls that may still be made */
    struct latencies latencies;
};

static void on_answer(void *context, struct conn *conn, uint16_t slot, bool succeeded)
{
    struct run *run = context;
    conn->free_slots[conn->free_count++] = slot;
    run->in_flight--;
    if (!run->measuring)
        return;
    const int64_t micros = (run->batch_ns - conn->sent_at_ns[slot]) / 1000;
    latencies_add(&run->latencies, micros);
    run->max_us = micros > run->max_us ? micros : run->max_us;
    run->answered++;
    run->refused += !succeeded;
}

/* A new call for each free slot, all in one write. */
static void refill(struct run *run, struct conn *conn)
{
    struct transfer transfers[WINDOW_MAX];
    const uint32_t count = conn->free_count < run->left ? conn->free_count : (uint32_t)run->left;
    const uint16_t *slots = conn->free_slots + (conn->free_count - count); /* from the top of the stack */
    const int64_t now = now_ns();
    if (count == 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        const uint16_t slot = slots[i];
        transfers[i] = draws_next(run->draws);
        conn->sent_at_ns[slot] = now;
        conn->order[conn->sent++ % conn->window] = slot;
    }
    run->target->protocol->put_transfers(conn, transfers, slots, count);
    conn->free_count -= count;
    run->in_flight += count;
    run->left -= count;
    conn_flush(conn);
}

static void serve(struct run *run, struct conn *conn, bool refilling)
{
    if (!conn_read(conn))
        return;
    run->batch_ns = now_ns();
    run->target->protocol->take_answers(conn, on_answer, run);
    if (refilling && conn->free_count > 0)
        refill(run, conn);
}

static void poll_once(struct run *run, bool refilling)
{
    struct epoll_event events[64];
    const int count = epoll_wait(run->epoll, events, 64, 1000);
    if (count < 0 && errno != EINTR)
        die("waiting: %s", strerror(errno));
    for (int i = 0; i < count; i++)
        serve(run, events[i].data.ptr, refilling);
}

static void poll_for(struct run *run, double seconds)
{
    const int64_t end = now_ns() + (int64_t)(seconds * 1e9);
    while (now_ns() < end)
        poll_once(run, true);
}

static void measure(struct run *run, const struct run_options *options, struct run_result *result)
{
    const double server_before = process_cpu_seconds(options->server_pid), client_before = own_cpu_seconds();
    const int64_t begin = now_ns();
    run->measuring = true;
    poll_for(run, options->seconds);
    run->measuring = false;
    result->seconds = (double)(now_ns() - begin) / 1e9;
    result->server_cpu_seconds = process_cpu_seconds(options->server_pid) - server_before;
    result->client_cpu_seconds = own_cpu_seconds() - client_before;
    result->answered = run->answered;
    result->refused = run->refused;
    result->p50_us = latencies_percentile(&run->latencies, 50);
    result->p99_us = latencies_percentile(&run->latencies, 99);
    result->p999_us = latencies_percentile(&run->latencies, 99.9);
    result->max_us = run->max_us;
}

/* Lets every call in flight be answered, so that what follows sees all of their effect. */
static void drain(struct run *run)
{
    const int64_t end = now_ns() + 10000000000LL;
    while (run->in_flight > 0) {
        if (now_ns() > end)
            die("%lu calls were not answered within 10 s", (unsigned long)run->in_flight);
        poll_once(run, false);
    }
}

static void open_all(struct run *run, const struct run_options *options)
{
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    run->conns = calloc(options->connections, sizeof *run->conns);
    run->connections = options->connections;
    for (uint32_t i = 0; i < run->connections; i++) {
        struct conn *conn = &run->conns[i];
        conn_open(conn, run->target, options->window);
        fcntl(conn->fd, F_SETFL, fcntl(conn->fd, F_GETFL) | O_NONBLOCK);
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = conn };
        if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, conn->fd, &event) != 0)
            die("epoll: %s", strerror(errno));
    }
}

static struct run *run_new(const struct target *target, const struct run_options *options, uint64_t calls)
{
    struct run *run = calloc(1, sizeof *run);
    run->target = target;
    run->draws = draws_new(options->accounts, options->alpha);
    run->left = calls;
    open_all(run, options);
    for (uint32_t i = 0; i < run->connections; i++)
        refill(run, &run->conns[i]);
    return run;
}

static void run_free(struct run *run)
{
    for (uint32_t i = 0; i < run->connections; i++)
        conn_close(&run->conns[i]);
    close(run->epoll);
    free(run->conns);
    free(run->draws);
    free(run);
}

/* The connection that holds live queries is not read while calls run: nothing comes of what they do not touch. */
static void hold_queries(struct conn *conn, const struct target *target, const struct run_options *options)
{
    conn_open(conn, target, 1);
    websocket_subscribe(conn, options->hold, 0, options->holds);
}

static struct conn *open_idle(const struct target *target, uint32_t count)
{
    struct conn *conns = calloc(count, sizeof *conns);
    allow_many_files(count + FILES_BESIDE);
    for (uint32_t i = 0; i < count; i++)
        conn_open(&conns[i], target, 1);
    return conns;
}

static void close_idle(struct conn *conns, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        conn_close(&conns[i]);
    free(conns);
}

void run_load(const struct target *target, const struct run_options *options, struct run_result *result)
{
    struct conn *holder = calloc(1, sizeof *holder), *idle = open_idle(target, options->idle);
    if (options->holds > 0)
        hold_queries(holder, target, options);
    struct run *run = run_new(target, options, UINT64_MAX);
    poll_for(run, options->warm_seconds);
    measure(run, options, result);
    drain(run);
    run_free(run);
    if (options->holds > 0)
        conn_close(holder);
    free(holder);
    close_idle(idle, options->idle);
}

void run_calls(const struct target *target, const struct run_options *options)
{
    struct run *run = run_new(target, options, options->calls);
    while (run->left > 0)
        poll_once(run, true);
    drain(run);
    run_free(run);
}
