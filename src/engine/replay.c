#include "engine/replay.h"

#include "engine/engine.h"
#include "engine/tick.h"
#include "sats/bsatn.h"
#include "sats/json.h"
#include "txn/txn.h"

#include <inttypes.h>
#include <stdlib.h>

/* More than a server gives, so that a slow machine or a smaller default is no difference. */
static const struct module_limits replay_limits = {
    .call_us = 60 * 1000 * 1000,
    .load_us = 60 * 1000 * 1000,
    .memory_max = 1 << 30,
};

void replay_deinit(struct replay *replay)
{
    buf_deinit(&replay->call);
    buf_deinit(&replay->failure);
    buf_deinit(&replay->differences);
}

/* --- What is to be run --- */

static err refuse_kind(const struct history_event *event, const char *what, struct diag *diag)
{
    return diag_set(diag, ERR_BAD_REQUEST, "the record at offset %" PRIu64 " is %s: it ran no code", event->offset,
                    what);
}

static err find_lifecycle(const struct history_event *event, enum lifecycle lifecycle, const char *what,
                          uint32_t *reducer, struct diag *diag)
{
    const int32_t place = event->schema != NULL ? event->schema->lifecycle[lifecycle] : -1;
    if (place < 0)
        return refuse_kind(event, what, diag);
    *reducer = (uint32_t)place;
    return OK;
}

static err find_scheduled(const struct history_event *event, uint32_t *reducer, struct diag *diag)
{
    for (uint32_t idx = 0; event->schema != NULL && idx < event->schema->schedule_count; idx++) {
        const struct schedule_def *schedule = &event->schema->schedules[idx];
        if (schedule->id == event->record.schedule_id) {
            *reducer = schedule->reducer;
            return OK;
        }
    }
    return diag_set(diag, ERR_CORRUPT, "the log's record at offset %" PRIu64 " is of the unknown schedule %" PRIu32,
                    event->offset, event->record.schedule_id);
}

static err find_reducer(const struct history_event *event, const struct image *image, uint32_t *reducer,
                        struct diag *diag)
{
    *reducer = event->record.reducer;
    switch (event->record.kind) {
    case RECORD_CONNECT:
        return find_lifecycle(event, LIFECYCLE_CONNECT, "a connect, and the module has no client_connected", reducer,
                              diag);
    case RECORD_DISCONNECT:
        return find_lifecycle(event, LIFECYCLE_DISCONNECT, "a disconnect, and the module has no client_disconnected",
                              reducer, diag);
    case RECORD_PUBLISH:
        if (image->was_published)
            return refuse_kind(event, "the publish of a later version", diag);
        return find_lifecycle(event, LIFECYCLE_INIT, "a publish, and the module has no init", reducer, diag);
    case RECORD_TICK: return find_scheduled(event, reducer, diag);
    case RECORD_RESERVE: return refuse_kind(event, "a reservation of a sequence's values", diag);
    case RECORD_UNDO: return refuse_kind(event, "an undo", diag);
    case RECORD_SQL: return refuse_kind(event, "an SQL statement, and no reducer ran", diag);
    case RECORD_CALL: break;
    }
    if (event->schema == NULL || *reducer >= event->schema->reducer_count)
        return diag_set(diag, ERR_CORRUPT, "the log's record at offset %" PRIu64 " calls the unknown reducer %" PRIu32,
                        event->offset, *reducer);
    return OK;
}

/* Arguments were checked when they came; the file may have been written by who knows whom. */
static err describe_call(struct replay *replay, const struct history_event *event, uint32_t reducer, struct diag *diag)
{
    const struct reducer_def *def = &event->schema->reducers[reducer];
    size_t used;
    buf_put_bytes(&replay->call, def->name);
    replay->timestamp_us = event->record.timestamp_us;
    replay->publish_offset = event->publish_offset;
    memcpy(replay->hash, event->hash, sizeof replay->hash);
    if (event->caller != NULL)
        replay->who = event->caller->who;
    if (event->record.kind != RECORD_CALL)
        return OK;
    if (bsatn_check_args(def->params, event->record.args, &used, diag) != OK) {
        diag_note(diag, "the log's record at offset %" PRIu64 ": ", event->offset);
        return diag->code = ERR_CORRUPT;
    }
    buf_put_u8(&replay->call, ' ');
    json_print(&replay->call, def->params, bytes_of(event->record.args.at, used), JSON_TYPED);
    return OK;
}

