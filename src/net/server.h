/* server — the network face: HTTP and WebSocket on one address, for one or more databases.
 *
 * Databases come and go while it runs. Requests about the server itself, to fork a database or to delete one, go to
 * its desk: a port of which somebody else takes the engine's side.
 *
 * All of it runs on one thread, in a loop of libuv's that libwebsockets takes part in. Frames become posts, packets
 * become frames; what a message means is not known here.
 *
 * Life     server_new (binds), server_port_new and server_add for each database, server_run on a thread of its
 *          choice, server_stop, server_free. The engines are stopped before server_free.
 * Threads  server_port_new, server_add and server_retire may be called from any, also while it runs. */
#pragma once

#include "base/err.h"
#include "engine/engine.h"
#include "net/token.h"

struct server;

struct server_options {
    const char *listen_addr;  /* HOST:PORT; port 0: any */
    struct token_keys *keys;  /* borrowed */
    int64_t ping_interval_us; /* 0: 15 s */
    int64_t idle_timeout_us;  /* 0: 30 s */
    int64_t sweep_us;         /* how often it is looked at times; 0: as these two want it, each second at least */
};

/* Binds: ERR_IN_USE when the address is taken. */
err server_new(struct server **server, const struct server_options *options, struct diag *diag);
/* The port for one database; make the engine with it, then add it. The server frees it. */
struct port *server_port_new(struct server *server);
/* Whoever gets an answer that is sent to the desk's port after this finds the database. */
void server_add(struct server *server, const char *name, struct engine *engine, const identity *owner,
                struct port *port);
/* The database of this port is found no more: its clients are closed, who waits for an answer gets a refusal. Its
 * engine can be stopped at any time after it. */
void server_retire(struct server *server, struct port *port);
/* Opens the desk. Before server_run(). */
struct port *server_open_desk(struct server *server);
uint16_t server_port_number(const struct server *server);
void server_run(struct server *server);  /* until server_stop(); blocks; says goodbye to the clients */
void server_stop(struct server *server); /* any thread, and from signal handlers */
void server_free(struct server *server); /* NULL is fine */
