#include "net/exchange.h"

#include "net/route.h"

#include <sys/socket.h>

enum {
    BODY_SIZE_MAX = 2 << 20,   /* what SpacetimeDB's clients count on */
    BODY_DRAIN_MAX = 16 << 20, /* a longer one is refused without being read */
    WRITE_SIZE_MAX = 1 << 20,
    OUTFLOW_PIECE = 256 << 10, /* read on the loop's thread: a piece must not hold it up */
    SEND_TIMEOUT_S = 60,         /* for a client that does not read its answer */
    FOLLOWED_SIZE_MAX = 4 << 20, /* a follower that reads more slowly than the log grows loses lines */
};

static const char retired_text[] = "the database has stopped, and what it was asked may not be done";

/* Errands */

static void errand_free(struct http *http, struct errand *errand)
{
    if (errand->previous != NULL)
        errand->previous->next = errand->next;
    else
        http->errands = errand->next;
    if (errand->next != NULL)
        errand->next->previous = errand->previous;
    memory_free(errand->request.name);
    memory_free(errand->request.as_of);
    buf_deinit(&errand->request.body);
    buf_deinit(&errand->request.answer);
    if (errand->request.outflow != NULL)
        errand->request.outflow->free(errand->request.outflow);
    memory_free(errand);
}

static struct errand *errand_new(struct http *http, struct database *database, enum request_kind kind)
{
    struct errand *errand = memory_new(sizeof *errand);
    errand->request.net = http;
    errand->request.kind = kind;
    errand->request.line_count = -1;
    errand->request.duration_us = -1;
    errand->database = database;
    errand->next = http->errands;
    if (errand->next != NULL)
        errand->next->previous = errand;
    http->errands = errand;
    return errand;
}

static struct errand *errand_of(struct request *request)
{
    return container_of(request, struct errand, request);
}

static bool is_followed(const struct errand *errand)
{
    return errand->request.kind == REQUEST_LOGS && errand->request.follow;
}

/* X3. A follower's errand lives on until the engine has answered that it is over. */
static void errand_abandon(struct http *http, struct errand *errand)
{
    errand->exchange = NULL;
    if (!is_followed(errand))
        return;
    struct errand *end = errand_new(http, errand->database, REQUEST_LOGS_END);
    end->request.subject = &errand->request;
    port_post(errand->database->port, POST_REQUEST, &end->request, bytes_of("", 0));
}

/* The connection's side */

static void link_follower(struct exchange *exchange)
{
    struct http *http = exchange->http;
    exchange->next_follower = http->followers;
    if (http->followers != NULL)
        http->followers->previous_follower = exchange;
    http->followers = exchange;
}

static void unlink_follower(struct exchange *exchange)
{
    if (exchange->previous_follower != NULL)
        exchange->previous_follower->next_follower = exchange->next_follower;
    else
        exchange->http->followers = exchange->next_follower;
    if (exchange->next_follower != NULL)
        exchange->next_follower->previous_follower = exchange->previous_follower;
    exchange->previous_follower = exchange->next_follower = NULL;
}

static void reset(struct exchange *exchange)
{
    if (exchange->stage == EXCHANGE_STREAMING)
        unlink_follower(exchange);
    if (exchange->stage == EXCHANGE_SENDING)
        exchange->http->sending--;
    caller_deinit(&exchange->caller);
    exchange->stage = EXCHANGE_IDLE;
    exchange->closes = exchange->head_only = exchange->shows_caller = false;
    exchange->sent = 0;
    buf_deinit(&exchange->out);
    if (exchange->outflow != NULL)
        exchange->outflow->free(exchange->outflow);
    exchange->outflow = NULL;
}

void exchange_free(struct exchange *exchange)
{
    if (exchange == NULL)
        return;
    if (exchange->errand != NULL) {
        if (exchange->stage == EXCHANGE_BODY)
            errand_free(exchange->http, exchange->errand); /* never posted */
        else
            errand_abandon(exchange->http, exchange->errand);
    }
    reset(exchange);
    memory_free(exchange);
}

