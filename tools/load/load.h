/* load — the load generator of tools/bench: one thread, each system in its own protocol, the same work for each.
 *
 * In a run, whatever answers have come in on a connection are counted, and as many new calls go out in one write: a
 * closed loop, so throughput and latency belong together. Listeners of a fan-out count bytes and keep none. Anything
 * unexpected ends the program with a sentence: a measurement that limps is worthless.
 *
 * A measurement prints one line of JSON, with the CPU time of the server and its own: what the generator costs is not
 * guessed, and a run in which it used up its core says so. */
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
    bool failed;                     /* PostgreSQL: the call that is being answered has failed */
    uint8_t head[16];                /* WebSocket listeners: the frame's head, as far as it has come */
    uint32_t head_size;
    uint64_t frame_left;             /* and what of the frame has not come yet */
    bool starts_message, is_control;
    bool is_upgraded;                /* WebSocket: the handshake has been answered */
    char *token;                     /* WebSocket: who the client is; said in a handshake when it is there */
};

/* What moves in a fan-out. */
struct scene {
    uint32_t entities, areas; /* entity i is in area i % areas */
    uint32_t row_size;        /* of a published row, for systems that publish bytes */
    bool by_row;              /* a message a row instead of a message a tick, where that is a choice */
};
enum { AREA_ALL = -1 };

struct target {
    const struct protocol *protocol;
    const char *host;
    uint16_t port;
    const char *database; /* the WebSocket path's */
    bool confirmed;
    bool has_transfers;   /* PostgreSQL: prepare transfer() */
};

/* What a slot's answer said. */
typedef void answer_fn(void *context, struct conn *conn, uint16_t slot, bool succeeded);

enum { CALL_REFUSED = -1 };

struct protocol {
    const char *name;
    /* What a client says first; and takes the server's answer from conn->in, false when it has not come whole. */
    void (*put_hello)(struct conn *conn, const struct target *target);
    bool (*take_welcome)(struct conn *conn);
    /* Appends calls to conn->out; slots[i] is transfers[i]'s. */
    void (*put_transfers)(struct conn *conn, const struct transfer *transfers, const uint16_t *slots, uint32_t count);
    /* Takes every whole answer from conn->in. */
    void (*take_answers)(struct conn *conn, answer_fn *answer, void *context);
    /* On a blocking socket: calls a function of one number and waits for its end. Gives back the number it returns, 0
     * where functions return none, CALL_REFUSED when it refuses. */
    int64_t (*call)(struct conn *conn, const char *function, uint32_t number);
    /* On a blocking socket: the sum of all balances. */
    int64_t (*sum)(struct conn *conn);
    /* Fan-out: hears of all entities, or of an area's; and one tick, in which all of them move. NULL: no fan-out. */
    void (*listen)(struct conn *conn, const struct scene *scene, int32_t area);
    void (*put_tick)(struct conn *conn, const struct scene *scene, uint32_t tick);
    /* How many of the bytes that came in carry updates, what belongs to frames left out. */
    uint64_t (*count_updates)(struct conn *conn, const uint8_t *bytes, size_t size);
    /* On a blocking socket, before transfers; NULL: nothing to do. */
    void (*prepare)(struct conn *conn);
};

extern const struct protocol protocol_v3, protocol_v2, protocol_redis, protocol_tarantool, protocol_postgres;

/* On a blocking socket, until the server has welcomed the client. */
void conn_open(struct conn *conn, const struct target *target, uint32_t window);
/* On a socket that does not block: begins to connect, and leaves in conn->out what is to be said then. */
void conn_begin(struct conn *conn, const struct target *target);
void conn_close(struct conn *conn);
void conn_flush(struct conn *conn); /* writes all of conn->out */
/* Reads what is there (blocking sockets: at least a byte) into conn->in; false when nothing was. */
bool conn_read(struct conn *conn);

/* WebSocket, v3: asks for the rows of `count` queries, the text with %u for a number from `first` on, and waits for
 * them; gives back how many bytes came. */
uint64_t websocket_subscribe(struct conn *conn, const char *text, uint32_t first, uint32_t count);

/* Time and memory of others and of ourselves. Processes count with their children, whose work is theirs. */
int64_t now_ns(void);
double process_cpu_seconds(int pid);     /* 0 for pid 0 */
double own_cpu_seconds(void);
uint64_t process_memory_bytes(int pid);  /* its own, without mapped files */
void allow_many_files(uint32_t count);

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
    const char *hold;  /* live queries that are held meanwhile: their text, with %u for their number */
    uint32_t holds;
    uint32_t idle;     /* connections that are there meanwhile, and on which nothing happens */
};

struct run_result {
    double seconds;
    uint64_t answered, refused;
    int64_t p50_us, p99_us, p999_us, max_us;
    double server_cpu_seconds, client_cpu_seconds;
};

/* Makes exactly options->calls calls and measures nothing. */
void run_calls(const struct target *target, const struct run_options *options);
void run_load(const struct target *target, const struct run_options *options, struct run_result *result);

struct fanout_options {
    struct scene scene;
    uint32_t listeners, ticks_per_second;
    bool by_area; /* each listener hears of one area, else of all */
    double warm_seconds, seconds;
    int server_pid;
};
/* Measures one writer and many listeners, and prints it. */
void run_fanout(const struct target *target, const struct fanout_options *options);
/* Opens many connections, measures what they hold of the server's memory, and prints it. */
void run_idle(const struct target *target, uint32_t connections, int server_pid);
/* Opens them all, as many at a time as the window says, twice: as clients without a token, and with the tokens they got,
 * as after a restart of the server. Prints what each of both took. */
void run_opening(const struct target *target, const struct run_options *options);
/* Moves prepared versions of a module into place, one after the other, while a client calls, and prints for each how
 * long it took until the version was in force, and the longest that the client waited. */
void run_reload(const struct target *target, const char *file, uint32_t versions, uint32_t connections);

/* The accounts that transfers go between, drawn ahead so that drawing costs nothing in the run. */
struct draws;
struct draws *draws_new(uint32_t accounts, double alpha);
struct transfer draws_next(struct draws *draws);
