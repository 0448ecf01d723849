/* redis — RESP: FCALL of the functions in transfer.redis.lua. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

static void open_redis(struct conn *conn, const struct target *target)
{
    (void)conn;
    (void)target;
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

static void seed(struct conn *conn, uint32_t count)
{
    chunk_format(&conn->out, "FCALL seed 0 %u\r\n", count);
    request(conn);
}

static int64_t sum(struct conn *conn)
{
    chunk_format(&conn->out, "FCALL sum 0\r\n");
    return request(conn);
}

const struct protocol protocol_redis = { "redis", open_redis, put_transfers, take_answers, seed, sum };
