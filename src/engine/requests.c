#include "engine/requests.h"

#include "base/clock.h"
#include "base/text.h"
#include "engine/answer.h"
#include "engine/as_of.h"
#include "engine/call.h"
#include "engine/founding.h"
#include "engine/inspection.h"
#include "engine/past.h"
#include "engine/snapshot_request.h"
#include "engine/sql_run.h"
#include "engine/undo.h"

enum {
    STATUS_OK = 200, STATUS_BAD_REQUEST = 400, STATUS_FORBIDDEN = 403, STATUS_NOT_FOUND = 404,
    STATUS_INTERNAL = 500, STATUS_UNAVAILABLE = 503, STATUS_REDUCER_FAILED = 530, /* SpacetimeDB's own: the reducer said no */
};

static const char *const CONTENT_JSON = "application/json";
static const char *const CONTENT_TEXT = "text/plain; charset=utf-8";

/* A call is acknowledged when it is on disk; what only reads may say that it need not wait. */
void request_reply(struct engine *engine, struct request *request)
{
    const bool waits = request->confirmed || request->kind == REQUEST_CALL;
    struct packet *packet = memory_new(sizeof *packet);
    packet->kind = PACKET_REPLY;
    packet->to.request = request;
    packet->needs = waits ? wal_next_offset(engine->wal) : 0;
    port_send(engine->port, packet);
}

static void set_text(struct request *request, int status, const char *text)
{
    request->status = status;
    request->content_type = CONTENT_TEXT;
    buf_clear(&request->answer);
    buf_put_text(&request->answer, text);
}

void request_set_json(struct request *request)
{
    request->status = STATUS_OK;
    request->content_type = CONTENT_JSON;
}

static int status_of_refusal(err code)
{
    switch (code) {
    case ERR_FORBIDDEN: return STATUS_FORBIDDEN;
    case ERR_NOT_FOUND: return STATUS_NOT_FOUND;
    case ERR_BUSY: return STATUS_UNAVAILABLE;
    case ERR_DISK:
    case ERR_CORRUPT: return STATUS_INTERNAL;
    default: return STATUS_BAD_REQUEST;
    }
}

void request_refuse(struct request *request, const struct diag *diag)
{
    set_text(request, status_of_refusal(diag->code), diag->text);
}

static int status_of_call(err code)
{
    switch (code) {
    case ERR_NO_REDUCER: return STATUS_NOT_FOUND;
    case ERR_FORBIDDEN:
    case ERR_BAD_ARGS: return STATUS_BAD_REQUEST;
    default: return STATUS_REDUCER_FAILED;
    }
}

static void run_call(struct engine *engine, struct request *request, const struct caller *caller)
{
    const bool is_owner = memcmp(&caller->who, &engine->owner, sizeof caller->who) == 0;
    const int64_t start = clock_monotonic_us();
    struct buf args = { 0 };
    struct diag diag;
    uint32_t reducer;
    err code = call_prepare(engine, bytes_of_text(request->name), is_owner, &reducer, &diag);
    if (code == OK)
        code = call_parse_args(engine, reducer, buf_bytes(&request->body), &args, &diag);
    if (code == OK)
        code = call_run(engine, caller, NULL, reducer, buf_bytes(&args), NULL, NULL, &diag);
    if (code == OK)
        set_text(request, STATUS_OK, "");
    else
        set_text(request, status_of_call(code), diag.text);
    request->duration_us = clock_monotonic_us() - start;
    buf_deinit(&args);
}

static void answer_sql(struct engine *engine, struct request *request, const struct caller *who)
{
    struct diag diag;
    if (sql_run(engine, who, buf_bytes(&request->body), &request->answer, &request->duration_us, &diag) == OK)
        request_set_json(request);
    else
        set_text(request, STATUS_BAD_REQUEST, diag.text);
}

/* Calls and SQL come from a client that is there for the length of the request: the module sees it connect
 * and go, and may refuse it. */
static void run_as_client(struct engine *engine, struct request *request,
                          void (*run)(struct engine *, struct request *, const struct caller *))
{
    struct caller caller = { .who = request->who, .number = ++engine->last_client };
    struct diag diag;
    random_bytes(caller.connection.at, sizeof caller.connection.at);
    if (call_run_lifecycle(engine, &caller, LIFECYCLE_CONNECT, false, &diag) != OK) {
        set_text(request, STATUS_FORBIDDEN, diag.text);
        request_reply(engine, request);
        return;
    }
    run(engine, request, &caller);
    (void)call_run_lifecycle(engine, &caller, LIFECYCLE_DISCONNECT, true, &diag);
    request_reply(engine, request);
}

