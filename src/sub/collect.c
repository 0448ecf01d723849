#include "sub/collect.h"

/* One changed row on its way. */
struct arrival {
    struct collector *collector;
    bytes row;
    bool is_insert;
};

static void offer(const struct arrival *arrival, struct watcher *watcher)
{
    struct shared_query *query = watcher->query;
    arrival->collector->offers++;
    const bool passes = query->query->join != NULL ? query_side_matches(query->query, watcher->side, arrival->row.at)
                                                   : query_matches(query->query, arrival->row.at);
    if (!passes)
        return;
    shared_query_touch(query, arrival->collector->touched);
    if (shared_query_is_plain(query))
        row_list_add(arrival->is_insert ? &query->inserts : &query->deletes, arrival->row);
    else
        change_list_add(&query->changes[watcher->side], arrival->row, arrival->is_insert);
}

static void offer_once(void *context, struct watcher *watcher)
{
    const struct arrival *arrival = context;
    if (watcher->found_by == arrival->collector->rows)
        return;
    watcher->found_by = arrival->collector->rows;
    offer(arrival, watcher);
}

/* To those that no value leads to: query by query, which keeps what it needs close. */
static void offer_to_whole(struct collector *collector, const struct table_watch *watch, const bytes *rows,
                           uint32_t count, bool are_inserts)
{
    for (uint32_t place = 0; place < watch->whole.post_count; place++) {
        struct watcher *watcher = table_watch_standing(&watch->whole, place);
        for (uint32_t idx = 0; idx < count; idx++) {
            const struct arrival arrival = { collector, rows[idx], are_inserts };
            offer(&arrival, watcher);
        }
    }
}

static void collect_rows(struct collector *collector, const struct table_watch *watch, const bytes *rows,
                         uint32_t count, bool are_inserts)
{
    if (count == 0)
        return;
    offer_to_whole(collector, watch, rows, count, are_inserts);
    if (!table_watch_looks_up(watch))
        return;
    for (uint32_t idx = 0; idx < count; idx++) {
        struct arrival arrival = { collector, rows[idx], are_inserts };
        collector->rows++;
        table_watch_find(watch, collector->partners, rows[idx].at, offer_once, &arrival);
    }
}

void collect_table(struct collector *collector, const struct table_watch *watch, const struct delta_table *changes)
{
    collect_rows(collector, watch, changes->deletes, changes->delete_count, false);
    collect_rows(collector, watch, changes->inserts, changes->insert_count, true);
}
