/* ws — the WebSocket connections: handshake in, frames to posts, packets to frames, pings, limits.
 *
 * A link is a session and its socket. The socket may go first: then the engine is told, and the link waits for
 * PACKET_GONE (O1 of engine/port.h). From that moment libwebsockets no longer knows the link, and whatever it
 * still reports about the socket is met by a NULL.
 *
 * Rules
 *   S1  A message in several pieces is put together here, up to 32 MiB; a whole one goes straight on.
 *   S2  More than 16,384 frames that the engine has not taken: closed with 1013. More than 64 MiB: the socket
 *       is not read until the engine has caught up.
 *   S3  A client that does not read: more than 16,384 messages or 64 MiB waiting behind what it is being sent, and it is
 *       dropped. What is handed over at once, one message of any size or many, never counts against itself.
 *   S4  Nothing heard for the idle time, nor room made in the socket for more of a long message: dropped. Pings are sent
 *       in between, one at a time. */
#pragma once

#include "net/caller.h"
#include "net/directory.h"
#include "net/exchange.h"
#include "net/outbox.h"

struct link;

/* All WebSocket connections of a server. */
struct ws {
    const struct token_keys *keys;     /* borrowed */
    const struct directory *directory; /* borrowed */
    int64_t ping_interval_us, idle_timeout_us;
    struct link *links;  /* owned: all that have begun a handshake and that the engine still knows */
    struct link *eager;  /* those with packets that wait for nothing but us or the disk */
    struct link *paused; /* S2 */
    struct buf frames;   /* of the write at hand; kept from write to write */
};

void ws_init(struct ws *ws, const struct token_keys *keys, const struct directory *directory);
void ws_deinit(struct ws *ws);

/* An upgrade is asked for. 0: go on, and the link is the socket's user. -1: it has been answered and ends. */
int ws_check_upgrade(struct ws *ws, struct lws *wsi);

/* The subprotocols, best first, as handshakes name them. */
extern const char *const ws_protocol_names[4];

/* Callbacks of a connection past that point; each returns what libwebsockets wants. `link` may be NULL. */
int ws_add_headers(struct link *link, struct lws_process_html_args *args);
int ws_established(struct link *link);
int ws_receive(struct link *link, struct lws *wsi, bytes piece);
int ws_heard(struct link *link);
int ws_writable(struct link *link, struct lws *wsi);
int ws_peer_closes(struct link *link);
void ws_socket_ends(struct link *link, struct lws *wsi); /* libwebsockets has begun to end it, for reasons of its own */
void ws_socket_gone(struct link *link);

/* Packets of an engine. Takes the packet. */
void ws_deliver(struct packet *packet);
/* After deliveries: writes what may leave now. */
void ws_send(struct ws *ws);
/* S2: reads those again whose engine has caught up; true while there are others. */
bool ws_resume(struct ws *ws);
/* S4 */
void ws_sweep(struct ws *ws, int64_t now_us);
/* All that speak of this database: it is retired. */
void ws_close_database(struct ws *ws, const struct database *database, uint16_t code, bytes reason);
void ws_close_all(struct ws *ws, uint16_t code, bytes reason);
