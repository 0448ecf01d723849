/* The loop of the network thread and what libwebsockets reports in it.
 *
 * The loop is libuv's: that of libwebsockets itself asks the system about all sockets at each turn, so that ten
 * thousand connections on which nothing happens would cost each call milliseconds.
 *
 * One beat: libwebsockets reads and parses what has arrived, our callbacks turn it into posts; these go to the
 * engines with one lock and at most one wake-up each; then the engines' packets are taken, and what may leave
 * is written straight to the sockets. */
#include "net/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/listener.h"
#include "net/link.h"

#include <pthread.h>
#include <stdio.h>
#include <uv.h>
#include <strings.h>

enum {
    READ_SIZE = 64 << 10,     /* one read of a socket; also what libwebsockets keeps for each connection */
    WRITE_SIZE_MAX = 1 << 30, /* every write goes to the socket whole: we decide its size */
    HEAD_SIZE_MAX = 24 << 10, /* two tokens of the largest size and ordinary headers */
    HEAD_TIMEOUT_S = 20,
    KEEPALIVE_S = 60,
    PING_INTERVAL_US = 15000000,
    IDLE_TIMEOUT_US = 30000000,
    SWEEP_MIN_MS = 5,
    SWEEP_MAX_MS = 1000,
    RESUME_MS = 2, /* until paused clients are looked at again */
    LAST_WRITES_MS = 2000, /* for clients to take what they still get when the server stops */
    CLOSE_GOING_AWAY = 1001,
};

struct port_entry {
    struct port *port; /* owned */
    struct port_entry *next;
};

/* What another thread wants of the directory. */
struct change {
    struct change *next;
    struct database *added; /* or */
    struct port *retired;
};

struct server {
    uv_loop_t loop;
    uv_async_t awake; /* ends the loop's wait, from any thread */
    struct lws_context *context;
    struct listener listener;
    struct directory directory;
    struct http http;
    struct ws ws;
    struct database desk;
    pthread_mutex_t lock;
    struct port_entry *ports;                /* under the lock */
    struct change *changes, **last_change;   /* under the lock; owned, in order */
    struct token_keys *keys; /* borrowed */
    uv_timer_t sweep, resume, last_writes;
    uint64_t sweep_ms;
    atomic_bool stopping;
};

static struct server *server_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

/* What libwebsockets reports */

static void connection_gone(void *user)
{
    if (user == NULL)
        return;
    if (*(enum peer *)user == PEER_HTTP)
        exchange_free(user);
    else
        ws_socket_gone(user);
}

/* An `Upgrade` header, whatever it asks for. libwebsockets 4.1 has answered unknown kinds with 403 before it
 * comes here, and may then have freed the headers that `name` points into (CVE-2025-11677): so the headers are
 * asked first, and the connection ends. An offer of HTTP/2 is blanked out, and the request goes on as HTTP/1.1
 * (RFC 9110 7.8). */
static int confirm_upgrade(struct lws *wsi, void *user, char *name)
{
    char kind[16];
    size_t size;
    if (head_value(wsi, WSI_TOKEN_UPGRADE, kind, sizeof kind, &size) != OK)
        return -1;
    if (strcasecmp(kind, "h2c") == 0) {
        name[0] = '-';
        return 0;
    }
    if (strcasecmp(kind, "websocket") != 0)
        return -1;
    if (user != NULL) {
        lws_set_wsi_user(wsi, NULL);
        connection_gone(user); /* the HTTP requests before this one are over */
    }
    return ws_check_upgrade(&server_of(wsi)->ws, wsi);
}

static int on_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size)
{
    switch (reason) {
    case LWS_CALLBACK_HTTP: return exchange_begin(&server_of(wsi)->http, wsi, user);
    case LWS_CALLBACK_HTTP_BODY: return exchange_body(user, bytes_of(in, size));
    case LWS_CALLBACK_HTTP_BODY_COMPLETION: return exchange_body_done(user);
    case LWS_CALLBACK_HTTP_WRITEABLE: return exchange_writable(user);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return confirm_upgrade(wsi, user, in);
    case LWS_CALLBACK_WSI_DESTROY: connection_gone(user); return 0;
    default: return 0;
    }
}

