#include "sub/table_watch.h"

#include "base/map.h"
#include "sats/bsatn.h"
#include "store/table.h"

struct watched_column {
    uint16_t column;
    struct map lists; /* the value's bytes -> struct query_list */
};

struct table_watch *table_watch_new(void)
{
    return memory_new(sizeof(struct table_watch));
}

static void forget_all(struct query_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        list->queries[i]->list = NULL;
    query_list_deinit(list);
}

static void column_deinit(struct watched_column *column)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&column->lists, &place)) != NULL;) {
        forget_all(entry->value);
        memory_free(entry->value);
    }
    map_deinit(&column->lists);
}

void table_watch_free(struct table_watch *watch)
{
    forget_all(&watch->whole);
    forget_all(&watch->asked);
    for (uint32_t i = 0; i < watch->column_count; i++)
        column_deinit(&watch->columns[i]);
    memory_free(watch->columns);
    memory_free(watch);
}

static bool is_unique(const struct table_def *table, uint16_t column)
{
    for (uint32_t i = 0; i < table->index_count; i++) {
        const struct index_def *index = &table->indexes[i];
        if (index->unique && index->column_count == 1 && index->columns[0] == column)
            return true;
    }
    return false;
}

/* The equality to look the query up by, or NULL. */
static const struct query_equality *choose_equality(const struct query *query)
{
    const struct query_equality *chosen = NULL;
    for (uint32_t i = 0; i < query->filter.equality_count; i++) {
        const struct query_equality *equality = &query->filter.equalities[i];
        if (type_is_float(query->table->columns[equality->column].type))
            continue;
        if (is_unique(query->table, equality->column))
            return equality;
        if (chosen == NULL)
            chosen = equality;
    }
    return chosen;
}

static struct watched_column *find_column(const struct table_watch *watch, uint32_t column)
{
    for (uint32_t i = 0; i < watch->column_count; i++) {
        if (watch->columns[i].column == column)
            return &watch->columns[i];
    }
    return NULL;
}

static struct watched_column *add_column(struct table_watch *watch, uint16_t column)
{
    watch->columns = memory_resize(watch->columns, sizeof *watch->columns * (watch->column_count + 1));
    struct watched_column *added = &watch->columns[watch->column_count++];
    added->column = column;
    map_init(&added->lists);
    return added;
}

static struct query_list *list_of_value(struct table_watch *watch, const struct query_equality *equality)
{
    struct watched_column *column = find_column(watch, equality->column);
    if (column == NULL)
        column = add_column(watch, equality->column);
    struct query_list *list = map_find(&column->lists, equality->value);
    if (list == NULL) {
        list = memory_new(sizeof *list);
        map_put(&column->lists, equality->value, list);
    }
    return list;
}

static struct query_list *choose_list(struct table_watch *watch, struct shared_query *query)
{
    query->column = -1;
    if (query->query->filter.predicate == NULL)
        return &watch->whole;
    const struct query_equality *equality = choose_equality(query->query);
    if (equality == NULL)
        return &watch->asked;
    query->column = equality->column;
    return list_of_value(watch, equality);
}

void table_watch_add(struct table_watch *watch, struct shared_query *query)
{
    check(query->list == NULL);
    watch->query_count++;
    if (query->query->never)
        return;
    query->list = choose_list(watch, query);
    query->place = query->list->count;
    query_list_add(query->list, query);
}

/* Nobody looks for this value any more, and perhaps nobody for any value of the column. */
static void drop_value(struct table_watch *watch, const struct shared_query *query, struct query_list *list)
{
    struct watched_column *column = find_column(watch, (uint32_t)query->column);
    check(column != NULL);
    const struct query_equality *equality = choose_equality(query->query);
    check(equality != NULL && map_remove(&column->lists, equality->value) == list);
    query_list_deinit(list);
    memory_free(list);
    if (column->lists.count > 0)
        return;
    map_deinit(&column->lists);
    *column = watch->columns[--watch->column_count];
}

void table_watch_remove(struct table_watch *watch, struct shared_query *query)
{
    check(watch->query_count > 0);
    watch->query_count--;
    struct query_list *list = query->list;
    if (list == NULL)
        return;
    check(list->queries[query->place] == query);
    struct shared_query *last = list->queries[--list->count];
    list->queries[query->place] = last;
    last->place = query->place;
    query->list = NULL;
    if (query->column >= 0 && list->count == 0)
        drop_value(watch, query, list);
}

enum side { SIDE_DELETES, SIDE_INSERTS };

/* The rows of one side of a change, being handed out. */
struct collection {
    const struct table *table;
    enum side side;
    struct query_list *touched;
};

static struct row_list *rows_of(const struct collection *collection, struct shared_query *query)
{
    shared_query_touch(query, collection->touched);
    return collection->side == SIDE_INSERTS ? &query->inserts : &query->deletes;
}

/* A query without a condition takes the rows as they are: nothing is asked. */
static void give_rows(const struct collection *collection, struct shared_query *query, const bytes *rows,
                      uint32_t count)
{
    struct row_list *list = rows_of(collection, query);
    for (uint32_t i = 0; i < count; i++)
        row_list_add(list, rows[i]);
}

static void ask_list(const struct collection *collection, const struct query_list *list, bytes row)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (query_matches(list->queries[i]->query, row.at))
            row_list_add(rows_of(collection, list->queries[i]), row);
    }
}

static bytes column_value(const struct table *table, bytes row, uint16_t column)
{
    const struct type *type = table->def->columns[column].type;
    const uint8_t *at = table_column(table, row.at, column);
    return bytes_of(at, type->fixed_size != TYPE_VARIABLE ? (size_t)type->fixed_size : bsatn_size(type, at));
}

static void look_up_row(const struct collection *collection, const struct table_watch *watch, bytes row)
{
    for (uint32_t i = 0; i < watch->column_count; i++) {
        const struct watched_column *column = &watch->columns[i];
        const bytes value = column_value(collection->table, row, column->column);
        const struct query_list *list = map_find(&column->lists, value);
        if (list != NULL)
            ask_list(collection, list, row);
    }
}

static void collect_rows(const struct collection *collection, const struct table_watch *watch, const bytes *rows,
                         uint32_t count)
{
    if (count == 0)
        return;
    for (uint32_t i = 0; i < watch->whole.count; i++)
        give_rows(collection, watch->whole.queries[i], rows, count);
    if (watch->column_count == 0 && watch->asked.count == 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        look_up_row(collection, watch, rows[i]);
        ask_list(collection, &watch->asked, rows[i]);
    }
}

void table_watch_collect(const struct table_watch *watch, const struct delta_table *changes, struct query_list *touched)
{
    const struct collection deletes = { changes->table, SIDE_DELETES, touched };
    const struct collection inserts = { changes->table, SIDE_INSERTS, touched };
    collect_rows(&deletes, watch, changes->deletes, changes->delete_count);
    collect_rows(&inserts, watch, changes->inserts, changes->insert_count);
}