/* The module in force, from the texts in its PUBLISH record. */
static err load_module(const struct replay *replay, const struct history_event *event, const struct image *image,
                       struct module **module, struct diag *diag)
{
    struct record publish = event->record;
    *module = NULL;
    if (event->record.kind != RECORD_PUBLISH)
        TRY(record_decode(buf_bytes(&image->publish), &publish, diag));
    TRY(module_load_kept(module, publish.files, publish.file_count, &replay_limits, replay->log, NULL, diag));
    if (bytes_equal(module_def(*module), publish.def))
        return OK;
    module_free(*module);
    *module = NULL;
    return diag_set(diag, ERR_MODULE,
                    "the module published at offset %" PRIu64 " describes itself differently now: another version of "
                    "stdb-lua ran it",
                    event->publish_offset);
}

/* --- Sequences --- */

/* The values that new rows carry, and no row that went. */
static void rewind_sequence(struct table *table, uint32_t place, const struct history_change *change)
{
    const uint32_t column = table->sequences[place].def->column;
    const size_t size = (size_t)table->def->columns[column].type->fixed_size;
    const uint64_t window = ((uint64_t)change->insert_count / SEQUENCE_BATCH + 2) * SEQUENCE_BATCH;
    const uint8_t *row = change->rows.at;
    struct map gone;
    map_init(&gone);
    for (uint32_t idx = 0; idx < change->delete_count + change->insert_count; idx++) {
        const bytes value = bytes_of(table_column(table, row, column), size);
        if (idx < change->delete_count)
            map_put(&gone, value, table);
        else if (map_find(&gone, value) == NULL)
            sequence_go_back(table, place, value.at, window);
        row += bsatn_size(table->def->row_type, row);
    }
    map_deinit(&gone);
}

static err rewind_sequences(const struct history_event *event, struct store *store, struct diag *diag)
{
    struct reader left;
    uint32_t count;
    TRY(history_change_count(event, &left, &count, diag));
    for (uint32_t idx = 0; idx < count; idx++) {
        struct history_change change;
        TRY(history_change_next(event, &left, &change, diag));
        struct table *table = store_find(store, change.table->id);
        for (uint32_t place = 0; table != NULL && place < table->sequence_count; place++)
            rewind_sequence(table, place, &change);
    }
    return OK;
}

/* --- Comparing --- */

struct changed_row {
    const struct table_def *table;
    bool is_insert;
    bytes row;
};

static int compare_rows(const void *left_row, const void *right_row)
{
    const struct changed_row *left = left_row, *right = right_row;
    if (left->table->id != right->table->id)
        return left->table->id < right->table->id ? -1 : 1;
    if (left->is_insert != right->is_insert)
        return left->is_insert ? 1 : -1;
    const size_t size = left->row.size < right->row.size ? left->row.size : right->row.size;
    const int order = memcmp(left->row.at, right->row.at, size);
    return order != 0 ? order : (left->row.size > right->row.size) - (left->row.size < right->row.size);
}

/* All rows of a delta, in an order of their own. */
static err list_rows(const struct history_event *event, struct buf *list, struct diag *diag)
{
    struct reader left;
    uint32_t count;
    TRY(history_change_count(event, &left, &count, diag));
    for (uint32_t idx = 0; idx < count; idx++) {
        struct history_change change;
        TRY(history_change_next(event, &left, &change, diag));
        const uint8_t *at = change.rows.at;
        for (uint32_t place = 0; place < change.delete_count + change.insert_count; place++) {
            const size_t size = bsatn_size(change.table->row_type, at);
            const struct changed_row one = { change.table, place >= change.delete_count, bytes_of(at, size) };
            buf_put(list, &one, sizeof one);
            at += size;
        }
    }
    if (list->size > 0)
        qsort(list->data, list->size / sizeof(struct changed_row), sizeof(struct changed_row), compare_rows);
    return OK;
}

static void print_difference(struct buf *out, const char *whose, const struct changed_row *row)
{
    buf_put_format(out, "%s %c %.*s ", whose, row->is_insert ? '+' : '-', BYTES_FORMAT(row->table->name));
    json_print(out, row->table->row_type, row->row, JSON_TYPED);
    buf_put_u8(out, '\n');
}

static void compare_lists(struct replay *replay, const struct buf *logged, const struct buf *replayed)
{
    const struct changed_row *left = (const void *)logged->data, *right = (const void *)replayed->data;
    const struct changed_row *left_end = left + logged->size / sizeof *left;
    const struct changed_row *right_end = right + replayed->size / sizeof *right;
    replay->row_count = (uint32_t)(left_end - left);
    while (left < left_end || right < right_end) {
        const int order = left == left_end ? 1 : right == right_end ? -1 : compare_rows(left, right);
        if (order < 0)
            print_difference(&replay->differences, "logged  ", left);
        if (order > 0)
            print_difference(&replay->differences, "replayed", right);
        left += order <= 0;
        right += order >= 0;
    }
    replay->is_same = replay->differences.size == 0;
}