static int on_ws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size)
{
    switch (reason) {
    case LWS_CALLBACK_RECEIVE: return ws_receive(user, wsi, bytes_of(in, size));
    case LWS_CALLBACK_SERVER_WRITEABLE: return ws_writable(user, wsi);
    case LWS_CALLBACK_RECEIVE_PONG: return ws_heard(user);
    case LWS_CALLBACK_ADD_HEADERS: return ws_add_headers(user, in);
    case LWS_CALLBACK_ESTABLISHED: return ws_established(user);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: return ws_peer_closes(user);
    case LWS_CALLBACK_TIMER: return -1; /* the wait for the echo of our close frame is over */
    case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL: ws_socket_ends(user, wsi); return 0;
    case LWS_CALLBACK_CLOSED: connection_gone(user); return 0;
    default: return 0;
    }
}

static int on_listener(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size)
{
    if (reason == LWS_CALLBACK_RAW_RX_FILE)
        listener_accept(&server_of(wsi)->listener);
    return 0;
}

/* Names with a slash cannot be asked for by a client: a subprotocol is a token. */
static const char listener_protocol[] = "/listener";
static struct lws_protocols protocols[] = {
    /* name, callback, session size, bytes in a read, id, user, bytes in a write */
    { "/http", on_http, 0, READ_SIZE, 0, NULL, WRITE_SIZE_MAX },
    { "v3.bsatn.spacetimedb", on_ws, 0, READ_SIZE, 0, NULL, WRITE_SIZE_MAX },
    { "v2.bsatn.spacetimedb", on_ws, 0, READ_SIZE, 0, NULL, WRITE_SIZE_MAX },
    { "v1.bsatn.spacetimedb", on_ws, 0, READ_SIZE, 0, NULL, WRITE_SIZE_MAX },
    { "v1.json.spacetimedb", on_ws, 0, READ_SIZE, 0, NULL, WRITE_SIZE_MAX },
    { listener_protocol, on_listener, 0, 0, 0, NULL, 0 },
    { 0 },
};

/* What it said last, for the error when it does not start. */
static char last_complaint[200] = "it does not say why";

