#include "sub/window.h"

#include "sats/bsatn.h"
#include "sql/row_order.h"
#include "sub/partners.h"

enum { SPARE_MIN = 64 };

struct window_row {
    uint32_t holders; /* the window, what is shown, or both */
    uint32_t size;
    uint8_t data[];
};

struct row_array {
    struct window_row **rows; /* owned: the list, and one hold on each */
    uint32_t count;
};

struct window {
    struct row_array kept;  /* G1 */
    struct row_array shown; /* G3 */
    uint32_t limit;
    uint32_t capacity; /* of kept */
    uint32_t room;     /* of kept.rows */
    bool is_whole;
};

static bytes bytes_of_row(const struct window_row *row)
{
    return bytes_of(row->data, row->size);
}

static struct window_row *row_new(bytes from)
{
    struct window_row *row = memory_new(sizeof *row + from.size);
    row->holders = 1;
    row->size = (uint32_t)from.size;
    memcpy(row->data, from.at, from.size);
    return row;
}

static void row_let_go(struct window_row *row)
{
    if (--row->holders == 0)
        memory_free(row);
}

static void rows_clear(struct row_array *array)
{
    for (uint32_t idx = 0; idx < array->count; idx++)
        row_let_go(array->rows[idx]);
    array->count = 0;
}

void window_free(struct window *window)
{
    if (window == NULL)
        return;
    rows_clear(&window->kept);
    rows_clear(&window->shown);
    memory_free(window->kept.rows);
    memory_free(window->shown.rows);
    memory_free(window);
}

/* Changing it --------------------------------------------------------------------------------------------------- */

/* Where the row is, or would be. */
static uint32_t find_place(const struct window *window, const struct query *query, bytes row, bool *is_there)
{
    uint32_t lower = 0, upper = window->kept.count;
    *is_there = false;
    while (lower < upper && !*is_there) {
        const uint32_t middle = lower + (upper - lower) / 2;
        const int order = query_order_compare(query, bytes_of_row(window->kept.rows[middle]), row);
        if (order == 0)
            *is_there = true;
        if (order < 0)
            lower = middle + 1;
        else
            upper = middle;
    }
    return upper;
}

static void put_row(struct window *window, uint32_t place, bytes row)
{
    struct row_array *kept = &window->kept;
    if (kept->count == window->room) {
        window->room = window->room == 0 ? SPARE_MIN : window->room * 2;
        kept->rows = memory_resize(kept->rows, sizeof *kept->rows * window->room);
    }
    memmove(kept->rows + place + 1, kept->rows + place, sizeof *kept->rows * (kept->count - place));
    kept->rows[place] = row_new(row);
    if (++kept->count <= window->capacity)
        return;
    row_let_go(kept->rows[--kept->count]);
    window->is_whole = false;
}

static void take_out(struct window *window, uint32_t place)
{
    struct row_array *kept = &window->kept;
    row_let_go(kept->rows[place]);
    kept->count--;
    memmove(kept->rows + place, kept->rows + place + 1, sizeof *kept->rows * (kept->count - place));
}

static void apply(struct window *window, const struct query *query, const struct row_change *change)
{
    bool is_there;
    const uint32_t place = find_place(window, query, change->row, &is_there);
    if (!change->is_insert && is_there)
        take_out(window, place);
    else if (change->is_insert && !is_there && (place < window->kept.count || window->is_whole))
        put_row(window, place, change->row);
}

/* Filling it ---------------------------------------------------------------------------------------------------- */

static bool has_equality(const struct query *query, uint16_t column)
{
    for (uint32_t idx = 0; idx < query->filter.equality_count; idx++) {
        if (query->filter.equalities[idx].column == column)
            return true;
    }
    return false;
}

/* A way along an index on which the query's order is the index's own: columns that are fixed, then those ordered. */
struct ordered_walk {
    const struct index_def *index;
    uint32_t fixed_count;
    uint32_t ordered_count; /* of query->order */
    bool reverse;
};

static struct ordered_walk walk_by(const struct query *query, const struct index_def *index)
{
    struct ordered_walk walk = { .index = index, .reverse = query->order[0].descending };
    if (index->kind == INDEX_HASH)
        return walk;
    while (walk.fixed_count < index->column_count && has_equality(query, index->columns[walk.fixed_count]))
        walk.fixed_count++;
    while (walk.ordered_count < query->order_count && walk.fixed_count + walk.ordered_count < index->column_count &&
           query->order[walk.ordered_count].column == index->columns[walk.fixed_count + walk.ordered_count] &&
           query->order[walk.ordered_count].descending == walk.reverse)
        walk.ordered_count++;
    return walk;
}

