/* websocket — our own server: v3 and v2 messages in WebSocket frames.
 *
 * Frames go out with a mask of zeros, which is a mask, so that the generator does not pay for masking. v3 puts all new
 * calls of a connection into one frame; v2 makes a frame of each and writes them together. */
#include "load.h"

#include <stdio.h>
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
    TAG_SUBSCRIBE_APPLIED = 1,
    TAG_SUBSCRIPTION_ERROR = 3,
    TAG_ONE_OFF_RESULT = 5,
    TAG_REDUCER_RESULT = 6,
    TAG_SUBSCRIBE = 0,
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
        head[1] = MASKED | 127;
        for (size_t i = 0; i < 8; i++)
            head[2 + i] = (uint8_t)((uint64_t)size >> (56 - 8 * i));
        used = 10;
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

static void put_hello(struct conn *conn, const struct target *target, const char *subprotocol)
{
    chunk_format(&conn->out,
                 "GET /v1/database/%s/subscribe?compression=None&confirmed=%s HTTP/1.1\r\n"
                 "Host: %s:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n",
                 target->database, target->confirmed ? "true" : "false", target->host, target->port);
    if (conn->token != NULL)
        chunk_format(&conn->out, "Authorization: Bearer %s\r\n", conn->token);
    chunk_format(&conn->out, "Sec-WebSocket-Protocol: %s\r\n\r\n", subprotocol);
}

static void put_hello_v3(struct conn *conn, const struct target *target)
{
    put_hello(conn, target, "v3.bsatn.spacetimedb");
}

static void put_hello_v2(struct conn *conn, const struct target *target)
{
    put_hello(conn, target, "v2.bsatn.spacetimedb");
}

static bool take_upgrade(struct conn *conn)
{
    const char *begin = (const char *)conn->in.data + conn->in.start;
    const char *end = memmem(begin, conn->in.size - conn->in.start, "\r\n\r\n", 4);
    if (end == NULL)
        return false;
    if (memcmp(begin, "HTTP/1.1 101", 12) != 0)
        die("the server did not upgrade: %.60s", begin);
    chunk_take(&conn->in, (size_t)(end + 4 - begin));
    return true;
}

