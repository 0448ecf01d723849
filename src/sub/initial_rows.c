#include "sub/initial_rows.h"

#include "store/table.h"
#include "sub/subs.h"
#include "sub/window.h"

/* The rows of one query, up to what is left of the bound. */
struct gathering {
    struct row_list rows;
    size_t room;
    bool overflowed;
};

static bool gather_row(void *context, bytes row)
{
    struct gathering *gathering = context;
    if (gathering->overflowed || row.size + sizeof(uint64_t) > gathering->room) {
        gathering->overflowed = true;
        return false;
    }
    gathering->room -= row.size + sizeof(uint64_t); /* with its offset */
    row_list_add(&gathering->rows, row);
    return true;
}

static void gather_shown(struct gathering *gathering, const struct window *window)
{
    for (uint32_t i = 0; i < window_shown_count(window); i++)
        (void)gather_row(gathering, window_shown(window, i));
}

static bool put_query(struct buf *out, struct shared_query *shared, const struct store *store,
                      struct gathering *gathering)
{
    const struct query *query = shared->query;
    row_list_clear(&gathering->rows);
    if (shared->window != NULL)
        gather_shown(gathering, shared->window);
    else
        (void)query_run(query, store, NULL, gather_row, gathering);
    if (gathering->overflowed)
        return false;
    buf_put_sized(out, query->table->name);
    row_list_encode(out, &gathering->rows);
    return true;
}

static bool is_empty(const struct store *store, const struct table_def *def)
{
    const struct table *table = store_find(store, def->id);
    check(table != NULL);
    return table->pages.row_count == 0;
}

static bool reads_empty_table(const struct query *query, const struct store *store)
{
    if (query->join == NULL)
        return is_empty(store, query->table);
    return is_empty(store, query->join->tables[0]) || is_empty(store, query->join->tables[1]);
}

static bool put_queries(struct buf *out, const struct query_set *set, const struct store *store, uint32_t *tables)
{
    struct gathering gathering = { .room = SUBS_ROWS_SIZE_MAX };
    row_list_init(&gathering.rows);
    for (uint32_t i = 0; i < set->count && !gathering.overflowed; i++) {
        struct shared_query *query = set->holdings[i].query;
        if (!reads_empty_table(query->query, store) && put_query(out, query, store, &gathering))
            (*tables)++;
    }
    row_list_deinit(&gathering.rows);
    return !gathering.overflowed;
}

err initial_rows_put(struct buf *out, const struct query_set *set, const struct store *store, struct diag *diag)
{
    const size_t start = out->size;
    uint32_t tables = 0;
    buf_put_u32(out, 0);
    if (!put_queries(out, set, store, &tables)) {
        out->size = start;
        return diag_set(diag, ERR_TOO_LARGE, "the rows of these queries are more than one message can hold");
    }
    memcpy(out->data + start, &tables, sizeof tables);
    return OK;
}
