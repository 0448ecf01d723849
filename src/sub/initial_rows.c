#include "sub/initial_rows.h"

#include "store/table.h"
#include "sub/window.h"

/* What may be looked at, and gathered, on the engine's thread where the asker can wait: for one query, and for all of
 * one request. Some tenths of a millisecond. */
enum { QUERY_ROWS_MAX = 8192, REQUEST_ROWS_MAX = 32768, REQUEST_BYTES_MAX = 1 << 20 };
/* And for all of one request whose asker cannot wait: what is more is refused. */
enum { PATIENT_ROWS_MAX = 32 << 20, PATIENT_TIME_MAX_US = 2000000 };

/* The rows of a set, up to what is left of the bounds. */
struct gathering {
    const struct store *store;
    struct buf *out;
    struct row_list rows; /* of the query at hand */
    size_t room;          /* of the message */
    bool overflowed;
    bool may_wait;       /* the asker */
    bool may_come_later; /* the query at hand: somebody else may work on it */
    struct budget on_the_spot; /* for those that cannot wait */
    uint64_t rows_left;        /* may be looked at */
    size_t bytes_left;
    bool is_late; /* the query at hand takes too long */
    struct opening *opening;
    size_t opened_to; /* of `out` */
    struct first_rows **wanted;
};

static bool add_row(struct gathering *gathering, bytes row)
{
    const size_t size = row.size + sizeof(uint64_t); /* with its offset */
    gathering->overflowed = gathering->overflowed || size > gathering->room;
    if (gathering->overflowed)
        return false;
    gathering->room -= size;
    row_list_add(&gathering->rows, row);
    return true;
}

static bool gather_row(void *context, bytes row)
{
    struct gathering *gathering = context;
    gathering->is_late = gathering->may_come_later && gathering->rows.rows.size + row.size > gathering->bytes_left;
    return !gathering->is_late && add_row(gathering, row);
}

/* A window is always at hand. */
static void gather_shown(struct gathering *gathering, const struct window *window)
{
    for (uint32_t i = 0; i < window_shown_count(window); i++)
        (void)add_row(gathering, window_shown(window, i));
}

static bool has_failed(const struct gathering *gathering)
{
    return gathering->overflowed || gathering->on_the_spot.code != OK;
}

static const struct table *table_of(const struct gathering *gathering, const struct table_def *def)
{
    const struct table *table = store_find(gathering->store, def->id);
    check(table != NULL);
    return table;
}

static bool is_empty(const struct gathering *gathering, const struct table_def *def)
{
    return table_of(gathering, def)->pages.row_count == 0;
}

static bool reads_empty_table(const struct gathering *gathering, const struct query *query)
{
    if (query->join == NULL)
        return is_empty(gathering, query->table);
    return is_empty(gathering, query->join->tables[0]) || is_empty(gathering, query->join->tables[1]);
}

/* Derived tables are the engine's alone: nobody works on them beside it. */
static bool reads_derived_table(const struct query *query)
{
    const struct query_join *join = query->join;
    const uint32_t ids = join == NULL ? query->table->id : join->tables[0]->id | join->tables[1]->id;
    return ids & SCHEMA_DERIVED_ID;
}

/* A query without a condition need not be tried. */
static bool is_known_late(const struct gathering *gathering, const struct query *query)
{
    if (gathering->rows_left == 0)
        return true;
    return query->join == NULL && query->filter.predicate == NULL &&
           table_of(gathering, query->table)->pages.row_count > QUERY_ROWS_MAX;
}

/* With a budget: how far one comes with it is how it is found out whether the query is small. */
static void gather_query(struct gathering *gathering, const struct query *query)
{
    struct diag ignored;
    const uint64_t rows = gathering->rows_left < QUERY_ROWS_MAX ? gathering->rows_left : QUERY_ROWS_MAX;
    struct budget budget = { .rows_max = rows, .bytes_max = UINT64_MAX, .time_max_us = INT64_MAX, .diag = &ignored };
    const size_t room = gathering->room;
    gathering->may_come_later = gathering->may_wait && !reads_derived_table(query);
    if (!gathering->may_come_later) {
        (void)query_run(query, gathering->store, &gathering->on_the_spot, gather_row, gathering);
        return;
    }
    gathering->is_late = is_known_late(gathering, query);
    if (!gathering->is_late) {
        budget_begin(&budget);
        gathering->is_late |= query_run(query, gathering->store, &budget, gather_row, gathering) != OK;
        gathering->rows_left -= budget.rows < gathering->rows_left ? budget.rows : gathering->rows_left;
    }
    if (gathering->is_late)
        gathering->room = room;
    else
        gathering->bytes_left -= gathering->rows.rows.size;
}