/* InitialConnection: identity, connection id, token. The token is kept. */
static bool take_welcome(struct conn *conn)
{
    enum { IDENTITY_SIZE = 32, CONNECTION_ID_SIZE = 16 };
    struct cursor body;
    if (!conn->is_upgraded && !take_upgrade(conn))
        return false;
    conn->is_upgraded = true;
    if (!take_message(conn, &body))
        return false;
    if (*take(&body, 1) != TAG_INITIAL_CONNECTION)
        die("the server did not greet first");
    take(&body, IDENTITY_SIZE + CONNECTION_ID_SIZE);
    const uint32_t size = take_u32(&body);
    free(conn->token);
    conn->token = strndup((const char *)take(&body, size), size);
    return true;
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

/* A call whose arguments are one number. */
static void put_call(struct chunk *out, const char *function, uint32_t number)
{
    const uint32_t name_size = (uint32_t)strlen(function), args_size = sizeof number;
    const uint8_t head[] = { TAG_CALL_REDUCER, 0, 0, 0, 0, 0 };
    put_frame_head(out, OPCODE_BINARY, sizeof head + 4 + name_size + 4 + args_size);
    chunk_put(out, head, sizeof head);
    chunk_put(out, &name_size, sizeof name_size);
    chunk_put(out, function, name_size);
    chunk_put(out, &args_size, sizeof args_size);
    chunk_put(out, &number, sizeof number);
}

static int64_t call(struct conn *conn, const char *function, uint32_t number)
{
    put_call(&conn->out, function, number);
    struct cursor body;
    wait_message(conn, &body);
    bool succeeded;
    take_result(&body, &succeeded);
    return succeeded ? 0 : CALL_REFUSED;
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

uint64_t websocket_subscribe(struct conn *conn, const char *text, uint32_t first, uint32_t count)
{
    struct chunk texts = { 0 };
    for (uint32_t i = 0; i < count; i++) {
        char query[256];
        const int printed = snprintf(query, sizeof query, text, first + i);
        const uint32_t size = (uint32_t)printed;
        if (printed < 0 || size >= sizeof query)
            die("a query is too long");
        chunk_put(&texts, &size, sizeof size);
        chunk_put(&texts, query, size);
    }
    const struct __attribute__((packed)) {
        uint8_t tag;
        uint32_t request_id, query_set_id, count;
    } head = { TAG_SUBSCRIBE, 1, 1, count };
    put_frame_head(&conn->out, OPCODE_BINARY, sizeof head + texts.size);
    chunk_put(&conn->out, &head, sizeof head);
    chunk_put(&conn->out, texts.data, texts.size);
    free(texts.data);
    struct cursor body;
    wait_message(conn, &body);
    const uint64_t size = (uint64_t)(body.end - body.at);
    const uint8_t tag = *take(&body, 1);
    if (tag == TAG_SUBSCRIPTION_ERROR)
        die("the server refused the queries: %.*s", (int)size - 1, (const char *)body.at);
    if (tag != TAG_SUBSCRIBE_APPLIED)
        die("the server answered a subscription with a message of tag %u", tag);
    return size;
}

static void listen_to(struct conn *conn, const struct scene *scene, int32_t area)
{
    (void)scene;
    websocket_subscribe(conn, area == AREA_ALL ? "SELECT * FROM entity" : "SELECT * FROM entity WHERE area = %u",
                        (uint32_t)area, 1);
    conn->starts_message = true;
}

static void put_tick(struct conn *conn, const struct scene *scene, uint32_t tick)
{
    (void)scene;
    put_call(&conn->out, "tick", tick);
}

static size_t head_size_of(const uint8_t *head, uint32_t size)
{
    const uint8_t short_size = size >= 2 ? head[1] & 0x7f : 0;
    return short_size == 127 ? 10 : short_size == 126 ? 4 : 2;
}

static void open_frame(struct conn *conn)
{
    const size_t head_size = head_size_of(conn->head, conn->head_size);
    conn->frame_left = head_size == 2 ? conn->head[1] & 0x7f : 0;
    for (size_t i = 2; i < head_size; i++)
        conn->frame_left = conn->frame_left << 8 | conn->head[i];
    conn->starts_message = (conn->head[0] & OPCODE_MASK) == OPCODE_BINARY;
    conn->is_control = (conn->head[0] & OPCODE_MASK) > OPCODE_BINARY;
    conn->head_size = 0;
}

/* Payloads without their compression byte: they add up to the same, however many messages a frame holds. */
static uint64_t count_updates(struct conn *conn, const uint8_t *bytes, size_t size)
{
    uint64_t counted = 0;
    for (const uint8_t *end = bytes + size; bytes < end;) {
        if (conn->frame_left == 0) {
            conn->head[conn->head_size++] = *bytes++;
            if (conn->head_size == head_size_of(conn->head, conn->head_size))
                open_frame(conn);
            continue;
        }
        const uint64_t left = (uint64_t)(end - bytes), here = left < conn->frame_left ? left : conn->frame_left;
        counted += conn->is_control ? 0 : here - conn->starts_message;
        conn->starts_message = false;
        conn->frame_left -= here;
        bytes += here;
    }
    return counted;
}

const struct protocol protocol_v3 = {
    "v3", put_hello_v3, take_welcome, put_transfers_v3, take_answers, call, sum, listen_to, put_tick, count_updates, NULL
};
const struct protocol protocol_v2 = {
    "v2", put_hello_v2, take_welcome, put_transfers_v2, take_answers, call, sum, listen_to, put_tick, count_updates, NULL
};
