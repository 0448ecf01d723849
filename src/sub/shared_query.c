#include "sub/shared_query.h"

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

void shared_query_free(struct shared_query *query)
{
    check(query->holder_count == 0);
    check(query->watcher.posts == NULL);
    if (query->query != NULL)
        query_free(query->query);
    row_list_deinit(&query->inserts);
    row_list_deinit(&query->deletes);
    memory_free(query->holders);
    memory_free((void *)query->key.at);
    memory_free(query);
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

void shared_query_touch(struct shared_query *query, struct query_list *touched)
{
    if (query->touched)
        return;
    query->touched = true;
    query_list_add(touched, query);
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
