#include "sub/initial_rows.h"

#include "store/table.h"
#include "sub/subs.h"

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

static bool put_query(struct buf *out, const struct query *query, const struct store *store,
                      struct gathering *gathering)
{
    row_list_clear(&gathering->rows);
    (void)query_run(query, store, NULL, gather_row, gathering);
    if (gathering->overflowed)
        return false;
    buf_put_sized(out, query->table->name);
    row_list_encode(out, &gathering->rows);
    return true;
}

static bool put_queries(struct buf *out, const struct query_set *set, const struct store *store, uint32_t *tables)
{
    struct gathering gathering = { .room = SUBS_ROWS_SIZE_MAX };
    row_list_init(&gathering.rows);
    for (uint32_t i = 0; i < set->count && !gathering.overflowed; i++) {
        const struct query *query = set->holdings[i].query->query;
        const struct table *table = store_find(store, query->table->id);
        check(table != NULL);
        if (table->pages.row_count > 0 && put_query(out, query, store, &gathering))
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