void exchange_reply(struct exchange *exchange, struct reply reply)
{
    reply.closes = exchange->closes;
    reply.head_only = exchange->head_only;
    reply.caller = exchange->shows_caller ? &exchange->caller : NULL;
    buf_clear(&exchange->out);
    reply_put(&exchange->out, &reply, REPLY_SIZED);
}

struct request *exchange_ask(struct exchange *exchange, struct database *database, enum request_kind kind)
{
    check(exchange->errand == NULL);
    exchange->errand = errand_new(exchange->http, database, kind);
    exchange->errand->exchange = exchange;
    exchange->errand->request.who = exchange->caller.who;
    return &exchange->errand->request;
}

static void refuse(struct exchange *exchange, int status, const char *text)
{
    if (exchange->errand != NULL) {
        errand_free(exchange->http, exchange->errand);
        exchange->errand = NULL;
    }
    exchange_reply(exchange, reply_error(status, text));
}

/* libwebsockets does not report a connection writable that it may not read, so it may for that time. */
static void ask_to_write(struct exchange *exchange)
{
    lws_rx_flow_control(exchange->wsi, 1);
    lws_callback_on_writable(exchange->wsi);
}

static void start_sending(struct exchange *exchange)
{
    exchange->stage = EXCHANGE_SENDING;
    exchange->http->sending++;
    ask_to_write(exchange);
}

/* The request is all here. */
static void complete(struct exchange *exchange)
{
    lws_set_timeout(exchange->wsi, NO_PENDING_TIMEOUT, 0);
    if (exchange->errand == NULL) {
        start_sending(exchange);
        return;
    }
    struct errand *errand = exchange->errand;
    if (errand->database->is_retired) {
        refuse(exchange, 503, retired_text);
        start_sending(exchange);
        return;
    }
    const char *complaint = route_check_body(&errand->request);
    if (complaint != NULL) {
        refuse(exchange, 400, complaint);
        start_sending(exchange);
        return;
    }
    exchange->stage = EXCHANGE_WAITING;
    lws_rx_flow_control(exchange->wsi, 0);
    port_post(errand->database->port, POST_REQUEST, &errand->request, bytes_of("", 0));
}

/* -1: there is a body of a length nobody knows. -2: the header cannot be understood. */
static int64_t body_length(struct lws *wsi)
{
    char text[20];
    size_t size;
    if (head_has(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING))
        return -1;
    const err code = head_value(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, text, sizeof text, &size);
    if (code == ERR_NOT_FOUND)
        return 0;
    int64_t length = 0;
    for (size_t idx = 0; code == OK && idx < size; idx++) {
        if (text[idx] < '0' || text[idx] > '9')
            return -2;
        length = length * 10 + (text[idx] - '0');
    }
    return code == OK && size <= 18 ? length : -2;
}

/* libwebsockets believes that a body follows a POST, PUT or PATCH whatever its head says. */
static bool expects_body(enum method method)
{
    return method == METHOD_POST || method == METHOD_PUT || method == METHOD_PATCH;
}

static void begin_request(struct exchange *exchange, int64_t length)
{
    bytes path;
    const enum method method = head_method(exchange->wsi, &path);
    exchange->head_only = method == METHOD_HEAD;
    exchange->closes = length < 0 || length > BODY_DRAIN_MAX ||
                       (expects_body(method) && !head_has(exchange->wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH));
    if (length == -2) {
        exchange_reply(exchange, reply_error(400, "the Content-Length header is not a number"));
    } else if (length == -1) {
        exchange_reply(exchange, reply_error(411, "a request's body comes with a Content-Length"));
    } else {
        route_begin(exchange, method, path);
        if (length > BODY_SIZE_MAX)
            refuse(exchange, 413, "a request's body is at most 2 MiB");
    }
}

