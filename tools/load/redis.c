/* redis — RESP: FCALL of the functions in transfer.redis.lua. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A server that has answered has met the connection. */
static void put_hello(struct conn *conn, const struct target *target)
{
    (void)target;
    chunk_format(&conn->out, "PING\r\n");
}

static uint32_t digits(char *out, uint64_t number)
{
    char backwards[20];
    uint32_t count = 0;
    do
        backwards[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    for (uint32_t i = 0; i < count; i++)
        out[i] = backwards[count - 1 - i];
    return count;
}

static void put_bulk(struct chunk *out, const char *prefix, uint64_t number)
{
    char text[40];
    const uint32_t prefix_size = (uint32_t)strlen(prefix);
    memcpy(text, prefix, prefix_size);
    const uint32_t size = prefix_size + digits(text + prefix_size, number);
    char head[24] = "$";
    uint32_t head_size = 1 + digits(head + 1, size);
    head[head_size++] = '\r';
    head[head_size++] = '\n';
    chunk_put(out, head, head_size);
    text[size] = '\r';
    text[size + 1] = '\n';
    chunk_put(out, text, size + 2);
}

static void put_transfers(struct conn *conn, const struct transfer *transfers, const uint16_t *slots, uint32_t count)
{
    static const char head[] = "*6\r\n$5\r\nFCALL\r\n$8\r\ntransfer\r\n$1\r\n2\r\n";
    (void)slots;
    for (uint32_t i = 0; i < count; i++) {
        chunk_put(&conn->out, head, sizeof head - 1);
        put_bulk(&conn->out, "account:", transfers[i].from);
        put_bulk(&conn->out, "account:", transfers[i].to);
        put_bulk(&conn->out, "", (uint64_t)transfers[i].amount);
    }
}

/* Takes one reply of a single line, without its end; NULL when it has not come whole. */
static const char *take_line(struct conn *conn)
{
    if (conn->in.start == conn->in.size)
        return NULL;
    char *line = (char *)conn->in.data + conn->in.start;
    char *end = memchr(line, '\n', conn->in.size - conn->in.start);
    if (end == NULL)
        return NULL;
    chunk_take(&conn->in, (size_t)(end + 1 - line));
    end[-1] = '\0';
    if (*line != '+' && *line != '-' && *line != ':')
        die("Redis answered with something else than a line: %s", line);
    return line;
}

static bool take_welcome(struct conn *conn)
{
    const char *line = take_line(conn);
    if (line != NULL && *line == '-')
        die("Redis refused: %s", line + 1);
    return line != NULL;
}

/* Answers come in the order of the calls. */
static void take_answers(struct conn *conn, answer_fn *answer, void *context)
{
    for (const char *line; (line = take_line(conn)) != NULL;)
        answer(context, conn, conn->order[conn->answered++ % conn->window], *line != '-');
}

static int64_t request(struct conn *conn)
{
    conn_flush(conn);
    const char *line;
    while ((line = take_line(conn)) == NULL)
        conn_read(conn);
    if (*line == '-')
        die("Redis refused: %s", line + 1);
    return strtoll(line + 1, NULL, 10);
}

static int64_t call(struct conn *conn, const char *function, uint32_t number)
{
    chunk_format(&conn->out, "FCALL %s 0 %u\r\n", function, number);
    return request(conn);
}

static int64_t sum(struct conn *conn)
{
    return call(conn, "sum", 0);
}

/* A channel for all entities, and one an area. */
static void listen_to(struct conn *conn, const struct scene *scene, int32_t area)
{
    (void)scene;
    if (area == AREA_ALL)
        chunk_format(&conn->out, "SUBSCRIBE all\r\n");
    else
        chunk_format(&conn->out, "SUBSCRIBE area:%d\r\n", area);
    conn_flush(conn);
    while (memmem(conn->in.data, conn->in.size, ":1\r\n", 4) == NULL)
        conn_read(conn);
    chunk_take(&conn->in, conn->in.size - conn->in.start);
}

static void publish(struct conn *conn, const char *channel, uint32_t size)
{
    chunk_format(&conn->out, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%u\r\n", strlen(channel), channel, size);
    chunk_reserve(&conn->out, size + 2);
    memset(conn->out.data + conn->out.size, 'x', size);
    memcpy(conn->out.data + conn->out.size + size, "\r\n", 2);
    conn->out.size += size + 2;
}

static void publish_rows(struct conn *conn, const char *channel, const struct scene *scene, uint32_t count)
{
    if (!scene->by_row)
        publish(conn, channel, scene->row_size * count);
    for (uint32_t i = 0; scene->by_row && i < count; i++)
        publish(conn, channel, scene->row_size);
}

/* Whoever publishes for areas publishes to them alone: nobody listens to the other channel then. */
static void put_tick(struct conn *conn, const struct scene *scene, uint32_t tick)
{
    (void)tick;
    if (scene->areas == 0)
        publish_rows(conn, "all", scene, scene->entities);
    for (uint32_t area = 0; area < scene->areas; area++) {
        char channel[24];
        snprintf(channel, sizeof channel, "area:%u", area);
        publish_rows(conn, channel, scene, scene->entities / scene->areas);
    }
}

static uint64_t count_updates(struct conn *conn, const uint8_t *bytes, size_t size)
{
    (void)conn;
    (void)bytes;
    return size;
}

const struct protocol protocol_redis = {
    "redis", put_hello, take_welcome, put_transfers, take_answers, call, sum, listen_to, put_tick, count_updates, NULL
};
