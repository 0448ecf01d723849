#include "sub/first_rows.h"

#include "base/background.h"
#include "sub/row_index.h"
#include "sub/table_watch.h"

enum { LOOK_EVERY = 512 }; /* rows, between looks at who else wants something */
/* For one join: it may have far more pairs than rows that come out. */
static const int64_t JOIN_TIME_MAX_US = 60 * 1000000;

struct first_rows *first_rows_new(const struct query *query, bytes text, const struct query_caller *caller)
{
    struct first_rows *rows = memory_new(sizeof *rows);
    for (uint32_t side = 0; side < 2; side++)
        rows->table_ids[side] = query->join != NULL ? query->join->tables[side]->id : query->table->id;
    check(((rows->table_ids[0] | rows->table_ids[1]) & SCHEMA_DERIVED_ID) == 0);
    rows->holders = 1;
    rows->text = bytes_of(memory_copy(text.at, text.size), text.size);
    rows->caller = *caller;
    rows->caller.catalog = NULL; /* another thread compiles the text again; it is about tables of the schema alone */
    row_list_init(&rows->rows);
    return rows;
}

struct first_rows *first_rows_hold(struct first_rows *rows)
{
    rows->holders++;
    return rows;
}

void first_rows_let_go(struct first_rows *rows)
{
    if (rows == NULL || --rows->holders > 0)
        return;
    if (rows->known != NULL)
        *rows->known = NULL;
    row_list_deinit(&rows->rows);
    shared_unref(rows->encoded);
    shared_unref(rows->translation.rows);
    memory_free((void *)rows->text.at);
    memory_free(rows);
}

/* One query at work. */
struct task {
    struct first_rows *rows;
    struct query *query;
    struct watcher watcher; /* of a query over one table */
};

struct worker {
    struct frozen *frozen;
    const atomic_bool *stops;
    struct task *tasks; /* owned */
    uint32_t task_count;
    uint64_t row_number;
};

/* Once a row. */
static bool goes_on(struct worker *worker)
{
    if (++worker->row_number % LOOK_EVERY != 0)
        return true;
    background_stand_back();
    return !atomic_load_explicit(worker->stops, memory_order_relaxed);
}

static void add_row(struct task *task, bytes row)
{
    struct first_rows *rows = task->rows;
    const uint64_t size = rows->rows.rows.size + row.size + (rows->rows.count + 1ull) * sizeof(uint64_t);
    if (rows->code == OK && size > SUBS_ROWS_SIZE_MAX)
        rows->code =
            diag_set(&rows->diag, ERR_TOO_LARGE, "the rows of these queries are more than one message can hold");
    if (rows->code == OK)
        row_list_add(&rows->rows, row);
}

/* Queries over one table -------------------------------------------------------------------------------------- */

struct arrival {
    const struct worker *worker;
    bytes row;
};

static void offer(void *context, struct watcher *watcher)
{
    const struct arrival *arrival = context;
    struct task *task = container_of(watcher, struct task, watcher);
    if (watcher->found_by == arrival->worker->row_number)
        return;
    watcher->found_by = arrival->worker->row_number;
    if (query_matches(task->query, arrival->row.at))
        add_row(task, arrival->row);
}

static void read_table(struct worker *worker, const struct table_watch *watch, uint32_t table)
{
    rowref ref = ROWREF_NONE;
    for (const struct row *row; (row = frozen_pass(worker->frozen, table, &ref)) != NULL;) {
        struct arrival arrival = { worker, row_bytes(row) };
        if (!goes_on(worker))
            return;
        for (uint32_t place = 0; place < watch->whole.post_count; place++)
            offer(&arrival, table_watch_standing(&watch->whole, place));
        if (table_watch_looks_up(watch))
            table_watch_find(watch, NULL, row->data, offer, &arrival);
    }
}

/* Passes the table (frozen_pass): nobody reads it after this. */
static void run_singles(struct worker *worker, uint32_t table)
{
    const struct table_def *def = &frozen_schema(worker->frozen)->tables[table];
    struct table_watch *watch = table_watch_new(def);
    for (uint32_t idx = 0; idx < worker->task_count; idx++) {
        struct task *task = &worker->tasks[idx];
        if (task->query->join != NULL || task->query->table != def || task->query->never)
            continue;
        task->watcher.gates = &task->query->filter.gates;
        table_watch_add(watch, &task->watcher);
    }
    if (!table_watch_is_empty(watch))
        read_table(worker, watch, table);
    table_watch_free(watch);
}

/* Joins --------------------------------------------------------------------------------------------------------- */

static uint32_t place_of(const struct worker *worker, const struct table_def *table)
{
    return (uint32_t)(table - frozen_schema(worker->frozen)->tables);
}

static void index_side(struct worker *worker, const struct task *task, uint32_t side, struct row_index *index,
                       struct budget *budget)
{
    const struct query_join *join = task->query->join;
    rowref ref = ROWREF_NONE;
    for (const struct row *row;
         (row = frozen_next(worker->frozen, place_of(worker, join->tables[side]), &ref)) != NULL;) {
        if (!goes_on(worker) || !budget_take_row(budget))
            return;
        if (query_side_matches(task->query, side, row->data))
            row_index_add(index, row_bytes(row), partners_value(join->tables[side], row->data, join->columns[side]),
                          false);
    }
}

