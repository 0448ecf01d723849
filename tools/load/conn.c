/* conn — sockets and the bytes that come and go on them. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("stdb-load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    exit(1);
}

void chunk_reserve(struct chunk *chunk, size_t room)
{
    if (chunk->start > 0 && chunk->start == chunk->size)
        chunk->start = chunk->size = 0;
    if (chunk->capacity - chunk->size >= room)
        return;
    if (chunk->start > 0)
        memmove(chunk->data, chunk->data + chunk->start, chunk->size - chunk->start);
    chunk->size -= chunk->start;
    chunk->start = 0;
    if (chunk->capacity - chunk->size >= room)
        return;
    chunk->capacity = (chunk->size + room) * 2;
    chunk->data = realloc(chunk->data, chunk->capacity);
    if (chunk->data == NULL)
        die("no memory");
}

void chunk_put(struct chunk *chunk, const void *from, size_t size)
{
    chunk_reserve(chunk, size);
    memcpy(chunk->data + chunk->size, from, size);
    chunk->size += size;
}

void chunk_format(struct chunk *chunk, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    const int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size < 0 || (size_t)size >= sizeof text)
        die("a line is too long");
    chunk_put(chunk, text, (size_t)size);
}

void chunk_take(struct chunk *chunk, size_t size)
{
    chunk->start += size;
}

static void connect_to(struct conn *conn, const struct target *target, int socket_flags)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(target->port) };
    if (inet_pton(AF_INET, target->host, &address.sin_addr) != 1)
        die("%s is not an IPv4 address", target->host);
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | socket_flags, 0);
    if (conn->fd < 0)
        die("no socket: %s", strerror(errno));
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    if (connect(conn->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)
        die("connecting to %s:%u: %s", target->host, target->port, strerror(errno));
}

void conn_begin(struct conn *conn, const struct target *target)
{
    connect_to(conn, target, SOCK_NONBLOCK);
    target->protocol->put_hello(conn, target);
}

void conn_open(struct conn *conn, const struct target *target, uint32_t window)
{
    memset(conn, 0, sizeof *conn);
    conn->window = window;
    conn->free_count = window;
    for (uint32_t i = 0; i < window; i++)
        conn->free_slots[i] = (uint16_t)i;
    connect_to(conn, target, 0);
    target->protocol->put_hello(conn, target);
    conn_flush(conn);
    while (!target->protocol->take_welcome(conn))
        conn_read(conn);
    conn_flush(conn);
    if (target->has_transfers && target->protocol->prepare != NULL)
        target->protocol->prepare(conn);
}

void conn_close(struct conn *conn)
{
    close(conn->fd);
    free(conn->in.data);
    free(conn->out.data);
    free(conn->message.data);
    free(conn->token);
}

void conn_flush(struct conn *conn)
{
    struct chunk *out = &conn->out;
    while (out->start < out->size) {
        const ssize_t done = send(conn->fd, out->data + out->start, out->size - out->start, MSG_NOSIGNAL);
        if (done > 0)
            chunk_take(out, (size_t)done);
        else if (errno == EAGAIN)
            poll(&(struct pollfd){ .fd = conn->fd, .events = POLLOUT }, 1, -1);
        else if (errno != EINTR)
            die("writing: %s", strerror(errno));
    }
}

bool conn_read(struct conn *conn)
{
    enum { READ_SIZE = 65536 };
    chunk_reserve(&conn->in, READ_SIZE);
    const ssize_t done = recv(conn->fd, conn->in.data + conn->in.size, READ_SIZE, 0);
    if (done < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (done < 0)
        die("reading: %s", strerror(errno));
    if (done == 0)
        die("the server closed the connection");
    conn->in.size += (size_t)done;
    return true;
}
