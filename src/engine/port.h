/* port — the two queues between a net thread and a database's engine.
 *
 * Down go posts: frames and requests, copied once from the socket into blocks that the engine reads in
 * place. Up come packets: finished messages for one session, made during one turn. Both are handed over in
 * bulk: one lock and at most one wake-up for all that gathered.
 *
 * Rules
 *   O1  A session belongs to net. After POST_DISCONNECT net sends nothing for it and frees it when
 *       PACKET_GONE has come back: the engine never meets a dead one.
 *   O2  Packets of a session leave in the order they were made. A packet waits until everything below `needs` is
 *       durable; those behind it wait too.
 *   O3  A request is answered exactly once, by PACKET_REPLY, whatever happens.
 *   O4  Net is woken for what may leave: not for packets while all of them wait for the disk, and not for progress of
 *       the disk that no packet waits for.
 *   O5  An engine that got its last work after a short wait looks out for the next one before it sleeps, giving way to
 *       whoever wants the processor: waking a thread takes 20 us and more, most of what a lone call takes. One that is
 *       called now and then sleeps at once. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "sats/ident.h"

#include <stdatomic.h>

enum protocol { PROTOCOL_V1_JSON, PROTOCOL_V1, PROTOCOL_V2, PROTOCOL_V3 };

/* One WebSocket connection, as both sides see it. */
struct session {
    void *net;                 /* net's */
    void *client;              /* the engine's */
    enum protocol protocol;
    bool confirmed;            /* messages wait for the log; else their packets need nothing of it */
    identity who;
    connection_id connection;
    char *token;               /* owned: the engine tells it to the client when it greets it, and frees it then */
    atomic_uint waiting;       /* frames posted and not yet taken: net closes beyond 16,384 */
    atomic_size_t waiting_bytes; /* net stops reading the socket while this is over 64 MiB */
    atomic_bool has_left;      /* nobody hears what it is told any more; POST_DISCONNECT is on its way */
};

enum request_kind {
    REQUEST_CALL,      /* name, body: JSON arguments */
    REQUEST_SQL,       /* body: statement */
    REQUEST_SCHEMA,    /* version */
    REQUEST_INFO,      /* GET /v1/database/:db */
    REQUEST_UNDO,      /* body: which records (selection.h); is_trial, leaves_conflicts */
    REQUEST_SNAPSHOT,  /* answered when the snapshot has been read back */
    REQUEST_BACKUP,    /* answered by an outflow, of a snapshot taken now */
    REQUEST_CHECK,     /* answered when disk and memory have been verified */
    REQUEST_RESUME,    /* ends the pause of the schedules */
    REQUEST_FORK,      /* to the server itself: `database` once more, called `name` */
    REQUEST_RESTORE,   /* likewise: `database` goes back to the moment `name` */
    REQUEST_DELETE,    /* likewise: `database` is no longer served */
    REQUEST_LOGS,      /* line_count, follow: answered by PACKET_REPLY, then PACKET_LOG_LINES while followed */
    REQUEST_LOGS_END,  /* the follower went away: answered by PACKET_REPLY, with which net frees it and its subject */
};

/* An answer too large to be made at once: net asks for it piece by piece as the client takes it, and frees it. */
struct outflow {
    uint64_t size; /* of all of it */
    /* The next bytes; anything but OK cuts the answer short. */
    err (*read)(struct outflow *outflow, uint8_t *out, size_t size, size_t *done, struct diag *diag);
    void (*free)(struct outflow *outflow);
};

/* One HTTP request to a database. Made by net, answered by the engine, freed by net. */
struct request {
    void *net;
    enum request_kind kind;
    identity who;
    char *name;                /* owned */
    identity database;         /* REQUEST_FORK, REQUEST_RESTORE, REQUEST_DELETE */
    struct buf body;           /* in */
    char *as_of;               /* owned: REQUEST_SQL: the moment that is asked about; NULL: now, or as the body says */
    uint32_t version;
    bool is_trial;             /* REQUEST_UNDO: show what would be done */
    bool leaves_conflicts;     /* REQUEST_UNDO: leave rows alone that others have changed later */
    int64_t line_count;        /* -1: not given */
    bool follow;
    bool confirmed;            /* wait for durability before the answer leaves */
    struct request *subject;   /* REQUEST_LOGS_END: the REQUEST_LOGS meant */
    /* the answer */
    int status;
    const char *content_type;  /* static */
    struct buf answer;
    struct outflow *outflow;   /* owned; instead of `answer`, or NULL */
    int64_t duration_us;       /* for the header; -1: none */
    struct request *next;      /* the engine's, while it follows */
};

enum post_kind { POST_CONNECT, POST_FRAME, POST_TEXT_FRAME, POST_DISCONNECT, POST_REQUEST };

/* In a block: this head, then `size` bytes, then up to a multiple of 8. */
struct post {
    uint32_t size;
    enum post_kind kind;
    union { struct session *session; struct request *request; } to;
    uint8_t data[];
};

struct block {
    struct block *next;
    size_t used, capacity;
    uint8_t data[];
};

enum packet_kind {
    PACKET_MESSAGES,  /* parts */
    PACKET_CLOSE,     /* close code and reason, after what is queued */
    PACKET_DROP,      /* end the connection without a close frame */
    PACKET_GONE,      /* O1 */
    PACKET_REPLY,     /* to.request is answered */
    PACKET_LOG_LINES, /* more of a followed log, in `data` */
    PACKET_REPLY_END, /* a followed log is over: the request is net's to free */
};

struct packet_part {
    uint32_t size;
    bool ends_message;
    struct shared *shared; /* NULL: the next `size` bytes of packet.data */
};

struct packet {
    struct packet *next;
    enum packet_kind kind;
    union { struct session *session; struct request *request; } to;
    uint64_t needs;            /* O2; 0: nothing */
    uint16_t close_code;
    uint32_t message_count;
    struct buf data;           /* inline bytes of parts; for PACKET_CLOSE the reason */
    struct packet_part *parts; /* owned */
    uint32_t part_count, part_capacity;
    size_t size;               /* of all parts */
    size_t counted;            /* bytes of `data` that parts account for; the engine's while it builds */
};

void packet_free(struct packet *packet); /* drops its shared parts */

struct port;

/* `wake_net` is called from the engine's and the log's threads when net should look at port_take(). */
struct port *port_new(void (*wake_net)(void *context), void *context);
void port_free(struct port *port);

/* Net's side. port_post() copies into the open block; port_flush() hands all gathered blocks over and
 * wakes the engine. Call it once per beat of the loop. */
void port_post(struct port *port, enum post_kind kind, void *to, bytes data);
void port_flush(struct port *port);
/* All packets since the last time, in order; net owns them. */
struct packet *port_take(struct port *port);
uint64_t port_durable(struct port *port); /* everything below it is on disk */

/* The engine's side. port_receive() waits up to `timeout_us` for posts (or port_interrupt) and hands over all
 * blocks, to be freed with port_done(). port_send() gathers; port_send_flush() hands over and wakes net (O4). */
struct block *port_receive(struct port *port, int64_t timeout_us);
void port_done(struct port *port, struct block *blocks);
void port_send(struct port *port, struct packet *packet);
void port_send_flush(struct port *port);
void port_interrupt(struct port *port); /* any thread */
/* From the log's thread. Wakes net (O4). */
void port_set_durable(struct port *port, uint64_t durable);