static void pair_row(struct task *task, const struct row_index *index, bytes row, struct budget *budget)
{
    const struct query_join *join = task->query->join;
    const bytes value = partners_value(join->tables[0], row.at, join->columns[0]);
    for (const struct row_entry *entry = row_index_find(index, value); entry != NULL;
         entry = row_index_next(index, entry)) {
        if (task->rows->code != OK || !budget_take_row(budget))
            return;
        if (query_pair_matches(task->query, row.at, entry->row.at))
            add_row(task, join->output == 0 ? row : entry->row);
    }
}

static void run_join(struct worker *worker, struct task *task)
{
    struct row_index index = { 0 };
    struct budget budget = {
        .rows_max = UINT64_MAX, .bytes_max = UINT64_MAX, .time_max_us = JOIN_TIME_MAX_US, .diag = &task->rows->diag
    };
    budget_begin(&budget);
    index_side(worker, task, 1, &index, &budget);
    rowref ref = ROWREF_NONE;
    for (const struct row *row;
         (row = frozen_next(worker->frozen, place_of(worker, task->query->join->tables[0]), &ref)) != NULL;) {
        if (!goes_on(worker) || task->rows->code != OK || budget.code != OK || !budget_take_row(&budget))
            break;
        if (query_side_matches(task->query, 0, row->data))
            pair_row(task, &index, row_bytes(row), &budget);
    }
    if (task->rows->code == OK)
        task->rows->code = budget.code;
    row_index_deinit(&index);
}

/* Together ------------------------------------------------------------------------------------------------------ */

static void copy_large(uint8_t *to, bytes from)
{
    enum { PIECE_SIZE = 128 << 10 };
    for (size_t at = 0, size; at < from.size; at += size) {
        size = from.size - at < PIECE_SIZE ? from.size - at : PIECE_SIZE;
        memcpy(to + at, from.at + at, size);
        background_stand_back();
    }
}

static void encode(struct task *task)
{
    struct first_rows *rows = task->rows;
    struct buf head;
    buf_init(&head);
    row_list_encode_head(&head, &rows->rows);
    rows->encoded = shared_reserve(head.size + rows->rows.rows.size);
    memcpy(rows->encoded->data, head.data, head.size);
    copy_large(rows->encoded->data + head.size, buf_bytes(&rows->rows.rows));
    buf_deinit(&head);
}

static void end_task(const struct worker *worker, struct task *task)
{
    if (atomic_load(worker->stops))
        task->rows->code = diag_set(&task->rows->diag, ERR_BUSY, "the database is stopping");
    if (task->rows->code == OK)
        encode(task);
    row_list_deinit(&task->rows->rows);
    row_list_init(&task->rows->rows);
    query_free(task->query);
}

static void begin_tasks(struct worker *worker, struct first_rows *first)
{
    struct diag diag;
    for (struct first_rows *rows = first; rows != NULL; rows = rows->next)
        worker->task_count++;
    worker->tasks = memory_new(sizeof *worker->tasks * worker->task_count);
    struct task *task = worker->tasks;
    for (struct first_rows *rows = first; rows != NULL; rows = rows->next, task++) {
        task->rows = rows;
        /* The same text compiled under the same schema on the engine's thread. */
        check(query_compile(&task->query, rows->text, frozen_schema(worker->frozen), &rows->caller, QUERY_SUBSCRIBED,
                            &diag) == OK);
    }
}

bool first_rows_are_awaited(const struct first_rows_batch *batch)
{
    for (const struct first_rows *rows = batch != NULL ? batch->first : NULL; rows != NULL; rows = rows->next) {
        if (rows->holders > 1)
            return true;
    }
    return false;
}

void first_rows_work(struct first_rows_batch *batch, const atomic_bool *stops)
{
    struct worker worker = { .frozen = batch->frozen, .stops = stops };
    begin_tasks(&worker, batch->first);
    for (uint32_t idx = 0; idx < worker.task_count; idx++) {
        if (worker.tasks[idx].query->join != NULL && !worker.tasks[idx].query->never)
            run_join(&worker, &worker.tasks[idx]);
    }
    for (uint32_t table = 0; table < frozen_table_count(worker.frozen); table++)
        run_singles(&worker, table);
    for (uint32_t idx = 0; idx < worker.task_count; idx++)
        end_task(&worker, &worker.tasks[idx]);
    memory_free(worker.tasks);
    frozen_drop(batch->frozen);
    batch->frozen = NULL;
}

void first_rows_finish(struct first_rows_batch *batch)
{
    frozen_drop(batch->frozen);
    for (struct first_rows *rows = batch->first, *next; rows != NULL; rows = next) {
        next = rows->next;
        rows->is_done = true;
        if (rows->code == OK && rows->encoded == NULL)
            rows->code = diag_set(&rows->diag, ERR_BUSY, "the database is stopping");
        first_rows_let_go(rows);
    }
    memory_free(batch);
}
