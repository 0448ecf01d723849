/* load — a load generator for the transfer workload: many connections, many calls in flight on each, one thread.
 *
 * It speaks to four systems in their own protocols and does the same for each: whatever answers have come in on a
 * connection are counted, and as many new calls go out in one write. A run is a closed loop, so throughput and latency
 * belong together. Anything unexpected ends the program with a sentence: a measurement that limps is worthless. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WINDOW_MAX = 1024 };

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Bytes that grow; `start` is where the unread ones begin. */
struct chunk {
    uint8_t *data;
    size_t start, size, capacity;
};

void chunk_reserve(struct chunk *chunk, size_t room);
void chunk_put(struct chunk *chunk, const void *from, size_t size);
void chunk_format(struct chunk *chunk, const char *format, ...) __attribute__((format(printf, 2, 3)));
void chunk_take(struct chunk *chunk, size_t size); /* the first unread bytes are done with */

struct transfer {
    uint32_t from, to;
    int64_t amount;
};

/* One connection. A call in flight has a slot, which its answer names again. */
struct conn {
    int fd;
    struct chunk in, out;
    struct chunk message;            /* WebSocket: a message that came in several frames */
    uint32_t window;
    uint16_t free_slots[WINDOW_MAX]; /* a stack */
    uint32_t free_count;
    uint16_t order[WINDOW_MAX];      /* slots in the order sent, for protocols whose answers do not name them */
    uint32_t sent, answered;
    int64_t sent_at_ns[WINDOW_MAX];
};

struct target {
    const struct protocol *protocol;
    const char *host;
    uint16_t port;
    const char *database; /* the WebSocket path's */
    bool confirmed;
};

/* What a slot's answer said. */
typedef void answer_fn(void *context, struct conn *conn, uint16_t slot, bool succeeded);

struct protocol {
    const char *name;
    /* Handshake on a fresh, blocking socket. */
    void (*open)(struct conn *conn, const struct target *target);
    /* Appends calls to conn->out; slots[i] is transfers[i]'s. */
    void (*put_transfers)(struct conn *conn, const struct transfer *transfers, const uint16_t *slots, uint32_t count);
    /* Takes every whole answer from conn->in. */
    void (*take_answers)(struct conn *conn, answer_fn *answer, void *context);
    /* On a blocking socket: fills the accounts 0 to count - 1, and adds all balances up. */
    void (*seed)(struct conn *conn, uint32_t count);
    int64_t (*sum)(struct conn *conn);
};

extern const struct protocol protocol_v3, protocol_v2, protocol_redis, protocol_tarantool;

void conn_open(struct conn *conn, const struct target *target, uint32_t window);
void conn_close(struct conn *conn);
void conn_flush(struct conn *conn); /* writes all of conn->out */
/* Reads what is there (blocking sockets: at least a byte) into conn->in; false when nothing was. */
bool conn_read(struct conn *conn);

/* Latencies in microseconds, 64 steps per power of two. */
enum { LATENCY_STEPS = 64, LATENCY_COUNT = LATENCY_STEPS * 32 };
struct latencies {
    uint64_t count;
    uint64_t counts[LATENCY_COUNT];
};
void latencies_add(struct latencies *latencies, int64_t micros);
int64_t latencies_percentile(const struct latencies *latencies, double percent);

struct run_options {
    uint32_t connections, window, accounts;
    double alpha;      /* 0: uniform; else Zipf's exponent */
    double warm_seconds, seconds;
    int server_pid;    /* whose CPU time to read; 0: nobody's */
    uint64_t calls;    /* for run_calls() */
};

struct run_result {
    double seconds;
    uint64_t answered, refused;
    int64_t p50_us, p99_us, max_us;
    double server_cpu_seconds, client_cpu_seconds;
};

/* Makes exactly options->calls calls and measures nothing. */
void run_calls(const struct target *target, const struct run_options *options);
void run_load(const struct target *target, const struct run_options *options, struct run_result *result);

/* The accounts that transfers go between, drawn ahead so that drawing costs nothing in the run. */
struct draws;
struct draws *draws_new(uint32_t accounts, double alpha);
struct transfer draws_next(struct draws *draws);
