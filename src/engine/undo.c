#include "engine/undo.h"

#include "base/clock.h"
#include "base/text.h"
#include "engine/aside.h"
#include "engine/call.h"
#include "engine/requests.h"
#include "engine/undo_plan.h"
#include "sats/json.h"

#include <inttypes.h>

enum { STATUS_CONFLICT = 409, ROUNDS_MAX = 10, SELECTION_SIZE_MAX = 1000 };

struct undo_job {
    struct aside_job head;
    struct selection selection; /* its text is the request's */
    struct undo_plan plan;
    uint32_t rounds;
};

static err make_plan(struct aside *aside, struct aside_job *head, struct history *history, struct diag *diag)
{
    struct undo_job *job = container_of(head, struct undo_job, head);
    undo_plan_deinit(&job->plan);
    undo_plan_init(&job->plan);
    return undo_plan_make(&job->plan, history, &job->selection, diag);
}

static void job_free(struct undo_job *job)
{
    undo_plan_deinit(&job->plan);
    memory_free(job);
}

/* --- Carrying it out --- */

static bool is_to_be_done(const struct request *request, const struct undo_row *row)
{
    return undo_row_matters(row) && !(request->leaves_conflicts && undo_row_conflicts(row));
}

static bool has_conflicts(const struct undo_plan *plan)
{
    for (uint32_t idx = 0; idx < undo_plan_count(plan); idx++) {
        const struct undo_row *row = undo_plan_row(plan, idx);
        if (undo_row_matters(row) && undo_row_conflicts(row))
            return true;
    }
    return false;
}

/* ERR_BUSY: the row is not what the plan says. */
static err refuse_stale(struct diag *diag)
{
    return diag_set(diag, ERR_BUSY, "the rows to be undone are being changed all the time; try again");
}

static err take_row(struct engine *engine, const struct undo_row *row, struct diag *diag)
{
    struct table *table = store_find(&engine->store, row->table_id);
    const rowref ref = table != NULL ? table_find_equal(table, row->left) : ROWREF_NONE;
    return ref != ROWREF_NONE ? txn_delete(engine->txn, table, ref, diag) : refuse_stale(diag);
}

static err bring_row(struct engine *engine, const struct undo_row *row, struct diag *diag)
{
    struct table *table = store_find(&engine->store, row->table_id);
    struct buf text = { 0 };
    rowref stored;
    if (table == NULL || table_find_equal(table, row->before) != ROWREF_NONE)
        return refuse_stale(diag);
    const err code = txn_insert(engine->txn, table, row->before, &stored, diag);
    if (code != OK) {
        json_print(&text, table->def->row_type, row->before, JSON_TYPED);
        diag_note(diag, "%.*s %.*s cannot come back: ", BYTES_FORMAT(table->def->name), BYTES_FORMAT(buf_bytes(&text)));
    }
    buf_deinit(&text);
    return code;
}

/* First everything goes, then everything comes: so keys that wandered between these rows find their places free. */
static err change_rows(struct engine *engine, const struct undo_job *job, struct diag *diag)
{
    const struct undo_plan *plan = &job->plan;
    for (uint32_t idx = 0; idx < undo_plan_count(plan); idx++) {
        const struct undo_row *row = undo_plan_row(plan, idx);
        if (is_to_be_done(job->head.request, row) && row->left.at != NULL)
            TRY(take_row(engine, row, diag));
    }
    for (uint32_t idx = 0; idx < undo_plan_count(plan); idx++) {
        const struct undo_row *row = undo_plan_row(plan, idx);
        if (is_to_be_done(job->head.request, row) && row->before.at != NULL)
            TRY(bring_row(engine, row, diag));
    }
    return OK;
}

static bool does_anything(const struct undo_job *job)
{
    for (uint32_t idx = 0; idx < undo_plan_count(&job->plan); idx++)
        if (is_to_be_done(job->head.request, undo_plan_row(&job->plan, idx)))
            return true;
    return false;
}

/* *offset is that of the new record, where there is one. */
static err carry_out(struct engine *engine, const struct undo_job *job, uint64_t *offset, struct diag *diag)
{
    const struct request *request = job->head.request;
    engine->now_us = clock_wall_us();
    const struct record record = { .kind = RECORD_UNDO,
                                   .timestamp_us = engine->now_us,
                                   .who = request->who,
                                   .args = buf_bytes(&request->body) };
    if (job->plan.end <= engine->publish_offset) /* the tables may have changed their shape */
        return refuse_stale(diag);
    txn_begin(engine->txn);
    const err code = change_rows(engine, job, diag);
    if (code != OK || request->is_trial) {
        txn_abort(engine->txn);
        return code;
    }
    *offset = wal_next_offset(engine->wal);
    call_commit(engine, &record, NULL, NULL, NULL);
    return OK;
}

/* --- The answer --- */

static const struct table_def *table_of(const struct undo_plan *plan, const struct undo_row *row)
{
    for (uint32_t idx = 0; idx < plan->schema->table_count; idx++)
        if (plan->schema->tables[idx].id == row->table_id)
            return &plan->schema->tables[idx];
    unreachable();
}

