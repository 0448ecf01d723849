#include "net/route.h"

#include "base/clock.h"
#include "base/text.h"
#include "sats/json.h"

enum { TOKEN_LIFE_S = 60, NAME_SIZE_MAX = 255 };

/* What a route's function is given besides its exchange. */
struct visit {
    struct exchange *exchange;
    const struct path *path;
    struct database *database; /* of the routes below /v1/database */
};

static void reply_ok(struct exchange *exchange, const char *content_type, bytes body)
{
    exchange_reply(exchange, reply_plain(200, content_type, body));
}

static void reply_refusal(struct exchange *exchange, const struct diag *diag)
{
    const int status = diag->code == ERR_NOT_FOUND ? 404 : 400;
    exchange_reply(exchange, reply_error(status, diag->text));
}

/* About the server */

static void get_ping(const struct visit *visit)
{
    reply_ok(visit->exchange, NULL, bytes_of("", 0));
}

static void get_health(const struct visit *visit)
{
    reply_ok(visit->exchange, reply_json,
             BYTES_LITERAL("{\"package_name\":\"stdb-lua\",\"version\":\"" STDB_VERSION
                           "\",\"nodes\":[0],\"schedulable\":true}"));
}

/* Identities */

static void post_identity(const struct visit *visit)
{
    struct buf token = { 0 }, body = { 0 };
    identity who;
    token_mint(visit->exchange->http->keys, &token, &who);
    buf_put_text(&body, "{\"identity\":\"");
    identity_print(&body, &who);
    buf_put_format(&body, "\",\"token\":\"%.*s\"}", BYTES_FORMAT(buf_bytes(&token)));
    reply_ok(visit->exchange, reply_json, buf_bytes(&body));
    buf_deinit(&body);
    buf_deinit(&token);
}

static void post_websocket_token(const struct visit *visit)
{
    struct buf body = { 0 };
    buf_put_text(&body, "{\"token\":\"");
    token_resign(visit->exchange->http->keys, &visit->exchange->caller.claims, TOKEN_LIFE_S, &body);
    buf_put_text(&body, "\"}");
    reply_ok(visit->exchange, reply_json, buf_bytes(&body));
    buf_deinit(&body);
}

static void get_public_key(const struct visit *visit)
{
    reply_ok(visit->exchange, "application/pem-certificate-chain", token_keys_public_pem(visit->exchange->http->keys));
}

static bool parse_identity(const struct visit *visit, identity *id)
{
    if (identity_parse(visit->path->segments[2], id))
        return true;
    exchange_reply(visit->exchange, reply_error(400, "an identity is 64 hex digits"));
    return false;
}

static void get_verify(const struct visit *visit)
{
    identity id;
    if (!parse_identity(visit, &id))
        return;
    const bool same = memcmp(&id, &visit->exchange->caller.who, sizeof id) == 0;
    exchange_reply(visit->exchange, reply_plain(same ? 204 : 400, NULL, bytes_of("", 0)));
}

static void get_databases(const struct visit *visit)
{
    struct buf body = { 0 };
    identity owner;
    if (!parse_identity(visit, &owner))
        return;
    buf_put_text(&body, "{\"identities\":[");
    const size_t empty = body.size;
    const struct directory *directory = visit->exchange->http->directory;
    for (const struct database *database = directory->first; database != NULL; database = database->next) {
        if (database->is_retired || memcmp(&database->owner, &owner, sizeof owner) != 0)
            continue;
        buf_put_text(&body, body.size == empty ? "\"" : ",\"");
        identity_print(&body, &database->id);
        buf_put_u8(&body, '"');
    }
    buf_put_text(&body, "]}");
    reply_ok(visit->exchange, reply_json, buf_bytes(&body));
    buf_deinit(&body);
}

/* One database */

static void get_database(const struct visit *visit)
{
    (void)exchange_ask(visit->exchange, visit->database, REQUEST_INFO);
}

static void get_identity(const struct visit *visit)
{
    struct buf body = { 0 };
    identity_print(&body, &visit->database->id);
    reply_ok(visit->exchange, reply_text, buf_bytes(&body));
    buf_deinit(&body);
}

static void get_names(const struct visit *visit)
{
    struct buf body = { 0 };
    buf_put_text(&body, "{\"names\":[");
    json_print_string(&body, bytes_of_text(visit->database->name));
    buf_put_text(&body, "]}");
    reply_ok(visit->exchange, reply_json, buf_bytes(&body));
    buf_deinit(&body);
}

static void post_call(const struct visit *visit)
{
    const bytes name = visit->path->segments[4];
    char content_type[128];
    size_t size;
    const err code =
        head_value(visit->exchange->wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, content_type, sizeof content_type, &size);
    if (code == ERR_NOT_FOUND) {
        exchange_reply(visit->exchange, reply_error(400, "a call needs the header `Content-Type: application/json`"));
    } else if (code != OK || strcmp(content_type, reply_json) != 0) {
        exchange_reply(visit->exchange,
                       reply_error(415, "a call's arguments come as `Content-Type: application/json`"));
    } else if (name.size == 0 || name.size > NAME_SIZE_MAX || !text_is_utf8(name)) {
        exchange_reply(visit->exchange, reply_error(400, "the name of a function has 1 to 255 bytes of UTF-8"));
    } else {
        struct request *request = exchange_ask(visit->exchange, visit->database, REQUEST_CALL);
        request->name = memory_new(name.size + 1);
        memcpy(request->name, name.at, name.size);
    }
}

