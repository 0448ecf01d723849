/* Running a query over a table: which index to walk, and the walk.
 *
 * The choice is by shape alone, as nothing is counted about values: a unique key that is given in full leads
 * to one row; otherwise the index with the most leading columns fixed wins, a range on the next column counting
 * half as much; with none of it, all pages are read. */
#include "sql/query.h"
#include "store/table.h"

struct scan {
    const struct query *query;
    const struct table *table;
    void (*each)(void *context, bytes row);
    void *context;
};

/* How an index would serve. */
struct access {
    const struct index *index;       /* NULL: read all pages */
    uint32_t fixed_count;            /* leading columns with an equality */
    const struct query_range *range; /* of the column behind them, or NULL */
    uint32_t score;
};

static const struct query_equality *find_equality(const struct query *query, uint16_t column)
{
    for (uint32_t idx = 0; idx < query->equality_count; idx++)
        if (query->equalities[idx].column == column)
            return &query->equalities[idx];
    return NULL;
}

static const struct query_range *find_range(const struct query *query, uint16_t column)
{
    for (uint32_t idx = 0; idx < query->range_count; idx++)
        if (query->ranges[idx].column == column)
            return &query->ranges[idx];
    return NULL;
}

static struct access access_by(const struct query *query, const struct index *index)
{
    enum { SCORE_UNIQUE = 4 * SCHEMA_KEY_COLUMNS_MAX };
    const struct index_def *def = index_def(index);
    struct access access = { .index = index };
    while (access.fixed_count < def->column_count && find_equality(query, def->columns[access.fixed_count]) != NULL)
        access.fixed_count++;

    const bool full = access.fixed_count == def->column_count;
    if (def->kind == INDEX_HASH && !full)
        return (struct access){ 0 };
    if (!full)
        access.range = find_range(query, def->columns[access.fixed_count]);
    access.score = 2 * access.fixed_count + (access.range != NULL) + (full && def->unique ? SCORE_UNIQUE : 0);
    return access;
}

static struct access access_choose(const struct query *query, const struct table *table)
{
    struct access best = { 0 };
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct access access = access_by(query, table->indexes[idx]);
        if (access.score > best.score)
            best = access;
    }
    return best;
}

static void scan_row(const struct scan *scan, const struct row *row)
{
    if (query_matches(scan->query, row->data))
        scan->each(scan->context, row_bytes(row));
}

static bool scan_ref(void *context, rowref ref)
{
    const struct scan *scan = context;
    scan_row(scan, pages_row(&scan->table->pages, ref));
    return true;
}

static void scan_pages(const struct scan *scan)
{
    rowref ref = ROWREF_NONE;
    for (const struct row *row; (row = pages_next(&scan->table->pages, &ref)) != NULL;)
        if (!(row->head & ROW_GONE))
            scan_row(scan, row);
}

/* The end of a walk: the fixed columns, then the range's bound if it has one on this side. */
static struct index_bound bound_make(const struct buf *key, uint32_t fixed_count, bool has_more, bool inclusive)
{
    return (struct index_bound){ .key = buf_bytes(key),
                                 .column_count = fixed_count + has_more,
                                 .inclusive = has_more ? inclusive : true };
}

static void scan_index(const struct scan *scan, const struct access *access)
{
    const struct index_def *def = index_def(access->index);
    const struct query_range *range = access->range;
    const bool has_lower = range != NULL && range->has_lower, has_upper = range != NULL && range->has_upper;
    struct buf lower, upper;
    buf_init(&lower);
    buf_init(&upper);
    for (uint32_t idx = 0; idx < access->fixed_count; idx++)
        buf_put_bytes(&lower, find_equality(scan->query, def->columns[idx])->value);
    buf_put_bytes(&upper, buf_bytes(&lower));
    if (has_lower)
        buf_put_bytes(&lower, range->lower);
    if (has_upper)
        buf_put_bytes(&upper, range->upper);

    const struct index_bound from =
        bound_make(&lower, access->fixed_count, has_lower, has_lower && range->lower_inclusive);
    const struct index_bound to =
        bound_make(&upper, access->fixed_count, has_upper, has_upper && range->upper_inclusive);
    struct diag diag;
    const err e = index_walk(access->index, from, to, false, scan_ref, (void *)scan, &diag);
    check(e == OK); /* access_by() asks an index only for what its kind can answer */
    buf_deinit(&lower);
    buf_deinit(&upper);
}

void query_run(const struct query *query, const struct table *table, void (*each)(void *context, bytes row),
               void *context)
{
    if (query->never)
        return;
    const struct scan scan = { query, table, each, context };
    const struct access access = access_choose(query, table);
    if (access.index != NULL)
        scan_index(&scan, &access);
    else
        scan_pages(&scan);
}
