#include "net/ws.h"

#include "base/clock.h"
#include "net/link.h"

enum {
    MESSAGE_SIZE_MAX = 32 << 20,
    FRAMES_WAITING_MAX = 16384,
    BYTES_WAITING_MAX = 64 << 20, /* S2 */
    MESSAGES_QUEUED_MAX = 16384,
    BYTES_QUEUED_MAX = 64 << 20, /* S3 */
    KEPT_SIZE_MAX = 2 << 20,     /* a buffer that was larger once goes back to the system */
    PARTIAL_KEPT_MAX = 4096,     /* likewise, of each connection */
    CLOSE_WAIT_US = 250000,      /* for the client's echo of a close frame */
    CLOSE_UNREADABLE = 1011,
    CLOSE_TRY_LATER = 1013,
};

void ws_init(struct ws *ws, const struct token_keys *keys, const struct directory *directory)
{
    *ws = (struct ws){ .keys = keys, .directory = directory };
}

void ws_deinit(struct ws *ws)
{
    while (ws->links != NULL)
        link_free(ws->links);
    buf_deinit(&ws->frames);
}

/* Links */

struct link *link_new(struct ws *ws, struct lws *wsi, struct database *database)
{
    struct link *link = memory_new(sizeof *link);
    link->peer = PEER_WEBSOCKET;
    link->ws = ws;
    link->wsi = wsi;
    link->database = database;
    link->session.net = link;
    link->next = ws->links;
    if (ws->links != NULL)
        ws->links->previous = link;
    ws->links = link;
    return link;
}

static void forget_eager(struct link *link)
{
    if (!link->is_eager)
        return;
    struct link **place = &link->ws->eager;
    while (*place != link)
        place = &(*place)->next_eager;
    *place = link->next_eager;
    link->is_eager = false;
}

static void forget_paused(struct link *link)
{
    if (!link->is_paused)
        return;
    struct link **place = &link->ws->paused;
    while (*place != link)
        place = &(*place)->next_paused;
    *place = link->next_paused;
    link->is_paused = false;
}

void link_free(struct link *link)
{
    forget_eager(link);
    forget_paused(link);
    if (link->previous != NULL)
        link->previous->next = link->next;
    else
        link->ws->links = link->next;
    if (link->next != NULL)
        link->next->previous = link->previous;
    outbox_deinit(&link->outbox);
    buf_deinit(&link->partial);
    memory_free(link->session.token);
    memory_free(link);
}

/* The session is over on this side; the socket may have some way to go still, without us. */
static void part(struct link *link)
{
    lws_set_wsi_user(link->wsi, NULL);
    link->wsi = NULL;
    forget_eager(link);
    forget_paused(link);
    outbox_deinit(&link->outbox);
    buf_deinit(&link->partial);
    atomic_store_explicit(&link->session.has_left, true, memory_order_relaxed);
    if (link->is_established)
        port_post(link->database->port, POST_DISCONNECT, &link->session, bytes_of("", 0));
    else
        link_free(link); /* the engine has never heard of it */
}

/* libwebsockets looks at times and at what it has kept after it has met a socket: what is said to it elsewhere than in
 * its callbacks it would find late. */
static void tell_library(struct lws *wsi)
{
    lws_cancel_service(lws_get_context(wsi));
}

/* Ends the connection at once, without a close frame. */
static void drop(struct link *link)
{
    struct lws *wsi = link->wsi;
    part(link);
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    tell_library(wsi);
}

static struct buf *begin_frames(struct ws *ws)
{
    if (ws->frames.capacity > KEPT_SIZE_MAX)
        buf_deinit(&ws->frames);
    buf_clear(&ws->frames);
    return &ws->frames;
}

/* LWS_WRITE_HTTP sends the bytes as they are: they are whole frames already. What the socket does not take is
 * kept by libwebsockets, which reports the socket writable again only after it has left. */
static bool write_frames(struct link *link)
{
    struct buf *frames = &link->ws->frames;
    if (frames->size == 0 || lws_write(link->wsi, frames->data, frames->size, LWS_WRITE_HTTP) >= 0)
        return true;
    drop(link);
    return false;
}

/* Says why, and gives the client a moment to say it too; what it sends meanwhile is not looked at. */
static void close_link(struct link *link, uint16_t code, bytes reason)
{
    struct lws *wsi = link->wsi;
    outbox_put_close(begin_frames(link->ws), code, reason);
    if (!write_frames(link))
        return;
    part(link);
    lws_set_timer_usecs(wsi, CLOSE_WAIT_US);
    tell_library(wsi);
}

