/* tarantool — iproto: CALL of the functions in transfer.tarantool.lua. */
#include "load.h"

#include <string.h>

enum {
    GREETING_SIZE = 128,
    IPROTO_CALL = 0x0a,
    IPROTO_REQUEST_TYPE = 0x00,
    IPROTO_SYNC = 0x01,
    IPROTO_TUPLE = 0x21,
    IPROTO_FUNCTION_NAME = 0x22,
};

/* The server speaks first. */
static void put_hello(struct conn *conn, const struct target *target)
{
    (void)conn;
    (void)target;
}

static bool take_welcome(struct conn *conn)
{
    if (conn->in.size - conn->in.start < GREETING_SIZE)
        return false;
    chunk_take(&conn->in, GREETING_SIZE);
    return true;
}

static void put_u32(struct chunk *out, uint32_t value)
{
    const uint8_t bytes[] = { 0xce, (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                              (uint8_t)value };
    chunk_put(out, bytes, sizeof bytes);
}

/* A request: size, {type, sync}, {function name, arguments}, all numbers as MessagePack u32. */
static void put_call(struct chunk *out, uint32_t sync, const char *function, const uint32_t *args, uint8_t arg_count)
{
    const uint8_t name_size = (uint8_t)strlen(function);
    const uint8_t head[] = { 0x82, IPROTO_REQUEST_TYPE, IPROTO_CALL, IPROTO_SYNC };
    const uint8_t body[] = { 0x82, IPROTO_FUNCTION_NAME, (uint8_t)(0xa0 | name_size) };
    const uint8_t tuple[] = { IPROTO_TUPLE, (uint8_t)(0x90 | arg_count) };
    put_u32(out, (uint32_t)(sizeof head + 5 + sizeof body + name_size + sizeof tuple + 5u * arg_count));
    chunk_put(out, head, sizeof head);
    put_u32(out, sync);
    chunk_put(out, body, sizeof body);
    chunk_put(out, function, name_size);
    chunk_put(out, tuple, sizeof tuple);
    for (uint8_t i = 0; i < arg_count; i++)
        put_u32(out, args[i]);
}

static void put_transfers(struct conn *conn, const struct transfer *transfers, const uint16_t *slots, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t args[] = { transfers[i].from, transfers[i].to, (uint32_t)transfers[i].amount };
        put_call(&conn->out, slots[i], "transfer", args, 3);
    }
}

/* Reads a MessagePack unsigned integer. */
static uint64_t get_uint(const uint8_t **at)
{
    const uint8_t first = *(*at)++;
    if (first < 0x80)
        return first;
    if (first < 0xcc || first > 0xcf)
        die("Tarantool answered with 0x%02x where a number stands", first);
    uint64_t value = 0;
    for (uint32_t left = 1u << (first - 0xcc); left > 0; left--)
        value = value << 8 | *(*at)++;
    return value;
}

struct response {
    uint64_t status, sync;
    const uint8_t *body;
};

/* Takes one response: size, {status, sync, schema version}, body; false when it has not come whole. */
static bool take_response(struct conn *conn, struct response *response)
{
    const uint8_t *at = conn->in.data + conn->in.start;
    const size_t left = conn->in.size - conn->in.start;
    if (left < 5)
        return false;
    const uint64_t size = get_uint(&at);
    const size_t head_size = (size_t)(at - (conn->in.data + conn->in.start));
    if (left < head_size + size)
        return false;
    for (uint8_t count = *at++ & 0x0f; count > 0; count--) {
        const uint64_t key = get_uint(&at), value = get_uint(&at);
        if (key == IPROTO_REQUEST_TYPE)
            response->status = value;
        else if (key == IPROTO_SYNC)
            response->sync = value;
    }
    response->body = at;
    chunk_take(&conn->in, head_size + size);
    return true;
}

static void take_answers(struct conn *conn, answer_fn *answer, void *context)
{
    struct response response;
    while (take_response(conn, &response))
        answer(context, conn, (uint16_t)response.sync, response.status == 0);
}

static const uint8_t *request(struct conn *conn)
{
    struct response response;
    conn_flush(conn);
    while (!take_response(conn, &response))
        conn_read(conn);
    if (response.status != 0)
        die("Tarantool refused with 0x%lx", (unsigned long)response.status);
    return response.body;
}

/* The body is {data: [number]}; {data: []} is a function that returns nothing. */
static int64_t call(struct conn *conn, const char *function, uint32_t number)
{
    put_call(&conn->out, 0, function, &number, 1);
    const uint8_t *at = request(conn) + 2;
    const bool is_long = *at == 0xdd;
    const uint32_t count = is_long ? at[4] : *at & 0x0f;
    at += is_long ? 5 : 1;
    return count > 0 ? (int64_t)get_uint(&at) : 0;
}

static int64_t sum(struct conn *conn)
{
    return call(conn, "sum", 0);
}

const struct protocol protocol_tarantool = {
    "tarantool", put_hello, take_welcome, put_transfers, take_answers, call, sum, NULL, NULL, NULL, NULL
};
