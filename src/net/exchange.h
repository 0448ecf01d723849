/* exchange — one HTTP connection: the request it is in and the answer it gets.
 *
 *     head ── route_begin() ──┬─ reply made ──── body drained ── sent
 *                             └─ errand made ─── body collected ── posted ── PACKET_REPLY ── sent
 *
 * Rules
 *   X1  An answer leaves only after the request's body has been read, so that the connection can go on;
 *       where that cannot be (no length given, far too long) it closes after the answer.
 *   X2  One request at a time. A client that sends the next one before it has its answer gets the answer and
 *       loses the connection: libwebsockets 4.1 reads the head of a POST that came early as its body.
 *   X3  The connection may go before the engine answers. The errand outlives it and is freed by its answer. */
#pragma once

#include "net/caller.h"
#include "net/directory.h"
#include "net/reply.h"

enum peer { PEER_HTTP, PEER_WEBSOCKET };

/* All HTTP of a server. */
struct http {
    const struct token_keys *keys;     /* borrowed */
    const struct directory *directory; /* borrowed */
    struct database *desk;             /* borrowed: takes requests about the server itself; NULL: nobody does */
    struct errand *errands;            /* owned: all that are under way */
    struct exchange *followers;        /* those that stream a log */
    uint32_t sending;                  /* how many exchanges have an answer that has not left yet */
};

/* A request on its way to an engine and back. */
struct errand {
    struct request request;
    struct exchange *exchange; /* NULL: its client has gone */
    struct database *database;
    struct errand *previous, *next;
};

enum exchange_stage {
    EXCHANGE_IDLE,
    EXCHANGE_BODY,    /* the body comes in */
    EXCHANGE_WAITING, /* for the engine */
    EXCHANGE_SENDING,
    EXCHANGE_STREAMING, /* a followed log: sends what there is and waits for more */
};

struct exchange {
    enum peer peer; /* first */
    struct http *http;
    struct lws *wsi;
    enum exchange_stage stage;
    bool closes; /* X1 */
    bool head_only;
    bool shows_caller;
    struct caller caller;
    struct errand *errand;
    struct outflow *outflow; /* owned: what follows `out`, or NULL */
    struct buf out;
    size_t sent;
    struct exchange *previous_follower, *next_follower;
};

/* The loop's side; each returns what a libwebsockets callback returns. */
int exchange_begin(struct http *http, struct lws *wsi, struct exchange *exchange); /* NULL: the connection's first */
int exchange_body(struct exchange *exchange, bytes piece);
int exchange_body_done(struct exchange *exchange);
int exchange_writable(struct exchange *exchange);
void exchange_free(struct exchange *exchange); /* its connection has gone; NULL is fine */

/* A route's side. */
void exchange_reply(struct exchange *exchange, struct reply reply);
struct request *exchange_ask(struct exchange *exchange, struct database *database, enum request_kind kind);

/* Packets of an engine. Takes the packet. */
void exchange_deliver(struct database *database, struct packet *packet);
/* Answers whose durability has come. */
void exchange_release(struct database *database);
/* The database is retired: whoever waits for its answer gets another one. */
void http_retire(struct http *http, const struct database *database);
/* Followers of logs send nothing: asks the sockets who has gone. */
void http_sweep(struct http *http);
void http_deinit(struct http *http);