/* In */

int ws_established(struct link *link)
{
    if (link == NULL || link->database->is_retired)
        return -1;
    link->is_established = true;
    link->heard_us = link->pinged_us = clock_monotonic_us();
    link->owes_ping = true;
    port_post(link->database->port, POST_CONNECT, &link->session, bytes_of("", 0));
    return 0;
}

static void pause_reading(struct link *link)
{
    if (link->is_paused)
        return;
    link->is_paused = true;
    link->next_paused = link->ws->paused;
    link->ws->paused = link;
    lws_rx_flow_control(link->wsi, 0);
}

/* S2 */
static void post_frame(struct link *link, bytes frame, bool is_text)
{
    struct session *session = &link->session;
    const unsigned waiting = atomic_fetch_add_explicit(&session->waiting, 1, memory_order_relaxed);
    const size_t size = atomic_fetch_add_explicit(&session->waiting_bytes, frame.size, memory_order_relaxed);
    port_post(link->database->port, is_text ? POST_TEXT_FRAME : POST_FRAME, session, frame);
    if (waiting >= FRAMES_WAITING_MAX)
        close_link(link, CLOSE_TRY_LATER, BYTES_LITERAL("too many messages are waiting to be processed"));
    else if (size + frame.size > BYTES_WAITING_MAX)
        pause_reading(link);
}

/* S1 */
static int collect(struct link *link, struct lws *wsi, bytes piece, bool is_whole)
{
    struct buf *partial = &link->partial;
    if (partial->size + piece.size + lws_remaining_packet_payload(wsi) > MESSAGE_SIZE_MAX) {
        drop(link);
        return -1;
    }
    buf_put_bytes(partial, piece);
    if (!is_whole)
        return 0;
    post_frame(link, buf_bytes(partial), !lws_frame_is_binary(wsi));
    if (partial->capacity > PARTIAL_KEPT_MAX)
        buf_deinit(partial);
    buf_clear(partial);
    return 0;
}

int ws_receive(struct link *link, struct lws *wsi, bytes piece)
{
    if (link == NULL)
        return 0;
    link->was_heard = true;
    const bool is_text = !lws_frame_is_binary(wsi);
    if (is_text && link->session.protocol >= PROTOCOL_V2) {
        close_link(link, CLOSE_UNREADABLE, BYTES_LITERAL("text frames are not part of this protocol"));
        return 0;
    }
    const bool is_whole = lws_is_final_fragment(wsi) != 0;
    if (!is_whole || link->partial.size > 0)
        return collect(link, wsi, piece, is_whole);
    post_frame(link, piece, is_text);
    return 0;
}

int ws_heard(struct link *link)
{
    if (link != NULL) {
        link->was_heard = true;
        link->owes_pong = false;
    }
    return 0;
}

/* Its close frame is echoed by libwebsockets; after ours there is nothing more to say. */
int ws_peer_closes(struct link *link)
{
    if (link == NULL)
        return -1;
    part(link);
    return 0;
}

/* A frame broke the rules: libwebsockets sends a close frame with 1002, and would wait five seconds. */
void ws_socket_ends(struct link *link, struct lws *wsi)
{
    if (link == NULL)
        return;
    part(link);
    lws_set_timer_usecs(wsi, CLOSE_WAIT_US);
}

void ws_socket_gone(struct link *link)
{
    part(link);
}

bool ws_resume(struct ws *ws)
{
    struct link **place = &ws->paused;
    while (*place != NULL) {
        struct link *link = *place;
        if (atomic_load_explicit(&link->session.waiting_bytes, memory_order_relaxed) > BYTES_WAITING_MAX / 2) {
            place = &link->next_paused;
            continue;
        }
        *place = link->next_paused;
        link->is_paused = false;
        lws_rx_flow_control(link->wsi, 1);
        tell_library(link->wsi);
    }
    return ws->paused != NULL;
}

/* Out */

static struct outbox_terms terms_of(const struct link *link)
{
    return (struct outbox_terms){ link->session.protocol, link->database->durable };
}

static void become_eager(struct link *link)
{
    if (link->is_eager)
        return;
    link->is_eager = true;
    link->next_eager = link->ws->eager;
    link->ws->eager = link;
}

