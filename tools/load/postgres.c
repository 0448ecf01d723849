/* postgres — PostgreSQL's protocol 3.0: a prepared call of transfer(), bound, executed and synced for each transfer,
 * so that each is a transaction of its own; arguments go in binary. */
#include "load.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static void put_u16(struct chunk *out, uint16_t value)
{
    value = htons(value);
    chunk_put(out, &value, sizeof value);
}

static void put_u32(struct chunk *out, uint32_t value)
{
    value = htonl(value);
    chunk_put(out, &value, sizeof value);
}

static void put_text(struct chunk *out, const char *text)
{
    chunk_put(out, text, strlen(text) + 1);
}

/* A message's size is known at its end; it counts itself, and not the kind before it. */
static size_t open_message(struct chunk *out, char kind)
{
    if (kind != '\0')
        chunk_put(out, &kind, 1);
    const size_t at = out->size - out->start;
    put_u32(out, 0);
    return at;
}

static void close_message(struct chunk *out, size_t at)
{
    const uint32_t size = htonl((uint32_t)(out->size - out->start - at));
    memcpy(out->data + out->start + at, &size, sizeof size);
}

static void put_sync(struct chunk *out)
{
    close_message(out, open_message(out, 'S'));
}

static uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return ntohl(value);
}

struct message {
    char kind;
    const uint8_t *body;
    size_t size;
};

static bool take_message(struct conn *conn, struct message *message)
{
    const uint8_t *at = conn->in.data + conn->in.start;
    const size_t left = conn->in.size - conn->in.start;
    if (left < 5 || left < 1 + (size_t)get_u32(at + 1))
        return false;
    *message = (struct message){ (char)at[0], at + 5, get_u32(at + 1) - 4 };
    chunk_take(&conn->in, 5 + message->size);
    return true;
}

/* What an ErrorResponse says: fields of a letter and a text. */
static const char *error_text(const struct message *message)
{
    const char *at = (const char *)message->body, *end = at + message->size;
    for (; at < end && *at != '\0'; at += strlen(at) + 1) {
        if (*at == 'M')
            return at + 1;
    }
    return "no reason given";
}

/* Takes messages until the server is ready, false when they have not all come; the last row's one column, as text, is
 * left in *number. */
static bool take_ready(struct conn *conn, int64_t *number)
{
    struct message message;
    while (take_message(conn, &message)) {
        if (message.kind == 'E')
            die("PostgreSQL refused: %s", error_text(&message));
        if (message.kind == 'R' && get_u32(message.body) != 0)
            die("PostgreSQL asks for a password");
        if (message.kind == 'D' && (int32_t)get_u32(message.body + 2) > 0)
            *number = strtoll((const char *)message.body + 6, NULL, 10);
        if (message.kind == 'Z')
            return true;
    }
    return false;
}

static int64_t wait_ready(struct conn *conn)
{
    int64_t number = 0;
    conn_flush(conn);
    while (!take_ready(conn, &number))
        conn_read(conn);
    return number;
}

static void put_hello(struct conn *conn, const struct target *target)
{
    enum { PROTOCOL_3_0 = 3 << 16 };
    struct chunk *out = &conn->out;
    const size_t message = open_message(out, '\0');
    put_u32(out, PROTOCOL_3_0);
    put_text(out, "user");
    put_text(out, "postgres");
    put_text(out, "options");
    put_text(out, target->confirmed ? "-c synchronous_commit=on" : "-c synchronous_commit=off");
    put_text(out, "");
    close_message(out, message);
}

static bool take_welcome(struct conn *conn)
{
    int64_t nothing;
    return take_ready(conn, &nothing);
}

static void prepare(struct conn *conn)
{
    enum { INT4 = 23, INT8 = 20 };
    struct chunk *out = &conn->out;
    const size_t message = open_message(out, 'P');
    put_text(out, "transfer");
    put_text(out, "SELECT transfer($1, $2, $3)");
    put_u16(out, 3);
    put_u32(out, INT4);
    put_u32(out, INT4);
    put_u32(out, INT8);
    close_message(out, message);
    put_sync(out);
    wait_ready(conn);
}

static void put_bind(struct chunk *out, const struct transfer *transfer)
{
    const size_t message = open_message(out, 'B');
    put_text(out, "");
    put_text(out, "transfer");
    put_u16(out, 1); /* one format for all arguments: binary */
    put_u16(out, 1);
    put_u16(out, 3);
    put_u32(out, 4);
    put_u32(out, transfer->from);
    put_u32(out, 4);
    put_u32(out, transfer->to);
    put_u32(out, 8);
    put_u32(out, 0);
    put_u32(out, (uint32_t)transfer->amount);
    put_u16(out, 0); /* results as text */
    close_message(out, message);
}

static void put_transfers(struct conn *conn, const struct transfer *transfers, const uint16_t *slots, uint32_t count)
{
    (void)slots;
    for (uint32_t i = 0; i < count; i++) {
        put_bind(&conn->out, &transfers[i]);
        const size_t message = open_message(&conn->out, 'E');
        put_text(&conn->out, "");
        put_u32(&conn->out, 0);
        close_message(&conn->out, message);
        put_sync(&conn->out);
    }
}

/* Answers come in the order of the calls, each ended by ReadyForQuery. */
static void take_answers(struct conn *conn, answer_fn *answer, void *context)
{
    struct message message;
    while (take_message(conn, &message)) {
        if (message.kind == 'E')
            conn->failed = true;
        if (message.kind != 'Z')
            continue;
        answer(context, conn, conn->order[conn->answered++ % conn->window], !conn->failed);
        conn->failed = false;
    }
}

static int64_t call(struct conn *conn, const char *function, uint32_t number)
{
    const size_t message = open_message(&conn->out, 'Q');
    chunk_format(&conn->out, "SELECT %s(%u)", function, number);
    chunk_put(&conn->out, "", 1);
    close_message(&conn->out, message);
    return wait_ready(conn);
}

static int64_t sum(struct conn *conn)
{
    return call(conn, "total", 0);
}

const struct protocol protocol_postgres = {
    "postgres", put_hello, take_welcome, put_transfers, take_answers, call, sum, NULL, NULL, NULL, prepare
};