static void on_library_log(int level, const char *line)
{
    snprintf(last_complaint, sizeof last_complaint, "%.*s", (int)strcspn(line, "\n"), line);
    log_debug("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

/* Time */

/* libwebsockets looks at its own times after it has met a socket, and no later than here. */
static void on_sweep(uv_timer_t *timer)
{
    struct server *server = container_of(timer, struct server, sweep);
    ws_sweep(&server->ws, clock_monotonic_us());
    http_sweep(&server->http);
    listener_resume(&server->listener);
    lws_cancel_service(server->context);
}

/* These only end the wait: the beat that follows does what there is to do. */
static void on_time(uv_timer_t *timer)
{
}

static void on_awake(uv_async_t *awake)
{
}

static uint64_t sweep_interval(const struct ws *ws)
{
    const int64_t shorter = ws->ping_interval_us < ws->idle_timeout_us ? ws->ping_interval_us : ws->idle_timeout_us;
    const int64_t interval = shorter / 10000;
    return interval < SWEEP_MIN_MS ? SWEEP_MIN_MS : interval > SWEEP_MAX_MS ? SWEEP_MAX_MS : (uint64_t)interval;
}

/* Life */

static void loop_init(struct server *server)
{
    check(uv_loop_init(&server->loop) == 0 && uv_async_init(&server->loop, &server->awake, on_awake) == 0);
    uv_timer_init(&server->loop, &server->sweep);
    uv_timer_init(&server->loop, &server->resume);
    uv_timer_init(&server->loop, &server->last_writes);
}

/* libwebsockets leaves a loop that is not its own in two steps: it closes what it has in there, and when that is gone it
 * frees the rest. */
static void loop_deinit(struct server *server)
{
    if (server->context != NULL)
        lws_context_destroy(server->context);
    uv_close((uv_handle_t *)&server->awake, NULL);
    uv_close((uv_handle_t *)&server->sweep, NULL);
    uv_close((uv_handle_t *)&server->resume, NULL);
    uv_close((uv_handle_t *)&server->last_writes, NULL);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    if (server->context != NULL)
        lws_context_destroy(server->context);
    check(uv_loop_close(&server->loop) == 0);
}

/* Pings and silent clients are looked after by S4 (ws.h). libwebsockets would do so too, with a timer for each connection
 * in one sorted list, which it walks from its front to put the last one in, at each opening and at each pong: what a
 * connection costs would grow with their number. */
static const lws_retry_bo_t no_policy;

static struct lws_context *context_new(struct server *server)
{
    void *loops[] = { &server->loop };
    const struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .user = server,
        .options = LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME | LWS_SERVER_OPTION_LIBUV,
        .foreign_loops = loops,
        .alpn = "http/1.1",
        .pt_serv_buf_size = READ_SIZE,
        .max_http_header_data2 = HEAD_SIZE_MAX,
        .retry_and_idle_policy = &no_policy,
        .timeout_secs = HEAD_TIMEOUT_S,
        .keepalive_timeout = KEEPALIVE_S,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
    };
    lws_set_log_level(LLL_ERR | LLL_WARN, on_library_log);
    return lws_create_context(&info);
}

err server_new(struct server **out, const struct server_options *options, struct diag *diag)
{
    struct server *server = memory_new(sizeof *server);
    pthread_mutex_init(&server->lock, NULL);
    server->last_change = &server->changes;
    server->keys = options->keys;
    server->http = (struct http){ .keys = options->keys, .directory = &server->directory };
    ws_init(&server->ws, options->keys, &server->directory);
    server->ws.ping_interval_us = options->ping_interval_us > 0 ? options->ping_interval_us : PING_INTERVAL_US;
    server->ws.idle_timeout_us = options->idle_timeout_us > 0 ? options->idle_timeout_us : IDLE_TIMEOUT_US;
    server->sweep_ms = options->sweep_us > 0 ? (uint64_t)options->sweep_us / 1000 : sweep_interval(&server->ws);
    loop_init(server);
    listener_raise_limit();
    server->context = context_new(server);
    err code = OK;
    if (server->context == NULL)
        code = diag_set(diag, ERR_BAD_USAGE,
                        "libwebsockets does not start: %s. Is its part for libuv installed? (On Debian: the package "
                        "libwebsockets-evlib-uv)", last_complaint);
    if (code == OK)
        code = listener_open(&server->listener, lws_get_vhost_by_name(server->context, "default"), listener_protocol,
                             options->listen_addr, diag);
    if (code != OK) {
        server_free(server);
        return code;
    }
    *out = server;
    return OK;
}

static void retire(struct server *server, const struct port *port)
{
    struct database *database = server->directory.first;
    while (database != NULL && database->port != port)
        database = database->next;
    if (database == NULL)
        return;
    database->is_retired = true;
    ws_close_database(&server->ws, database, CLOSE_GOING_AWAY, BYTES_LITERAL("the database has stopped"));
    http_retire(&server->http, database);
}

/* False when there is none. */
static bool take_change(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    struct change *change = server->changes;
    if (change != NULL)
        server->changes = change->next;
    if (server->changes == NULL)
        server->last_change = &server->changes;
    pthread_mutex_unlock(&server->lock);
    if (change == NULL)
        return false;
    if (change->added != NULL)
        directory_add(&server->directory, change->added);
    else
        retire(server, change->retired);
    memory_free(change);
    return true;
}

void server_free(struct server *server)
{
    if (server == NULL)
        return;
    loop_deinit(server); /* libwebsockets' callbacks still post to the ports */
    http_deinit(&server->http);
    ws_deinit(&server->ws);
    while (take_change(server)) {}
    directory_deinit(&server->directory);
    while (server->ports != NULL) {
        struct port_entry *entry = server->ports;
        server->ports = entry->next;
        port_free(entry->port);
        memory_free(entry);
    }
    pthread_mutex_destroy(&server->lock);
    memory_free(server);
}

static void wake(void *context)
{
    struct server *server = context;
    uv_async_send(&server->awake);
}

struct port *server_port_new(struct server *server)
{
    struct port_entry *entry = memory_new(sizeof *entry);
    entry->port = port_new(wake, server);
    pthread_mutex_lock(&server->lock);
    entry->next = server->ports;
    server->ports = entry;
    pthread_mutex_unlock(&server->lock);
    return entry->port;
}

struct port *server_open_desk(struct server *server)
{
    server->desk.port = server_port_new(server);
    server->http.desk = &server->desk;
    return server->desk.port;
}

static void leave_change(struct server *server, struct database *added, struct port *retired)
{
    struct change *change = memory_new(sizeof *change);
    change->added = added;
    change->retired = retired;
    pthread_mutex_lock(&server->lock);
    *server->last_change = change;
    server->last_change = &change->next;
    pthread_mutex_unlock(&server->lock);
    uv_async_send(&server->awake);
}

void server_add(struct server *server, const char *name, struct engine *engine, const identity *owner,
                struct port *port)
{
    leave_change(server, database_new(name, engine_identity(engine), owner, port), NULL);
}

void server_retire(struct server *server, struct port *port)
{
    leave_change(server, NULL, port);
}

uint16_t server_port_number(const struct server *server)
{
    return server->listener.port;
}

/* The loop */

static void deliver(struct database *database, struct packet *packet)
{
    switch (packet->kind) {
    case PACKET_MESSAGES:
    case PACKET_CLOSE:
    case PACKET_DROP:
    case PACKET_GONE: ws_deliver(packet); break;
    case PACKET_REPLY:
    case PACKET_LOG_LINES:
    case PACKET_REPLY_END: exchange_deliver(database, packet); break;
    }
}

static void deliver_all(struct database *database, struct packet *packet)
{
    while (packet != NULL) {
        struct packet *next = packet->next;
        deliver(database, packet);
        packet = next;
    }
}

/* `durable` is read after the packets are taken: what was durable when they were made is so now. */
static void take_packets(struct database *database)
{
    struct packet *packet = port_take(database->port);
    database->durable = port_durable(database->port);
    exchange_release(database);
    deliver_all(database, packet);
}

/* What the desk says has been done to the directory is done before it is told. */
static void take_changes(struct server *server)
{
    struct packet *packet = server->http.desk != NULL ? port_take(server->desk.port) : NULL;
    while (take_change(server)) {}
    deliver_all(&server->desk, packet);
}

static void flush_posts(struct server *server)
{
    for (struct database *database = server->directory.first; database != NULL; database = database->next)
        port_flush(database->port);
    if (server->http.desk != NULL)
        port_flush(server->desk.port);
}

static void beat(struct server *server)
{
    flush_posts(server);
    take_changes(server);
    for (struct database *database = server->directory.first; database != NULL; database = database->next)
        take_packets(database);
    ws_send(&server->ws);
    if (ws_resume(&server->ws))
        uv_timer_start(&server->resume, on_time, RESUME_MS, 0);
    flush_posts(server); /* what ended while packets were delivered */
}

/* The engines have stopped before us: what they have answered is all there will be. Followed logs end with their last
 * lines, and answers leave whole, for clients that read them in time. */
static void send_last(struct server *server)
{
    const int64_t until_us = clock_monotonic_us() + LAST_WRITES_MS * 1000;
    beat(server);
    uv_timer_start(&server->last_writes, on_time, LAST_WRITES_MS, 0);
    while (server->http.sending > 0 && clock_monotonic_us() < until_us) {
        uv_run(&server->loop, UV_RUN_ONCE);
        beat(server);
    }
    uv_timer_stop(&server->last_writes);
}

void server_run(struct server *server)
{
    take_changes(server);
    uv_timer_start(&server->sweep, on_sweep, server->sweep_ms, server->sweep_ms);
    while (!atomic_load(&server->stopping)) {
        uv_run(&server->loop, UV_RUN_ONCE);
        beat(server);
    }
    uv_timer_stop(&server->sweep);
    uv_timer_stop(&server->resume);
    send_last(server);
    ws_close_all(&server->ws, CLOSE_GOING_AWAY, BYTES_LITERAL("the server is stopping"));
    flush_posts(server);
}

void server_stop(struct server *server)
{
    atomic_store(&server->stopping, true);
    uv_async_send(&server->awake);
}