/* What is asked about the past needs no client: nothing happens. */
static void ask(struct engine *engine, struct request *request)
{
    bytes sql = buf_bytes(&request->body), when;
    struct diag diag;
    const bool has_clause = as_of_cut(&sql, &when);
    if (has_clause && request->as_of != NULL) {
        diag_set(&diag, ERR_BAD_REQUEST, "the moment is said twice: by AS OF and by the query parameter `as_of`");
        request_refuse(request, &diag);
        request_reply(engine, request);
    } else if (has_clause || request->as_of != NULL) {
        past_ask(engine, request, sql, has_clause ? when : bytes_of_text(request->as_of));
    } else {
        run_as_client(engine, request, answer_sql);
    }
}

static void print_schema(struct engine *engine, struct request *request)
{
    request->status = STATUS_OK;
    request->content_type = CONTENT_JSON;
    if (request->version == 9)
        schema_print_v9(&request->answer, engine->store.schema);
    else if (request->version == 10)
        schema_print_v10(&request->answer, engine->store.schema);
    else
        set_text(request, STATUS_BAD_REQUEST, "the schema comes in version 9 or 10: add ?version=10");
    request_reply(engine, request);
}

static void print_identity(struct buf *out, const identity *who)
{
    buf_put_text(out, "{\"__identity__\":\"");
    number_print_hex(out, who->at, sizeof who->at, false);
    buf_put_text(out, "\"}");
}

/* The hash is printed as a number whose little-endian bytes it is, as SpacetimeDB has it. */
static void print_info(struct engine *engine, struct request *request)
{
    struct buf *out = &request->answer;
    request->status = STATUS_OK;
    request->content_type = CONTENT_JSON;
    buf_put_text(out, "{\"database_identity\":");
    print_identity(out, &engine->identity);
    buf_put_text(out, ",\"owner_identity\":");
    print_identity(out, &engine->owner);
    buf_put_text(out, ",\"host_type\":{\"Js\":[]},\"initial_program\":\"");
    number_print_hex(out, engine->first_hash, sizeof engine->first_hash, false);
    buf_put_text(out, "\"}");
    request_reply(engine, request);
}

static void resume_schedules(struct engine *engine, struct request *request)
{
    struct diag diag;
    if (memcmp(&request->who, &engine->owner, sizeof request->who) != 0)
        set_text(request, STATUS_FORBIDDEN, "only the database's owner may resume its schedules");
    else if (!engine->schedules_paused)
        set_text(request, STATUS_OK, "its schedules are not paused");
    else if (founding_end_pause(engine->disk, engine->dir, &diag) != OK)
        set_text(request, STATUS_INTERNAL, diag.text);
    else
        set_text(request, STATUS_OK, "its schedules run from now on");
    if (request->status == STATUS_OK)
        engine->schedules_paused = false;
    request_reply(engine, request);
}

static void serve_logs(struct engine *engine, struct request *request)
{
    if (memcmp(&request->who, &engine->owner, sizeof request->who) != 0)
        set_text(request, STATUS_FORBIDDEN, "only the database's owner may read its log");
    else
        (void)module_log_serve(engine->module_log, request);
    request_reply(engine, request);
}

static void end_logs(struct engine *engine, struct request *request)
{
    module_log_end(engine->module_log, request->subject);
    request_reply(engine, request);
}

void requests_run(struct engine *engine, struct request *request)
{
    request->duration_us = -1;
    switch (request->kind) {
    case REQUEST_CALL: run_as_client(engine, request, run_call); break;
    case REQUEST_SQL: ask(engine, request); break;
    case REQUEST_UNDO: undo_begin(engine, request); break;
    case REQUEST_SCHEMA: print_schema(engine, request); break;
    case REQUEST_INFO: print_info(engine, request); break;
    case REQUEST_SNAPSHOT:
    case REQUEST_BACKUP: snapshot_request_run(engine, request); break;
    case REQUEST_CHECK: inspection_request(engine, request); break;
    case REQUEST_RESUME: resume_schedules(engine, request); break;
    case REQUEST_FORK:
    case REQUEST_RESTORE:
    case REQUEST_DELETE: unreachable(); /* these go to the server's desk */
    case REQUEST_LOGS: serve_logs(engine, request); break;
    case REQUEST_LOGS_END: end_logs(engine, request); break;
    }
}