/* The rows that somebody works on already, as long as no commit has touched the query, or new ones. */
static struct first_rows *need_first_rows(struct gathering *gathering, struct shared_query *query)
{
    if (query->first_rows != NULL)
        return first_rows_hold(query->first_rows);
    struct first_rows *rows = first_rows_new(query->query, query->text, &query->caller);
    shared_query_set_first_rows(query, rows);
    rows->next = *gathering->wanted;
    *gathering->wanted = rows;
    return first_rows_hold(rows);
}

/* Where the row list belongs now. */
static void await(struct gathering *gathering, struct shared_query *query)
{
    if (gathering->opening == NULL)
        gathering->opening = opening_new();
    opening_add_bytes(gathering->opening, bytes_of(gathering->out->data + gathering->opened_to,
                                                   gathering->out->size - gathering->opened_to));
    gathering->opened_to = gathering->out->size;
    opening_add_awaited(gathering->opening, need_first_rows(gathering, query));
}

static void put_query(struct gathering *gathering, struct shared_query *query)
{
    row_list_clear(&gathering->rows);
    gathering->is_late = false;
    if (query->window != NULL)
        gather_shown(gathering, query->window);
    else
        gather_query(gathering, query->query);
    if (has_failed(gathering))
        return;
    buf_put_sized(gathering->out, query->query->table->name);
    if (gathering->is_late)
        await(gathering, query);
    else
        row_list_encode(gathering->out, &gathering->rows);
}

static uint32_t put_queries(struct gathering *gathering, const struct query_set *set)
{
    uint32_t tables = 0;
    row_list_init(&gathering->rows);
    for (uint32_t i = 0; i < set->count && !has_failed(gathering); i++) {
        struct shared_query *query = set->holdings[i].query;
        if (reads_empty_table(gathering, query->query))
            continue;
        put_query(gathering, query);
        tables++;
    }
    row_list_deinit(&gathering->rows);
    return tables;
}

/* The count of tables stands at the beginning of the first part. */
static void set_count(struct gathering *gathering, size_t start, uint32_t tables)
{
    struct opening *opening = gathering->opening;
    uint8_t *at = opening != NULL ? opening->bytes.data : gathering->out->data + start;
    memcpy(at, &tables, sizeof tables);
    if (opening == NULL)
        return;
    opening_add_bytes(
        opening, bytes_of(gathering->out->data + gathering->opened_to, gathering->out->size - gathering->opened_to));
    gathering->out->size = start;
}

err initial_rows_put(struct buf *out, const struct query_set *set, const struct store *store, struct opening **opening,
                     struct first_rows **wanted, struct diag *diag)
{
    const size_t start = out->size;
    struct gathering gathering = { .store = store,
                                   .out = out,
                                   .room = SUBS_ROWS_SIZE_MAX,
                                   .may_wait = opening != NULL,
                                   .rows_left = REQUEST_ROWS_MAX,
                                   .bytes_left = REQUEST_BYTES_MAX,
                                   .opened_to = start,
                                   .wanted = wanted };
    gathering.on_the_spot = (struct budget){
        .rows_max = PATIENT_ROWS_MAX, .bytes_max = SIZE_MAX, .time_max_us = PATIENT_TIME_MAX_US, .diag = diag
    };
    budget_begin(&gathering.on_the_spot);
    buf_put_u32(out, 0);
    const uint32_t tables = put_queries(&gathering, set);
    if (has_failed(&gathering)) {
        opening_free(gathering.opening);
        out->size = start;
        if (gathering.on_the_spot.code != OK)
            return gathering.on_the_spot.code;
        return diag_set(diag, ERR_TOO_LARGE, "the rows of these queries are more than one message can hold");
    }
    set_count(&gathering, start, tables);
    if (opening != NULL)
        *opening = gathering.opening;
    return OK;
}