static void print_row(struct buf *out, const char *name, const struct table_def *table, bytes row)
{
    buf_put_format(out, ",\"%s\":", name);
    if (row.at != NULL)
        json_print(out, table->row_type, row, JSON_TYPED);
    else
        buf_put_text(out, "null");
}

static void print_blame(struct buf *out, const struct undo_blame *blame)
{
    buf_put_format(out, ",\"offset\":%" PRIu64 ",\"time\":\"", blame->offset);
    timestamp_print(out, blame->timestamp_us);
    buf_put_text(out, "\",\"caller\":");
    buf_put_text(out, blame->has_who ? "\"" : "null");
    if (blame->has_who) {
        identity_print(out, &blame->who);
        buf_put_u8(out, '"');
    }
    buf_put_text(out, ",\"what\":");
    json_print_string(out, blame->what);
}

static void print_list(struct buf *out, const struct undo_job *job, bool of_conflicts)
{
    const struct undo_plan *plan = &job->plan;
    bool any = false;
    for (uint32_t idx = 0; idx < undo_plan_count(plan); idx++) {
        const struct undo_row *row = undo_plan_row(plan, idx);
        const bool conflicts = undo_row_matters(row) && undo_row_conflicts(row);
        if (of_conflicts ? !conflicts : conflicts || !undo_row_matters(row))
            continue;
        const struct table_def *table = table_of(plan, row);
        buf_put_text(out, any ? ",{\"table\":" : "{\"table\":");
        json_print_string(out, table->name);
        print_row(out, of_conflicts ? "left" : "from", table, row->left);
        print_row(out, of_conflicts ? "now" : "to", table, of_conflicts ? row->now : row->before);
        if (of_conflicts)
            print_blame(out, row->blame);
        buf_put_u8(out, '}');
        any = true;
    }
}

static void print_answer(struct request *request, const struct undo_job *job, uint64_t offset)
{
    struct buf *out = &request->answer;
    request_set_json(request);
    buf_put_format(out, "{\"dry_run\":%s,\"offset\":", request->is_trial ? "true" : "false");
    if (offset != UINT64_MAX)
        buf_put_format(out, "%" PRIu64, offset);
    else
        buf_put_text(out, "null");
    buf_put_format(out, ",\"records\":%" PRIu32 ",\"event_rows\":%" PRIu64 ",\"changes\":[", job->plan.record_count,
                   job->plan.event_rows);
    print_list(out, job, false);
    buf_put_text(out, "],\"conflicts\":[");
    print_list(out, job, true);
    buf_put_text(out, "]}");
}

/* --- The request --- */

/* With a plan: done, refused, or ERR_BUSY to make another plan. */
static err answer(struct engine *engine, struct undo_job *job, struct diag *diag)
{
    struct request *request = job->head.request;
    const bool stops = has_conflicts(&job->plan) && !request->leaves_conflicts;
    uint64_t offset = UINT64_MAX;
    if (!stops && does_anything(job))
        TRY(carry_out(engine, job, &offset, diag));
    print_answer(request, job, offset);
    if (stops)
        request->status = STATUS_CONFLICT;
    return OK;
}

static void finish(struct engine *engine, struct aside_job *head)
{
    struct undo_job *job = container_of(head, struct undo_job, head);
    struct diag *diag = &head->diag;
    err code = head->code;
    if (code == OK && (code = answer(engine, job, diag)) == ERR_BUSY && ++job->rounds < ROUNDS_MAX &&
        aside_begin(engine->aside, head, diag) == OK)
        return;
    if (code != OK)
        request_refuse(head->request, diag);
    if (code == ERR_UNIQUE)
        head->request->status = STATUS_CONFLICT;
    request_reply(engine, head->request);
    job_free(job);
}

static err begin(struct engine *engine, struct request *request, struct diag *diag)
{
    struct selection selection;
    if (memcmp(&request->who, &engine->owner, sizeof request->who) != 0)
        return diag_set(diag, ERR_FORBIDDEN, "only the database's owner may undo");
    if (request->body.size > SELECTION_SIZE_MAX)
        return diag_set(diag, ERR_BAD_REQUEST, "what is to be undone is said in %d bytes at most", SELECTION_SIZE_MAX);
    TRY(selection_parse(buf_bytes(&request->body), &selection, diag));
    struct undo_job *job = memory_new(sizeof *job);
    job->head = (struct aside_job){ .request = request, .work = make_plan, .finish = finish };
    job->selection = selection;
    undo_plan_init(&job->plan);
    const err code = aside_begin(engine->aside, &job->head, diag);
    if (code != OK)
        job_free(job);
    return code;
}

void undo_begin(struct engine *engine, struct request *request)
{
    struct diag diag;
    if (begin(engine, request, &diag) == OK)
        return;
    request_refuse(request, &diag);
    request_reply(engine, request);
}
