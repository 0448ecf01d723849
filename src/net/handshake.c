/* The upgrade of an HTTP request to a WebSocket: what must hold, and in which order it is asked. */
#include "net/link.h"

#include "base/clock.h"

#include <strings.h>

/* Name and protocol, the server's favourite first. */
const char *const ws_protocol_names[4] = { "v3.bsatn.spacetimedb", "v2.bsatn.spacetimedb", "v1.bsatn.spacetimedb",
                                           "v1.json.spacetimedb" };
static const enum protocol protocols[4] = { PROTOCOL_V3, PROTOCOL_V2, PROTOCOL_V1, PROTOCOL_V1_JSON };

/* libwebsockets reads these two lists into buffers of 128 bytes, and keys of 128. */
enum { LIST_SIZE_MAX = 127, KEY_SIZE_MAX = 127 };

struct upgrade {
    struct ws *ws;
    struct lws *wsi;
    struct path path;
    enum method method;
    struct caller caller;
    bool shows_caller;
    connection_id connection;
    struct database *database;
    enum protocol protocol;
    struct diag diag;
};

static int refuse(struct upgrade *upgrade, int status, const char *text)
{
    diag_set(&upgrade->diag, ERR_BAD_REQUEST, "%s", text);
    return status;
}

static bool is_subscribe(const struct path *path)
{
    return path->count == 4 && bytes_equal_text(path->segments[0], "v1") &&
           bytes_equal_text(path->segments[1], "database") && bytes_equal_text(path->segments[3], "subscribe");
}

static int check_query(struct upgrade *upgrade)
{
    char text[64];
    size_t size;
    bool confirmed, light;
    if (head_query_bool(upgrade->wsi, "confirmed", &confirmed, &upgrade->diag) != OK ||
        head_query_bool(upgrade->wsi, "light", &light, &upgrade->diag) != OK)
        return 400;

    err code = head_query(upgrade->wsi, "compression", text, sizeof text, &size);
    if (code != ERR_NOT_FOUND &&
        (code != OK || (strcmp(text, "None") != 0 && strcmp(text, "Brotli") != 0 && strcmp(text, "Gzip") != 0)))
        return refuse(upgrade, 400, "the query parameter `compression` is None, Brotli or Gzip");

    code = head_query(upgrade->wsi, "connection_id", text, sizeof text, &size);
    if (code == ERR_NOT_FOUND)
        random_bytes(upgrade->connection.at, sizeof upgrade->connection.at);
    else if (code != OK || !connection_id_parse(bytes_of(text, size), &upgrade->connection))
        return refuse(upgrade, 400, "the query parameter `connection_id` is 32 hex digits");
    return 0;
}

static bool list_is_good(struct lws *wsi, enum lws_token_indexes header, char list[LIST_SIZE_MAX + 1])
{
    size_t size;
    return head_value(wsi, header, list, LIST_SIZE_MAX, &size) == OK;
}

/* What RFC 6455 4.2.1 asks of the request. */
static int check_request(struct upgrade *upgrade)
{
    char list[LIST_SIZE_MAX + 1], version[8];
    size_t size;
    if (upgrade->method != METHOD_GET)
        return refuse(upgrade, 405, "a WebSocket begins with GET");
    if (!list_is_good(upgrade->wsi, WSI_TOKEN_CONNECTION, list) || !head_list_has(list, "upgrade"))
        return refuse(upgrade, 426, "a WebSocket begins with the header `Connection: Upgrade`");
    if (head_value(upgrade->wsi, WSI_TOKEN_VERSION, version, sizeof version, &size) != OK || strcmp(version, "13") != 0)
        return refuse(upgrade, 400, "a WebSocket begins with the header `Sec-WebSocket-Version: 13`");
    const int key_size = lws_hdr_total_length(upgrade->wsi, WSI_TOKEN_KEY);
    if (key_size == 0 || key_size > KEY_SIZE_MAX || !head_has(upgrade->wsi, WSI_TOKEN_HOST))
        return refuse(upgrade, 400, "a WebSocket begins with the headers `Host` and `Sec-WebSocket-Key`");
    return 0;
}

/* Other characters make libwebsockets hang up without an answer. */
static const char list_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-, \t";

static int check_protocol(struct upgrade *upgrade)
{
    char list[LIST_SIZE_MAX + 1];
    if (list_is_good(upgrade->wsi, WSI_TOKEN_PROTOCOL, list) && list[strspn(list, list_characters)] == '\0')
        for (size_t idx = 0; idx < COUNTOF(protocols); idx++)
            if (head_list_has(list, ws_protocol_names[idx])) {
                upgrade->protocol = protocols[idx];
                return 0;
            }
    return refuse(upgrade, 400, "offer one of the subprotocols v3.bsatn.spacetimedb, v2.bsatn.spacetimedb, "
                                "v1.bsatn.spacetimedb and v1.json.spacetimedb");
}

