#include "sub/shared_query.h"

#include "sql/gates.h"
#include "sub/first_rows.h"
#include "sub/subs.h"
#include "sub/window.h"

struct shared_query *shared_query_new(struct query *compiled, const struct query_caller *caller, bytes key,
                                      size_t text_size)
{
    check(text_size <= key.size);
    struct shared_query *query = memory_new(sizeof *query);
    query->query = compiled;
    query->caller = *caller;
    query->table_id = compiled->table->id;
    query->key = bytes_of(memory_copy(key.at, key.size), key.size);
    query->text = bytes_of(query->key.at + key.size - text_size, text_size);
    row_list_init(&query->inserts);
    row_list_init(&query->deletes);
    return query;
}

void shared_query_forget_first_rows(struct shared_query *query)
{
    if (query->first_rows == NULL)
        return;
    query->first_rows->known = NULL;
    query->first_rows = NULL;
}

void shared_query_free(struct shared_query *query)
{
    check(query->holder_count == 0);
    check(query->watchers[0].posts == NULL && query->watchers[1].posts == NULL);
    if (query->query != NULL)
        query_free(query->query);
    row_list_deinit(&query->inserts);
    row_list_deinit(&query->deletes);
    shared_query_forget_first_rows(query);
    window_free(query->window);
    buf_deinit(&query->window_value);
    for (uint32_t side = 0; side < 2; side++)
        memory_free(query->changes[side].rows);
    memory_free(query->failure);
    memory_free(query->holders);
    memory_free((void *)query->key.at);
    memory_free(query);
}

static void aim_side(struct shared_query *query, uint32_t side)
{
    const struct query_join *join = query->query->join;
    query->steps[side] = (struct join_step){ .column = join->columns[side],
                                             .other = join->tables[1 - side],
                                             .other_column = join->columns[1 - side],
                                             .gates = &join->sides[1 - side].gates };
    query->watchers[side] = (struct watcher){
        .query = query, .side = side, .gates = &join->sides[side].gates, .step = &query->steps[side]
    };
}

static bool are_points(const struct query_gates *gates)
{
    bool are_points = gates->count > 0;
    for (uint32_t idx = 0; idx < gates->count; idx++)
        are_points &= gate_is_point(&gates->ranges[idx]);
    return are_points;
}

bool shared_query_window_end(const struct shared_query *query, struct query_range *range)
{
    return query->window != NULL && !are_points(&query->query->filter.gates) &&
           window_bound(query->window, query->query, range);
}

static const struct query_gates *aim_at_window(struct shared_query *query)
{
    struct query_range *range = &query->window_range;
    if (!shared_query_window_end(query, range))
        return &query->query->filter.gates;
    buf_clear(&query->window_value);
    buf_put_bytes(&query->window_value, range->has_lower ? range->lower : range->upper);
    range->lower = range->upper = buf_bytes(&query->window_value);
    query->window_gates = (struct query_gates){ 1, range };
    return &query->window_gates;
}

void shared_query_aim(struct shared_query *query)
{
    if (query->query->join == NULL) {
        query->watchers[0] = (struct watcher){ .query = query, .gates = aim_at_window(query) };
        return;
    }
    aim_side(query, 0);
    aim_side(query, 1);
}

bool shared_query_is_plain(const struct shared_query *query)
{
    return query->query->join == NULL && query->query->order_count == 0;
}

void shared_query_hold(struct shared_query *query, struct holding *holding)
{
    if (query->holder_count == query->holder_capacity) {
        query->holder_capacity = query->holder_capacity == 0 ? 1 : query->holder_capacity * 2;
        query->holders = memory_resize(query->holders, sizeof *query->holders * query->holder_capacity);
    }
    holding->query = query;
    holding->place = query->holder_count;
    query->holders[query->holder_count++] = holding;
}

void shared_query_let_go(struct holding *holding)
{
    struct shared_query *query = holding->query;
    check(query->holders[holding->place] == holding); /* H1 */
    struct holding *last = query->holders[--query->holder_count];
    query->holders[holding->place] = last;
    last->place = holding->place;
    holding->query = NULL;
}

void shared_query_set_first_rows(struct shared_query *query, struct first_rows *rows)
{
    shared_query_forget_first_rows(query);
    query->first_rows = rows;
    rows->known = &query->first_rows;
}

void shared_query_touch(struct shared_query *query, struct query_list *touched)
{
    if (query->touched)
        return;
    shared_query_forget_first_rows(query);
    query->touched = true;
    query_list_add(touched, query);
}

err shared_query_put(struct shared_query *query, struct row_list *list, bytes row, struct diag *diag)
{
    const size_t size = query->inserts.rows.size + query->deletes.rows.size;
    const uint64_t count = (uint64_t)query->inserts.count + query->deletes.count + 1;
    if (size + row.size + count * sizeof(uint64_t) > SUBS_ROWS_SIZE_MAX)
        return diag_set(diag, ERR_TOO_LARGE, "a commit changed more rows of a live query than one message can hold");
    row_list_add(list, row);
    return OK;
}

void change_list_add(struct change_list *list, bytes row, bool is_insert)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 4 : list->capacity * 2;
        list->rows = memory_resize(list->rows, sizeof *list->rows * list->capacity);
    }
    list->rows[list->count++] = (struct row_change){ row, is_insert };
}

void query_list_init(struct query_list *list)
{
    memset(list, 0, sizeof *list);
}

void query_list_deinit(struct query_list *list)
{
    memory_free(list->queries);
}

void query_list_add(struct query_list *list, struct shared_query *query)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 1 : list->capacity * 2;
        list->queries = memory_resize(list->queries, sizeof *list->queries * list->capacity);
    }
    list->queries[list->count++] = query;
}
