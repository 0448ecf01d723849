/* websocket — our own server: v3 and v2 messages in WebSocket frames.
 *
 * Frames go out with a mask of zeros, which is a mask, so that the generator does not pay for masking. v3 puts all new
 * calls of a connection into one frame; v2 makes a frame of each and writes them together. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

enum {
    OPCODE_CONTINUATION = 0x0,
    OPCODE_BINARY = 0x2,
    OPCODE_CLOSE = 0x8,
    OPCODE_PING = 0x9,
    OPCODE_PONG = 0xa,
    FIN = 0x80,
    MASKED = 0x80,
    OPCODE_MASK = 0x0f,
    TAG_INITIAL_CONNECTION = 0,
    TAG_ONE_OFF_RESULT = 5,
    TAG_REDUCER_RESULT = 6,
    TAG_ONE_OFF_QUERY = 2,
    TAG_CALL_REDUCER = 3,
    OUTCOME_OK = 0,
    OUTCOME_ERR = 2,
};

/* A strict walk over bytes that a server sent. */
struct cursor {
    const uint8_t *at, *end;
};

static const uint8_t *take(struct cursor *cursor, size_t size)
{
    if ((size_t)(cursor->end - cursor->at) < size)
        die("a message of the server is cut short");
    cursor->at += size;
    return cursor->at - size;
}

static uint32_t take_u32(struct cursor *cursor)
{
    uint32_t value;
    memcpy(&value, take(cursor, sizeof value), sizeof value);
    return value;
}

static void put_frame_head(struct chunk *out, uint8_t opcode, size_t size)
{
    uint8_t head[14] = { (uint8_t)(FIN | opcode) };
    size_t used = 2;
    if (size < 126) {
        head[1] = (uint8_t)(MASKED | size);
    } else if (size <= UINT16_MAX) {
        head[1] = MASKED | 126;
        head[2] = (uint8_t)(size >> 8);
        head[3] = (uint8_t)size;
        used = 4;
    } else {
        die("a frame is too large");
    }
    chunk_put(out, head, used + 4); /* the mask: zeros */
}

/* A frame of the server, when all of it has come. */
struct frame {
    uint8_t opcode;
    bool ends_message;
    const uint8_t *payload;
    size_t size;
};

static bool take_frame(struct conn *conn, struct frame *frame)
{
    const uint8_t *at = conn->in.data + conn->in.start;
    const size_t left = conn->in.size - conn->in.start;
    if (left < 2)
        return false;
    const uint8_t short_size = at[1] & 0x7f;
    const size_t head_size = short_size < 126 ? 2 : short_size == 126 ? 4 : 10;
    if (left < head_size)
        return false;
    uint64_t size = short_size < 126 ? short_size : 0;
    for (size_t i = 2; i < head_size; i++)
        size = size << 8 | at[i];
    if (left - head_size < size)
        return false;
    *frame = (struct frame){ at[0] & OPCODE_MASK, (at[0] & FIN) != 0, at + head_size, size };
    chunk_take(&conn->in, head_size + size);
    return true;
}

static void serve_control(struct conn *conn, const struct frame *frame)
{
    if (frame->opcode == OPCODE_CLOSE)
        die("the server closed with %d: %.*s", frame->size >= 2 ? frame->payload[0] << 8 | frame->payload[1] : 0,
            frame->size >= 2 ? (int)frame->size - 2 : 0, (const char *)frame->payload + 2);
    if (frame->opcode != OPCODE_PING)
        return;
    put_frame_head(&conn->out, OPCODE_PONG, frame->size);
    chunk_put(&conn->out, frame->payload, frame->size);
}

/* The body of the next whole message: without its compression byte, which must say none. It holds until the next one
 * is taken. */
static bool take_message(struct conn *conn, struct cursor *body)
{
    struct frame frame;
    while (take_frame(conn, &frame)) {
        if (frame.opcode > OPCODE_BINARY) {
            serve_control(conn, &frame);
            continue;
        }
        if (frame.opcode != OPCODE_CONTINUATION)
            conn->message.size = 0;
        if (frame.ends_message && frame.opcode != OPCODE_CONTINUATION) {
            *body = (struct cursor){ frame.payload, frame.payload + frame.size };
        } else {
            chunk_put(&conn->message, frame.payload, frame.size);
            if (!frame.ends_message)
                continue;
            *body = (struct cursor){ conn->message.data, conn->message.data + conn->message.size };
        }
        if (*take(body, 1) != 0)
            die("the server compressed a message");
        return true;
    }
    return false;
}

static void wait_message(struct conn *conn, struct cursor *body)
{
    conn_flush(conn);
    while (!take_message(conn, body)) {
        conn_flush(conn);
        conn_read(conn);
    }
}

static void open_websocket(struct conn *conn, const struct target *target, const char *subprotocol)
{
    chunk_format(&conn->out,
                 "GET /v1/database/%s/subscribe?compression=None&confirmed=%s HTTP/1.1\r\n"
                 "Host: %s:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Protocol: %s\r\n\r\n",
                 target->database, target->confirmed ? "true" : "false", target->host, target->port, subprotocol);
    conn_flush(conn);
    const char *end;
    do
        conn_read(conn);
    while ((end = memmem(conn->in.data, conn->in.size, "\r\n\r\n", 4)) == NULL);
    if (memcmp(conn->in.data, "HTTP/1.1 101", 12) != 0)
        die("the server did not upgrade: %.60s", (const char *)conn->in.data);
    chunk_take(&conn->in, (size_t)((const uint8_t *)end + 4 - conn->in.data));
    struct cursor body;
    wait_message(conn, &body);
    if (*take(&body, 1) != TAG_INITIAL_CONNECTION)
        die("the server did not greet first");
}