int exchange_begin(struct http *http, struct lws *wsi, struct exchange *exchange)
{
    if (exchange == NULL) {
        exchange = memory_new(sizeof *exchange);
        exchange->peer = PEER_HTTP;
        exchange->http = http;
        exchange->wsi = wsi;
        lws_set_wsi_user(wsi, exchange);
    }
    if (exchange->stage != EXCHANGE_IDLE)
        return -1; /* X2 */
    const int64_t length = body_length(wsi);
    begin_request(exchange, length);
    exchange->stage = EXCHANGE_BODY;
    if (length <= 0 || length > BODY_DRAIN_MAX)
        complete(exchange);
    return 0;
}

int exchange_body(struct exchange *exchange, bytes piece)
{
    if (exchange == NULL || exchange->stage != EXCHANGE_BODY || exchange->errand == NULL)
        return 0;
    struct buf *body = &exchange->errand->request.body;
    if (body->size + piece.size > BODY_SIZE_MAX)
        return -1;
    buf_put_bytes(body, piece);
    return 0;
}

int exchange_body_done(struct exchange *exchange)
{
    if (exchange != NULL && exchange->stage == EXCHANGE_BODY)
        complete(exchange);
    return 0;
}

/* X2. Between two requests libwebsockets keeps a connection's header table only when it has read some of the next
 * one already, and says whether there is a table by writing to `mark`. */
static bool has_early_request(struct lws *wsi)
{
    char mark = 'x';
    (void)lws_hdr_custom_copy(wsi, &mark, sizeof mark, "x:", 2);
    return mark == '\0';
}

static int finish(struct exchange *exchange)
{
    const bool closes = exchange->closes;
    struct lws *wsi = exchange->wsi;
    reset(exchange);
    if (closes || lws_http_transaction_completed(wsi) != 0)
        return -1;
    return has_early_request(wsi) ? -1 : 0;
}

/* The next piece of an outflow, when all before it has left. False when the answer cannot go on. */
static bool refill(struct exchange *exchange)
{
    struct diag diag;
    size_t done;
    if (exchange->outflow == NULL || exchange->sent < exchange->out.size)
        return true;
    buf_clear(&exchange->out);
    exchange->sent = 0;
    uint8_t *piece = buf_extend(&exchange->out, OUTFLOW_PIECE);
    const err code = exchange->outflow->read(exchange->outflow, piece, OUTFLOW_PIECE, &done, &diag);
    exchange->out.size = code == OK ? done : 0;
    return code == OK;
}

int exchange_writable(struct exchange *exchange)
{
    if (exchange == NULL || (exchange->stage != EXCHANGE_SENDING && exchange->stage != EXCHANGE_STREAMING))
        return 0;
    struct lws *wsi = exchange->wsi;
    if (!refill(exchange))
        return -1;
    if (exchange->sent < exchange->out.size) {
        const size_t rest = exchange->out.size - exchange->sent;
        const size_t size = rest < WRITE_SIZE_MAX ? rest : WRITE_SIZE_MAX;
        if (lws_write(wsi, exchange->out.data + exchange->sent, size, LWS_WRITE_HTTP) < 0)
            return -1;
        exchange->sent += size;
    }
    const bool has_more = exchange->sent < exchange->out.size || (exchange->outflow != NULL && exchange->out.size > 0);
    if (has_more || lws_partial_buffered(wsi)) {
        lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, SEND_TIMEOUT_S);
        lws_callback_on_writable(wsi);
        return 0;
    }
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    if (exchange->stage == EXCHANGE_SENDING)
        return finish(exchange);
    buf_clear(&exchange->out);
    exchange->sent = 0;
    lws_rx_flow_control(wsi, 0);
    return 0;
}

/* The engine's side */

static struct reply reply_of(const struct exchange *exchange, const struct request *request)
{
    const bool has_content = request->answer.size > 0 || request->follow || request->outflow != NULL;
    return (struct reply){ .status = request->status,
                           .content_type = has_content ? request->content_type : NULL,
                           .body = buf_bytes(&request->answer),
                           .rest_size = request->outflow != NULL ? request->outflow->size : 0,
                           .duration_us = request->duration_us,
                           .caller = exchange->shows_caller ? &exchange->caller : NULL,
                           .closes = exchange->closes,
                           .head_only = exchange->head_only };
}