/* The HTTP status of the refusal, or 0. */
static int check_upgrade(struct upgrade *upgrade)
{
    bytes path;
    upgrade->method = head_method(upgrade->wsi, &path);
    upgrade->path = head_path(path);
    if (!is_subscribe(&upgrade->path))
        return refuse(upgrade, 404, "there is no WebSocket at this path");

    int status = caller_read(upgrade->wsi, upgrade->ws->keys, CALLER_ANONYMOUS, &upgrade->caller, &upgrade->diag);
    upgrade->shows_caller = status == 0;
    struct diag found;
    err code = OK;
    if (status == 0) {
        code = directory_find(upgrade->ws->directory, upgrade->path.segments[2], &upgrade->database, &found);
        status = code == ERR_BAD_REQUEST ? refuse(upgrade, 400, found.text) : check_query(upgrade);
    }
    if (status == 0)
        status = check_request(upgrade);
    if (status == 0 && connection_id_is_none(&upgrade->connection))
        status = refuse(upgrade, 400, "a connection id of zero stands for none");
    if (status == 0 && code != OK)
        status = refuse(upgrade, 404, found.text);
    return status != 0 ? status : check_protocol(upgrade);
}

static void answer_refusal(struct upgrade *upgrade, int status)
{
    struct buf out = { 0 };
    struct reply reply = reply_error(status, upgrade->diag.text);
    reply.closes = true;
    reply.caller = upgrade->shows_caller ? &upgrade->caller : NULL;
    reply_put(&out, &reply, REPLY_SIZED);
    (void)lws_write(upgrade->wsi, out.data, out.size, LWS_WRITE_HTTP);
    buf_deinit(&out);
}

static void make_link(struct upgrade *upgrade)
{
    struct link *link = link_new(upgrade->ws, upgrade->wsi, upgrade->database);
    struct session *session = &link->session;
    buf_put_u8(&upgrade->caller.token, '\0');
    session->protocol = upgrade->protocol;
    session->confirmed = upgrade->protocol >= PROTOCOL_V2; /* what each takes for granted */
    (void)head_query_bool(upgrade->wsi, "confirmed", &session->confirmed, &upgrade->diag);
    session->who = upgrade->caller.who;
    session->connection = upgrade->connection;
    session->token = memory_copy(upgrade->caller.token.data, upgrade->caller.token.size);
    lws_set_wsi_user(upgrade->wsi, link);
}

int ws_check_upgrade(struct ws *ws, struct lws *wsi)
{
    struct upgrade upgrade = { .ws = ws, .wsi = wsi };
    const int status = check_upgrade(&upgrade);
    if (status == 0)
        make_link(&upgrade);
    else
        answer_refusal(&upgrade, status);
    caller_deinit(&upgrade.caller);
    return status == 0 ? 0 : -1;
}

static const char *name_of(enum protocol protocol)
{
    size_t idx = 0;
    while (protocols[idx] != protocol)
        idx++;
    return ws_protocol_names[idx];
}

/* libwebsockets has taken the client's first choice and has just written it at the end of what it has so far, which
 * `end` points behind. The choice is the server's: the right name is put over it. */
static char *correct_protocol(const struct link *link, char *end)
{
    if (memcmp(end - 2, "\r\n", 2) != 0)
        return end;
    for (size_t idx = 0; idx < COUNTOF(ws_protocol_names); idx++) {
        const size_t size = strlen(ws_protocol_names[idx]);
        if (memcmp(end - 2 - size, ws_protocol_names[idx], size) == 0)
            return stpcpy(stpcpy(end - 2 - size, name_of(link->session.protocol)), "\r\n");
    }
    return end;
}

int ws_add_headers(struct link *link, struct lws_process_html_args *args)
{
    if (link == NULL)
        return -1;
    struct buf headers = { 0 };
    char *const end = correct_protocol(link, args->p);
    args->max_len -= (int)(end - args->p);
    args->p = end;
    buf_put_text(&headers, "access-control-allow-origin: *\r\n");
    reply_put_caller(&headers, &link->session.who, bytes_of_text(link->session.token));
    const bool fits = headers.size + 4 < (size_t)args->max_len;
    if (fits) {
        memcpy(args->p, headers.data, headers.size);
        args->p += headers.size;
    }
    buf_deinit(&headers);
    return fits ? 0 : -1;
}