static void end_as_told(struct link *link, const struct packet *ending)
{
    if (ending->kind == PACKET_DROP) {
        drop(link);
        return;
    }
    const uint16_t code = ending->close_code;
    struct buf reason = { 0 };
    buf_put_bytes(&reason, buf_bytes(&ending->data)); /* closing empties the outbox */
    close_link(link, code, buf_bytes(&reason));
    buf_deinit(&reason);
}

/* The first ping needs no write of its own: it leaves in front of the greeting. */
static void fill(struct link *link, const struct outbox_terms *terms, struct buf *frames)
{
    if (link->owes_ping && outbox_is_ready(&link->outbox, terms)) {
        link->owes_ping = false;
        outbox_put_ping(frames, bytes_of("", 0));
    }
    outbox_fill(&link->outbox, terms, frames);
}

/* Writes once. Afterwards the link is eager (waits for the disk), or waits for its socket, or has nothing. */
static void send_link(struct link *link)
{
    if (lws_partial_buffered(link->wsi))
        return; /* the socket will be reported writable */
    const struct outbox_terms terms = terms_of(link);
    fill(link, &terms, begin_frames(link->ws));
    if (!write_frames(link))
        return;
    const struct packet *ending = outbox_ending(&link->outbox, &terms);
    if (ending != NULL)
        end_as_told(link, ending);
    else if (outbox_is_ready(&link->outbox, &terms))
        lws_callback_on_writable(link->wsi);
    else if (link->outbox.first != NULL)
        become_eager(link);
}

void ws_send(struct ws *ws)
{
    struct link *link = ws->eager;
    ws->eager = NULL;
    /* A link that ends takes itself out of ws->eager only, so this list is unlinked before each visit. */
    while (link != NULL) {
        struct link *next = link->next_eager;
        link->is_eager = false;
        send_link(link);
        link = next;
    }
}

int ws_writable(struct link *link, struct lws *wsi)
{
    if (link == NULL)
        return 0;
    link->was_heard = true; /* it takes what it is sent: a long message may keep pings from it for longer than S4 waits */
    if (!link->is_eager && link->outbox.first != NULL)
        send_link(link);
    return 0;
}

void ws_deliver(struct packet *packet)
{
    struct link *link = packet->to.session->net;
    if (packet->kind == PACKET_GONE) {
        check(link->wsi == NULL); /* O1: it follows our POST_DISCONNECT */
        packet_free(packet);
        link_free(link);
        return;
    }
    if (link->wsi == NULL) {
        packet_free(packet);
        return;
    }
    if (outbox_is_beyond(&link->outbox, MESSAGES_QUEUED_MAX, BYTES_QUEUED_MAX)) { /* S3 */
        packet_free(packet);
        drop(link);
        return;
    }
    outbox_put(&link->outbox, packet);
    become_eager(link);
}

/* S4. Pings after the first carry a payload, because libwebsockets does not report empty pongs. */
static void sweep_link(struct link *link, int64_t now_us)
{
    const struct ws *ws = link->ws;
    if (link->was_heard) {
        link->was_heard = false;
        link->heard_us = now_us;
    }
    if (now_us - link->heard_us >= ws->idle_timeout_us) {
        drop(link);
        return;
    }
    if (link->owes_pong || now_us - link->pinged_us < ws->ping_interval_us)
        return;
    link->owes_pong = true;
    link->pinged_us = now_us;
    outbox_put_ping(begin_frames(link->ws), BYTES_LITERAL("stdb"));
    (void)write_frames(link);
}

void ws_sweep(struct ws *ws, int64_t now_us)
{
    for (struct link *link = ws->links, *next; link != NULL; link = next) {
        next = link->next;
        if (link->wsi != NULL && link->is_established)
            sweep_link(link, now_us);
    }
}

void ws_close_database(struct ws *ws, const struct database *database, uint16_t code, bytes reason)
{
    for (struct link *link = ws->links, *next; link != NULL; link = next) {
        next = link->next;
        if (link->wsi != NULL && link->is_established && link->database == database)
            close_link(link, code, reason);
    }
}

void ws_close_all(struct ws *ws, uint16_t code, bytes reason)
{
    for (struct link *link = ws->links, *next; link != NULL; link = next) {
        next = link->next;
        if (link->wsi != NULL && link->is_established)
            close_link(link, code, reason);
    }
}