static void answer(struct errand *errand)
{
    struct exchange *exchange = errand->exchange;
    struct http *http = errand->request.net;
    if (errand->request.kind == REQUEST_LOGS_END) {
        errand_free(http, errand_of(errand->request.subject));
        errand_free(http, errand);
        return;
    }
    if (exchange == NULL) {
        if (!is_followed(errand)) /* else the answer to REQUEST_LOGS_END frees it */
            errand_free(http, errand);
        return;
    }
    const struct reply reply = reply_of(exchange, &errand->request);
    if (is_followed(errand) && errand->request.status == 200) {
        reply_put(&exchange->out, &reply, REPLY_CHUNKED);
        exchange->stage = EXCHANGE_STREAMING;
        link_follower(exchange);
        ask_to_write(exchange);
        return;
    }
    reply_put(&exchange->out, &reply, REPLY_SIZED);
    if (!exchange->head_only) {
        exchange->outflow = errand->request.outflow;
        errand->request.outflow = NULL;
    }
    exchange->errand = NULL;
    errand_free(http, errand);
    start_sending(exchange);
}

static void add_lines(struct errand *errand, bytes lines)
{
    struct exchange *exchange = errand->exchange;
    if (exchange == NULL || exchange->out.size + lines.size > FOLLOWED_SIZE_MAX)
        return;
    reply_put_chunk(&exchange->out, lines);
    ask_to_write(exchange);
}

static void end_lines(struct errand *errand)
{
    struct exchange *exchange = errand->exchange;
    if (exchange == NULL)
        return; /* the answer to REQUEST_LOGS_END frees it */
    reply_put_last_chunk(&exchange->out);
    unlink_follower(exchange);
    exchange->errand = NULL;
    errand_free(exchange->http, errand);
    start_sending(exchange);
}

static void hold(struct database *database, struct packet *packet)
{
    packet->next = NULL;
    if (database->held != NULL)
        database->held_last->next = packet;
    else
        database->held = packet;
    database->held_last = packet;
}

void exchange_deliver(struct database *database, struct packet *packet)
{
    struct errand *errand = errand_of(packet->to.request);
    if (packet->kind == PACKET_REPLY && packet->needs > database->durable) {
        hold(database, packet);
        return;
    }
    switch (packet->kind) {
    case PACKET_REPLY: answer(errand); break;
    case PACKET_LOG_LINES: add_lines(errand, buf_bytes(&packet->data)); break;
    case PACKET_REPLY_END: end_lines(errand); break;
    default: unreachable();
    }
    packet_free(packet);
}

void exchange_release(struct database *database)
{
    struct packet *packet = database->held;
    database->held = database->held_last = NULL;
    while (packet != NULL) {
        struct packet *next = packet->next;
        exchange_deliver(database, packet); /* holds it again when it is still too early */
        packet = next;
    }
}

void http_sweep(struct http *http)
{
    for (struct exchange *exchange = http->followers; exchange != NULL; exchange = exchange->next_follower) {
        char byte;
        if (recv(lws_get_socket_fd(exchange->wsi), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
            lws_set_timeout(exchange->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    } /* who sweeps tells libwebsockets to look at its times */
}

/* A connection that is gone from its errand is answered here; the errand waits for an answer that may never come. */
static void answer_retired(struct errand *errand)
{
    struct exchange *exchange = errand->exchange;
    errand->exchange = NULL;
    exchange->errand = NULL;
    if (exchange->stage == EXCHANGE_STREAMING) {
        reply_put_last_chunk(&exchange->out);
        unlink_follower(exchange);
    } else {
        exchange_reply(exchange, reply_error(503, retired_text));
    }
    start_sending(exchange);
}

void http_retire(struct http *http, const struct database *database)
{
    for (struct errand *errand = http->errands; errand != NULL; errand = errand->next) {
        const struct exchange *exchange = errand->exchange;
        if (errand->database == database && exchange != NULL && exchange->stage != EXCHANGE_BODY)
            answer_retired(errand);
    }
}

void http_deinit(struct http *http)
{
    while (http->errands != NULL)
        errand_free(http, http->errands);
}