static void open_v3(struct conn *conn, const struct target *target)
{
    open_websocket(conn, target, "v3.bsatn.spacetimedb");
}

static void open_v2(struct conn *conn, const struct target *target)
{
    open_websocket(conn, target, "v2.bsatn.spacetimedb");
}

/* CallReducer transfer(from, to, amount), as its bytes. */
struct __attribute__((packed)) transfer_call {
    uint8_t tag;
    uint32_t request_id;
    uint8_t flags;
    uint32_t name_size;
    char name[8];
    uint32_t args_size;
    uint32_t from, to;
    int64_t amount;
};
_Static_assert(sizeof(struct transfer_call) == 38, "as on the wire");

static void put_transfer(struct chunk *out, const struct transfer *transfer, uint16_t slot)
{
    struct transfer_call call = {
        TAG_CALL_REDUCER, slot, 0, 8, "", 16, transfer->from, transfer->to, transfer->amount
    };
    memcpy(call.name, "transfer", sizeof call.name);
    chunk_put(out, &call, sizeof call);
}

static void put_transfers_v3(struct conn *conn, const struct transfer *transfers, const uint16_t *slots, uint32_t count)
{
    put_frame_head(&conn->out, OPCODE_BINARY, count * sizeof(struct transfer_call));
    for (uint32_t i = 0; i < count; i++)
        put_transfer(&conn->out, &transfers[i], slots[i]);
}

static void put_transfers_v2(struct conn *conn, const struct transfer *transfers, const uint16_t *slots, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        put_transfers_v3(conn, &transfers[i], &slots[i], 1);
}

/* Takes one ReducerResult; *succeeded is false when the reducer refused. */
static uint32_t take_result(struct cursor *body, bool *succeeded)
{
    if (*take(body, 1) != TAG_REDUCER_RESULT)
        die("the server sent something else than a result");
    const uint32_t request_id = take_u32(body);
    take(body, sizeof(int64_t)); /* timestamp */
    const uint8_t outcome = *take(body, 1);
    const uint32_t size = take_u32(body);
    const uint8_t *text = take(body, size);
    if (outcome != OUTCOME_OK && outcome != OUTCOME_ERR)
        die("the call failed: %.*s", (int)size, (const char *)text);
    *succeeded = outcome == OUTCOME_OK;
    if (*succeeded && take_u32(body) != 0)
        die("the server sent rows that nobody subscribed to");
    return request_id;
}

static void take_answers(struct conn *conn, answer_fn *answer, void *context)
{
    struct cursor body;
    while (take_message(conn, &body)) {
        while (body.at < body.end) {
            bool succeeded;
            const uint32_t slot = take_result(&body, &succeeded);
            answer(context, conn, (uint16_t)slot, succeeded);
        }
    }
    conn_flush(conn); /* pongs */
}

static void seed(struct conn *conn, uint32_t count)
{
    const struct __attribute__((packed)) {
        uint8_t tag;
        uint32_t request_id;
        uint8_t flags;
        uint32_t name_size;
        char name[4];
        uint32_t args_size, count;
    } call = { TAG_CALL_REDUCER, 0, 0, 4, { 's', 'e', 'e', 'd' }, 4, count };
    put_frame_head(&conn->out, OPCODE_BINARY, sizeof call);
    chunk_put(&conn->out, &call, sizeof call);
    struct cursor body;
    wait_message(conn, &body);
    bool succeeded;
    take_result(&body, &succeeded);
    if (!succeeded)
        die("the server refused to seed the accounts");
}

/* Adds up the balances of a BsatnRowList of (id u32, balance i64) rows. */
static int64_t sum_rows(struct cursor *body)
{
    enum { ROW_SIZE = 12, HINT_FIXED_SIZE = 0 };
    if (*take(body, 1) != HINT_FIXED_SIZE || *take(body, 1) != ROW_SIZE || *take(body, 1) != 0)
        die("the rows of account are not %d bytes each", ROW_SIZE);
    int64_t sum = 0;
    for (uint32_t left = take_u32(body); left > 0; left -= ROW_SIZE) {
        int64_t balance;
        memcpy(&balance, take(body, ROW_SIZE) + 4, sizeof balance);
        sum += balance;
    }
    return sum;
}

static int64_t sum(struct conn *conn)
{
    static const char text[] = "SELECT * FROM account";
    const uint8_t head[] = { TAG_ONE_OFF_QUERY, 0, 0, 0, 0, sizeof text - 1, 0, 0, 0 };
    put_frame_head(&conn->out, OPCODE_BINARY, sizeof head + sizeof text - 1);
    chunk_put(&conn->out, head, sizeof head);
    chunk_put(&conn->out, text, sizeof text - 1);
    struct cursor body;
    wait_message(conn, &body);
    if (*take(&body, 1) != TAG_ONE_OFF_RESULT)
        die("the server did not answer the query");
    take_u32(&body);
    if (*take(&body, 1) != 0)
        die("the query was refused: %.*s", (int)(body.end - body.at - 4), (const char *)body.at + 4);
    if (take_u32(&body) != 1)
        die("the query gave no rows");
    take(&body, take_u32(&body)); /* the table's name */
    return sum_rows(&body);
}

const struct protocol protocol_v3 = { "v3", open_v3, put_transfers_v3, take_answers, seed, sum };
const struct protocol protocol_v2 = { "v2", open_v2, put_transfers_v2, take_answers, seed, sum };
