/* link — a session, its socket and what is on the way between them. Known to the files of ws.h only. */
#pragma once

#include "net/ws.h"

struct link {
    enum peer peer; /* first */
    struct session session;
    struct ws *ws;
    struct database *database;
    struct lws *wsi; /* NULL: the socket has gone or is going, the engine has been told */
    struct outbox outbox;
    struct buf partial; /* S1 */
    int64_t heard_us, pinged_us;
    bool is_established;
    bool is_eager;
    bool is_paused;
    bool was_heard; /* since the last sweep */
    bool owes_ping; /* the first */
    bool owes_pong;
    struct link *previous, *next;
    struct link *next_eager, *next_paused;
};

struct link *link_new(struct ws *ws, struct lws *wsi, struct database *database);
void link_free(struct link *link);