static void post_sql(const struct visit *visit)
{
    struct diag diag;
    char as_of[64];
    size_t size;
    bool confirmed = true;
    const err code = head_query(visit->exchange->wsi, "as_of", as_of, sizeof as_of, &size);
    if (head_query_bool(visit->exchange->wsi, "confirmed", &confirmed, &diag) != OK) {
        reply_refusal(visit->exchange, &diag);
        return;
    }
    if (code != OK && code != ERR_NOT_FOUND) {
        exchange_reply(visit->exchange,
                       reply_error(400, "the query parameter `as_of` is an offset or a time like 2026-11-20T08:15:30Z"));
        return;
    }
    struct request *request = exchange_ask(visit->exchange, visit->database, REQUEST_SQL);
    request->confirmed = confirmed;
    request->as_of = code == OK ? memory_copy(as_of, size + 1) : NULL;
}

static void post_undo(const struct visit *visit)
{
    struct diag diag;
    bool is_trial = false, leaves_conflicts = false;
    if (head_query_bool(visit->exchange->wsi, "dry_run", &is_trial, &diag) != OK ||
        head_query_bool(visit->exchange->wsi, "skip_conflicts", &leaves_conflicts, &diag) != OK) {
        reply_refusal(visit->exchange, &diag);
        return;
    }
    struct request *request = exchange_ask(visit->exchange, visit->database, REQUEST_UNDO);
    request->is_trial = is_trial;
    request->leaves_conflicts = leaves_conflicts;
    request->confirmed = true;
}

static void get_schema(const struct visit *visit)
{
    struct diag diag;
    int64_t version = 0; /* which no schema has: the engine says what it has */
    if (head_query_number(visit->exchange->wsi, "version", &version, &diag) != OK)
        reply_refusal(visit->exchange, &diag);
    else
        exchange_ask(visit->exchange, visit->database, REQUEST_SCHEMA)->version = (uint32_t)version;
}

static void post_snapshot(const struct visit *visit)
{
    (void)exchange_ask(visit->exchange, visit->database, REQUEST_SNAPSHOT);
}

static void post_check(const struct visit *visit)
{
    (void)exchange_ask(visit->exchange, visit->database, REQUEST_CHECK);
}

static void post_backup(const struct visit *visit)
{
    (void)exchange_ask(visit->exchange, visit->database, REQUEST_BACKUP);
}

static void post_resume(const struct visit *visit)
{
    (void)exchange_ask(visit->exchange, visit->database, REQUEST_RESUME);
}

/* To the desk; NULL when the server has none, and the refusal is made. */
static struct request *ask_desk(const struct visit *visit, enum request_kind kind)
{
    struct exchange *exchange = visit->exchange;
    if (exchange->http->desk == NULL) {
        exchange_reply(exchange, reply_error(404, "this server's databases are what they are"));
        return NULL;
    }
    struct request *request = exchange_ask(exchange, exchange->http->desk, kind);
    request->database = visit->database->id;
    return request;
}

/* With a word from the query as the request's name. */
static void ask_desk_named(const struct visit *visit, enum request_kind kind, const char *parameter, const char *complaint)
{
    char name[NAME_SIZE_MAX + 1];
    size_t size;
    if (head_query(visit->exchange->wsi, parameter, name, sizeof name, &size) != OK) {
        exchange_reply(visit->exchange, reply_error(400, complaint));
        return;
    }
    struct request *request = ask_desk(visit, kind);
    if (request != NULL)
        request->name = memory_copy(name, size + 1);
}

static void post_fork(const struct visit *visit)
{
    ask_desk_named(visit, REQUEST_FORK, "name", "a fork needs a name: add ?name=NEW");
}

static void post_restore(const struct visit *visit)
{
    ask_desk_named(visit, REQUEST_RESTORE, "to", "a rollback needs a moment: add ?to= and an offset or a time");
}

static void delete_database(const struct visit *visit)
{
    (void)ask_desk(visit, REQUEST_DELETE);
}

static void get_logs(const struct visit *visit)
{
    struct diag diag;
    int64_t line_count = -1;
    bool follow = false;
    if (head_query_number(visit->exchange->wsi, "num_lines", &line_count, &diag) != OK ||
        head_query_bool(visit->exchange->wsi, "follow", &follow, &diag) != OK) {
        reply_refusal(visit->exchange, &diag);
        return;
    }
    struct request *request = exchange_ask(visit->exchange, visit->database, REQUEST_LOGS);
    request->line_count = line_count;
    request->follow = follow && !visit->exchange->head_only;
}

static void get_timestamp(const struct visit *visit)
{
    struct buf body = { 0 };
    buf_put_format(&body, "{\"__timestamp_micros_since_unix_epoch__\":%lld}", (long long)clock_wall_us());
    reply_ok(visit->exchange, reply_json, buf_bytes(&body));
    buf_deinit(&body);
}

