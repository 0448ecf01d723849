/* opening — many clients that come at once: from connect() to the server's welcome.
 *
 * All of it is done on sockets that do not block: clients that wait for each other would measure how long a connection
 * takes, and not how many the server can open. A connection that has been welcomed stays until all have been. */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 4096 };

struct opening {
    const struct target *target;
    struct conn *conns;
    uint32_t count, window;
    uint32_t begun, welcomed;
    int epoll;
};

static void watch(const struct opening *opening, struct conn *conn, int operation, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = conn };
    if (epoll_ctl(opening->epoll, operation, conn->fd, &event) != 0)
        die("epoll: %s", strerror(errno));
}

static void begin_some(struct opening *opening)
{
    while (opening->begun < opening->count && opening->begun - opening->welcomed < opening->window) {
        struct conn *conn = &opening->conns[opening->begun++];
        conn_begin(conn, opening->target);
        watch(opening, conn, EPOLL_CTL_ADD, EPOLLOUT);
    }
}

static void check_connected(const struct conn *conn)
{
    int error = 0;
    getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){ sizeof error });
    if (error != 0)
        die("a connection could not be opened: %s", strerror(error));
}

static void read_welcome(struct opening *opening, struct conn *conn)
{
    chunk_reserve(&conn->in, READ_SIZE);
    const ssize_t size = recv(conn->fd, conn->in.data + conn->in.size, READ_SIZE, 0);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
        die("the server left a connection: %s", size == 0 ? "closed" : strerror(errno));
    conn->in.size += size > 0 ? (size_t)size : 0;
    if (!opening->target->protocol->take_welcome(conn))
        return;
    conn_flush(conn); /* pongs */
    watch(opening, conn, EPOLL_CTL_DEL, 0);
    opening->welcomed++;
}

static void serve(struct opening *opening, const struct epoll_event *event)
{
    struct conn *conn = event->data.ptr;
    if (event->events & EPOLLIN) {
        read_welcome(opening, conn);
        return;
    }
    check_connected(conn);
    conn_flush(conn);
    watch(opening, conn, EPOLL_CTL_MOD, EPOLLIN);
}

static void open_all(struct opening *opening)
{
    struct epoll_event events[64];
    opening->begun = opening->welcomed = 0;
    while (opening->welcomed < opening->count) {
        begin_some(opening);
        const int ready = epoll_wait(opening->epoll, events, 64, -1);
        for (int i = 0; i < ready; i++)
            serve(opening, &events[i]);
    }
}

static void measure(struct opening *opening, const char *clients, int server_pid)
{
    const double server_before = process_cpu_seconds(server_pid), own_before = own_cpu_seconds();
    const int64_t begin = now_ns();
    open_all(opening);
    const double seconds = (double)(now_ns() - begin) / 1e9, each = 1e6 / opening->count;
    const double own = own_cpu_seconds() - own_before;
    printf("{\"system\":\"%s\",\"clients\":\"%s\",\"connections\":%u,\"window\":%u,\"seconds\":%.3f,\"per_second\":%.0f,"
           "\"server_cpu_us\":%.1f,\"client_cpu_us\":%.1f,\"client_cores\":%.2f}\n",
           opening->target->protocol->name, clients, opening->count, opening->window, seconds, opening->count / seconds,
           (process_cpu_seconds(server_pid) - server_before) * each, own * each, own / seconds);
    fflush(stdout);
}

/* Tokens stay. */
static void close_all(struct opening *opening)
{
    for (uint32_t i = 0; i < opening->count; i++) {
        struct conn *conn = &opening->conns[i];
        char *token = conn->token;
        conn->token = NULL;
        conn_close(conn);
        memset(conn, 0, sizeof *conn);
        conn->token = token;
    }
}

void run_opening(const struct target *target, const struct run_options *options)
{
    enum { GOODBYE_US = 500000 }; /* for the server to notice */
    struct opening opening = { .target = target, .count = options->connections, .window = options->window };
    allow_many_files(opening.count + 64);
    opening.conns = calloc(opening.count, sizeof *opening.conns);
    opening.epoll = epoll_create1(EPOLL_CLOEXEC);
    measure(&opening, "new", options->server_pid);
    close_all(&opening);
    usleep(GOODBYE_US);
    measure(&opening, "known", options->server_pid);
    close_all(&opening);
    for (uint32_t i = 0; i < opening.count; i++)
        free(opening.conns[i].token);
    free(opening.conns);
    close(opening.epoll);
}