static err compare(struct replay *replay, const struct history_event *logged, bytes delta, struct diag *diag)
{
    struct history_event replayed = *logged;
    struct buf logged_rows = { 0 }, replayed_rows = { 0 };
    replayed.record.delta = delta;
    err code = list_rows(logged, &logged_rows, diag);
    if (code == OK)
        code = list_rows(&replayed, &replayed_rows, diag);
    if (code == OK)
        compare_lists(replay, &logged_rows, &replayed_rows);
    buf_deinit(&logged_rows);
    buf_deinit(&replayed_rows);
    return code;
}

/* --- Running --- */

/* Runs what the record ran, in a transaction that is open when it comes back with OK. */
static err run_code(const struct history_event *event, uint32_t reducer, struct module *module, struct txn *txn,
                    const struct call_context *context, struct diag *diag)
{
    const struct record *record = &event->record;
    if (record->kind != RECORD_TICK) {
        txn_begin(txn);
        const err code = module_call(module, txn, context, reducer, record->args, diag);
        if (code != OK)
            txn_abort(txn);
        return code;
    }
    struct tick tick;
    err code = diag_set(diag, ERR_NO_ROW, "the row of the tick is not there");
    if (tick_init(&tick, txn_store(txn), record->schedule_id, record->row_id, record->tick_us)) {
        code = tick_run(&tick, module, txn, context, diag);
        if (code != OK && !record->tick_failed)
            txn_abort(txn);
    }
    tick_deinit(&tick);
    return record->tick_failed && txn_is_open(txn) ? OK : code;
}

/* Appends the delta of what the reducer does; an empty one when it fails. */
static void run_reducer(struct replay *replay, const struct history_event *event, uint32_t reducer,
                        struct module *module, struct store *store, struct buf *delta)
{
    struct call_context context = { .timestamp_us = event->record.timestamp_us, .random_seed = event->record.seed };
    struct txn *txn = txn_new(store, &engine_txn_limits);
    const struct delta *made = NULL;
    struct diag refusal;
    if (event->caller != NULL) {
        context.sender = event->caller->who;
        context.connection = event->caller->connection;
    }
    module_bind(module, store);
    if (event->record.kind == RECORD_TICK)
        context.sender = *history_database(replay->history);
    if (run_code(event, reducer, module, txn, &context, &refusal) == OK)
        made = txn_commit(txn);
    else
        buf_put_format(&replay->failure, "%s", refusal.text);
    if (made != NULL)
        delta_encode(delta, made);
    else
        buf_put_u32(delta, 0);
    txn_free(txn);
}

static err run_on(struct replay *replay, const struct history_event *event, uint32_t reducer, struct image *image,
                  struct diag *diag)
{
    struct buf delta = { 0 };
    struct module *module;
    TRY(load_module(replay, event, image, &module, diag));
    err code = OK;
    if (event->record.kind == RECORD_PUBLISH)
        code = image_migrate(image, &event->record, diag);
    if (code == OK)
        code = rewind_sequences(event, &image->store, diag);
    if (code == OK) {
        run_reducer(replay, event, reducer, module, &image->store, &delta);
        code = compare(replay, event, buf_bytes(&delta), diag);
    }
    module_free(module);
    buf_deinit(&delta);
    return code;
}

static err read_event(struct replay *replay, uint64_t offset, struct history_event *event, struct diag *diag)
{
    bool found;
    TRY(history_seek(replay->history, offset, diag));
    TRY(history_next(replay->history, &found, event, diag));
    if (!found)
        return diag_set(diag, ERR_NOT_FOUND, "the log ends at offset %" PRIu64, offset);
    return OK;
}

err replay_run(struct replay *replay, uint64_t offset, struct diag *diag)
{
    struct history_event event;
    struct image image;
    uint32_t reducer;
    TRY(read_event(replay, offset, &event, diag));
    image_init(&image);
    err code = history_image_before(replay->history, offset, &image, diag);
    if (code == OK)
        code = find_reducer(&event, &image, &reducer, diag);
    if (code == OK)
        code = describe_call(replay, &event, reducer, diag);
    if (code == OK)
        code = run_on(replay, &event, reducer, &image, diag);
    image_deinit(&image);
    return code;
}