static void get_subscribe(const struct visit *visit)
{
    exchange_reply(visit->exchange, reply_error(426, "this path is for WebSocket connections"));
}

/* The table. A colon stands for any one part of a path. */
static const struct route {
    const char *pattern;
    enum method method;
    enum caller_need need;
    void (*run)(const struct visit *visit);
} routes[] = {
    { "v1/ping", METHOD_GET, CALLER_CHECKED, get_ping },
    { "v1/health", METHOD_GET, CALLER_IGNORED, get_health },
    { "v1/identity", METHOD_POST, CALLER_IGNORED, post_identity },
    { "v1/identity/public-key", METHOD_GET, CALLER_IGNORED, get_public_key },
    { "v1/identity/websocket-token", METHOD_POST, CALLER_REQUIRED, post_websocket_token },
    { "v1/identity/:/verify", METHOD_GET, CALLER_REQUIRED, get_verify },
    { "v1/identity/:/databases", METHOD_GET, CALLER_IGNORED, get_databases },
    { "v1/database/:", METHOD_GET, CALLER_ANONYMOUS, get_database },
    { "v1/database/:", METHOD_DELETE, CALLER_ANONYMOUS, delete_database },
    { "v1/database/:/fork", METHOD_POST, CALLER_ANONYMOUS, post_fork },
    { "v1/database/:/restore", METHOD_POST, CALLER_ANONYMOUS, post_restore },
    { "v1/database/:/identity", METHOD_GET, CALLER_ANONYMOUS, get_identity },
    { "v1/database/:/names", METHOD_GET, CALLER_ANONYMOUS, get_names },
    { "v1/database/:/call/:", METHOD_POST, CALLER_ANONYMOUS, post_call },
    { "v1/database/:/sql", METHOD_POST, CALLER_ANONYMOUS, post_sql },
    { "v1/database/:/undo", METHOD_POST, CALLER_ANONYMOUS, post_undo },
    { "v1/database/:/schema", METHOD_GET, CALLER_ANONYMOUS, get_schema },
    { "v1/database/:/snapshot", METHOD_POST, CALLER_ANONYMOUS, post_snapshot },
    { "v1/database/:/check", METHOD_POST, CALLER_ANONYMOUS, post_check },
    { "v1/database/:/backup", METHOD_POST, CALLER_ANONYMOUS, post_backup },
    { "v1/database/:/resume", METHOD_POST, CALLER_ANONYMOUS, post_resume },
    { "v1/database/:/logs", METHOD_GET, CALLER_ANONYMOUS, get_logs },
    { "v1/database/:/unstable/timestamp", METHOD_GET, CALLER_ANONYMOUS, get_timestamp },
    { "v1/database/:/subscribe", METHOD_GET, CALLER_ANONYMOUS, get_subscribe },
};

static bool matches(const char *pattern, const struct path *path)
{
    const struct path parts = head_path(bytes_of_text(pattern));
    bool same = parts.count == path->count;
    for (uint32_t idx = 0; same && idx < parts.count; idx++)
        same = bytes_equal_text(parts.segments[idx], ":") || bytes_equal(parts.segments[idx], path->segments[idx]);
    return same;
}

static void run(struct exchange *exchange, const struct route *route, const struct path *path)
{
    struct diag diag;
    struct visit visit = { .exchange = exchange, .path = path };
    const int refusal = caller_read(exchange->wsi, exchange->http->keys, route->need, &exchange->caller, &diag);
    if (refusal != 0) {
        exchange_reply(exchange, reply_error(refusal, diag.text));
        return;
    }
    exchange->shows_caller = route->need == CALLER_ANONYMOUS;
    if (exchange->shows_caller &&
        directory_find(exchange->http->directory, path->segments[2], &visit.database, &diag) != OK)
        reply_refusal(exchange, &diag);
    else
        route->run(&visit);
}

void route_begin(struct exchange *exchange, enum method method, bytes path)
{
    const struct path parts = head_path(path);
    const enum method wanted = method == METHOD_HEAD ? METHOD_GET : method;
    bool known = false;
    if (method == METHOD_OPTIONS && parts.count <= HEAD_SEGMENTS_MAX && bytes_equal_text(parts.segments[0], "v1")) {
        struct reply reply = reply_plain(200, NULL, bytes_of("", 0));
        reply.allow_headers = true;
        exchange_reply(exchange, reply);
        return;
    }
    for (size_t idx = 0; idx < COUNTOF(routes); idx++) {
        if (!matches(routes[idx].pattern, &parts))
            continue;
        known = true;
        if (routes[idx].method == wanted) {
            run(exchange, &routes[idx], &parts);
            return;
        }
    }
    exchange_reply(exchange, known ? reply_error(405, "this path does not take this method")
                                   : reply_error(404, "there is nothing at this path"));
}

const char *route_check_body(const struct request *request)
{
    if (text_is_utf8(buf_bytes(&request->body)))
        return NULL;
    return "the body is not UTF-8";
}