/* NULL index when none leads: a condition that is served by another index leads to fewer rows than the order. */
static struct ordered_walk choose_walk(const struct query *query)
{
    struct ordered_walk best = { 0 };
    for (uint32_t idx = 0; idx < query->table->index_count; idx++) {
        const struct ordered_walk walk = walk_by(query, &query->table->indexes[idx]);
        const bool serves = walk.ordered_count > 0 && (walk.fixed_count > 0 || query->filter.equality_count == 0);
        if (serves && walk.fixed_count + walk.ordered_count > best.fixed_count + best.ordered_count)
            best = walk;
    }
    return best;
}

/* The first rows, being looked for. */
struct filling {
    const struct query *query;
    const struct table *table;
    const struct ordered_walk *walk;
    struct top top;
    const uint8_t *last; /* met on the walk */
    struct budget budget;
};

static int compare_rows(const void *left, const void *right, void *context)
{
    const struct row *left_row = left, *right_row = right;
    return query_order_compare(context, row_bytes(left_row), row_bytes(right_row));
}

/* Whether the walk's own columns tell the rows apart. Behind the last row needed only those are looked at that stand
 * level with it: their order is for the other columns to say. */
static bool is_behind(const struct filling *filling, const uint8_t *row)
{
    for (uint32_t idx = 0; idx < filling->walk->ordered_count; idx++) {
        const uint16_t column = filling->query->order[idx].column;
        const struct type *type = filling->query->table->columns[column].type;
        if (row_order_compare(type, table_column(filling->table, filling->last, column),
                              table_column(filling->table, row, column)) != 0)
            return true;
    }
    return false;
}

static bool meet_row(void *context, rowref ref)
{
    struct filling *filling = context;
    const struct row *row = pages_row(&filling->table->pages, ref);
    if (!budget_take_row(&filling->budget))
        return false;
    if (!query_matches(filling->query, row->data))
        return true;
    if (filling->top.count == filling->top.limit && is_behind(filling, row->data))
        return false;
    if (filling->top.count < filling->top.limit)
        filling->last = row->data;
    (void)top_offer(&filling->top, row);
    return true;
}

static void fill_along(struct filling *filling)
{
    const struct ordered_walk *walk = filling->walk;
    const struct query *query = filling->query;
    struct buf key;
    struct diag diag;
    buf_init(&key);
    for (uint32_t idx = 0; idx < walk->fixed_count; idx++) {
        for (uint32_t place = 0; place < query->filter.equality_count; place++) {
            if (query->filter.equalities[place].column == walk->index->columns[idx])
                buf_put_bytes(&key, query->filter.equalities[place].value);
        }
    }
    const struct index_bound bound = { buf_bytes(&key), walk->fixed_count, true };
    check(index_walk(filling->table->indexes[walk->index - query->table->indexes], bound, bound, walk->reverse,
                     meet_row, filling, &diag) == OK);
    buf_deinit(&key);
}

static bool meet_first(void *context, bytes row)
{
    struct filling *filling = context;
    (void)top_offer(&filling->top, container_of(row.at, struct row, data));
    return true;
}

static err refuse_long_way(const struct query *query, struct diag *diag)
{
    return diag_set(diag, ERR_TOO_LARGE,
                    "keeping rows of table `%.*s` in this order means looking at too many of them: "
                    "add an index that begins with the columns that WHERE fixes, followed by those of ORDER BY",
                    BYTES_FORMAT(query->table->name));
}

static void take_first(struct window *window, struct top *top)
{
    top_sort(top);
    window->is_whole = top->count <= window->capacity;
    for (size_t idx = 0; idx < top->count && idx < window->capacity; idx++)
        put_row(window, (uint32_t)idx, row_bytes(top->items[idx]));
}

/* One row more than there is room for tells whether the window is whole. */
static err fill(struct window *window, const struct query *query, const struct store *store, uint64_t *rows_left,
                struct diag *diag)
{
    struct diag ignored;
    const struct ordered_walk walk = choose_walk(query);
    struct filling filling = {
        .query = query,
        .table = store_find(store, query->table->id),
        .walk = &walk,
        .top = { .limit = (uint64_t)window->capacity + 1, .compare = compare_rows, .context = (void *)query },
        .budget = { .rows_max = *rows_left, .bytes_max = UINT64_MAX, .time_max_us = INT64_MAX, .diag = &ignored },
    };
    check(filling.table != NULL);
    rows_clear(&window->kept);
    budget_begin(&filling.budget);
    if (walk.index != NULL)
        fill_along(&filling);
    else
        (void)query_run_first(query, filling.top.limit, store, &filling.budget, meet_first, &filling);
    *rows_left -= filling.budget.rows < *rows_left ? filling.budget.rows : *rows_left;
    if (filling.budget.code == OK)
        take_first(window, &filling.top);
    top_deinit(&filling.top);
    return filling.budget.code == OK ? OK : refuse_long_way(query, diag);
}

/* Showing it ---------------------------------------------------------------------------------------------------- */

static uint32_t visible_count(const struct window *window)
{
    return window->kept.count < window->limit ? window->kept.count : window->limit;
}

static void show(struct window *window)
{
    const uint32_t count = visible_count(window);
    for (uint32_t idx = 0; idx < count; idx++)
        window->kept.rows[idx]->holders++;
    rows_clear(&window->shown);
    for (uint32_t idx = 0; idx < count; idx++)
        window->shown.rows[idx] = window->kept.rows[idx];
    window->shown.count = count;
}

/* Walks what is shown and what will be side by side: both are in order. */
static err tell_difference(const struct window *window, struct shared_query *query, struct diag *diag)
{
    const struct row_array *before = &window->shown, *after = &window->kept;
    const uint32_t after_count = visible_count(window);
    uint32_t gone = 0, come = 0;
    while (gone < before->count || come < after_count) {
        int order = gone == before->count ? 1 : come == after_count ? -1 : 0;
        if (order == 0 && before->rows[gone] != after->rows[come])
            order =
                query_order_compare(query->query, bytes_of_row(before->rows[gone]), bytes_of_row(after->rows[come]));
        if (order < 0)
            TRY(shared_query_put(query, &query->deletes, bytes_of_row(before->rows[gone]), diag));
        if (order > 0)
            TRY(shared_query_put(query, &query->inserts, bytes_of_row(after->rows[come]), diag));
        gone += order <= 0;
        come += order >= 0;
    }
    return OK;
}

err window_new(struct window **out, const struct query *query, const struct store *store, uint64_t *rows_left,
               struct diag *diag)
{
    struct window *window = memory_new(sizeof *window);
    check(query->limit <= WINDOW_ROWS_MAX);
    window->limit = (uint32_t)query->limit;
    window->capacity = window->limit * 2 + SPARE_MIN;
    window->shown.rows = memory_new(sizeof *window->shown.rows * window->limit);
    const err code = fill(window, query, store, rows_left, diag);
    if (code != OK) {
        window_free(window);
        return code;
    }
    show(window);
    *out = window;
    return OK;
}

err window_settle(struct shared_query *query, const struct store *store, uint64_t *rows_left, struct diag *diag)
{
    struct window *window = query->window;
    for (uint32_t idx = 0; idx < query->changes[0].count; idx++)
        apply(window, query->query, &query->changes[0].rows[idx]);
    if (window->kept.count < window->limit && !window->is_whole)
        TRY(fill(window, query->query, store, rows_left, diag));
    TRY(tell_difference(window, query, diag));
    show(window);
    return OK;
}

static bool rows_fit(const struct row_array *array, const struct table_def *table)
{
    for (uint32_t idx = 0; idx < array->count; idx++) {
        const struct window_row *row = array->rows[idx];
        struct diag ignored;
        size_t used;
        if (bsatn_check(table->row_type, bytes_of_row(row), &used, &ignored) != OK || used != row->size)
            return false;
    }
    return true;
}

bool window_fits(const struct window *window, const struct table_def *table)
{
    return rows_fit(&window->kept, table) && rows_fit(&window->shown, table);
}

/* The zeros of a float are level and have two spellings: a bound at one would leave the other out. */
bool window_bound(const struct window *window, const struct query *query, struct query_range *range)
{
    const uint16_t column = query->order[0].column;
    if (window->is_whole || window->kept.count == 0 || type_is_float(query->table->columns[column].type))
        return false;
    const struct window_row *last = window->kept.rows[window->kept.count - 1];
    const bytes value = partners_value(query->table, last->data, column);
    *range = (struct query_range){ .column = column };
    if (query->order[0].descending) {
        range->has_lower = range->lower_inclusive = true;
        range->lower = value;
    } else {
        range->has_upper = range->upper_inclusive = true;
        range->upper = value;
    }
    return true;
}

uint32_t window_shown_count(const struct window *window)
{
    return window->shown.count;
}

bytes window_shown(const struct window *window, uint32_t place)
{
    return bytes_of_row(window->shown.rows[place]);
}
