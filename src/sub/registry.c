#include "sub/registry.h"

#include "sub/window.h"

void registry_init(struct registry *registry)
{
    memset(registry, 0, sizeof *registry);
    map_init(&registry->queries);
    buf_init(&registry->key);
}

static void watch_list_clear(struct watch_list *list)
{
    for (uint32_t place = 0; place < list->capacity; place++) {
        if (list->watches[place] != NULL)
            table_watch_free(list->watches[place]);
    }
    memory_free(list->watches);
    *list = (struct watch_list){ 0 };
}

static void forget_watches(struct registry *registry)
{
    watch_list_clear(&registry->tables);
    watch_list_clear(&registry->derived);
}

void registry_deinit(struct registry *registry)
{
    check(registry->queries.count == 0);
    forget_watches(registry);
    map_deinit(&registry->queries);
    buf_deinit(&registry->key);
}

/* Ids are given in order, so the tables of one kind lie close together. An id below the first one lies beyond
 * the end. */
static uint32_t watch_place(uint32_t table_id)
{
    return table_id & SCHEMA_DERIVED_ID ? table_id & ~SCHEMA_DERIVED_ID : table_id - SCHEMA_FIRST_ID;
}

static struct watch_list *list_of(struct registry *registry, uint32_t table_id)
{
    return table_id & SCHEMA_DERIVED_ID ? &registry->derived : &registry->tables;
}

static struct table_watch *find_watch(struct registry *registry, uint32_t table_id)
{
    const struct watch_list *list = list_of(registry, table_id);
    const uint32_t place = watch_place(table_id);
    return place < list->capacity ? list->watches[place] : NULL;
}

/* The table's watch, made when there was none. */
static struct table_watch *need_watch(struct registry *registry, const struct table_def *table)
{
    struct watch_list *list = list_of(registry, table->id);
    const uint32_t place = watch_place(table->id);
    check(table->id >= SCHEMA_FIRST_ID);
    if (place >= list->capacity) {
        const uint32_t capacity = place + 1;
        list->watches = memory_resize(list->watches, sizeof *list->watches * capacity);
        memset(list->watches + list->capacity, 0, sizeof *list->watches * (capacity - list->capacity));
        list->capacity = capacity;
    }
    if (list->watches[place] == NULL)
        list->watches[place] = table_watch_new(table);
    return list->watches[place];
}

/* A query that contradicts itself is found by no row; one that an event table drives is found by events alone. */
static void watch_query(struct registry *registry, struct shared_query *query)
{
    const struct query *plan = query->query;
    shared_query_aim(query);
    if (plan->never)
        return;
    if (plan->join == NULL) {
        table_watch_add(need_watch(registry, plan->table), &query->watchers[0]);
        return;
    }
    for (uint32_t side = 0; side < 2; side++) {
        if (!plan->join->tables[1 - side]->is_event)
            table_watch_add(need_watch(registry, plan->join->tables[side]), &query->watchers[side]);
    }
}

static void unwatch_table(struct registry *registry, const struct table_def *table, struct watcher *watcher)
{
    if (watcher->posts == NULL)
        return;
    table_watch_remove(watcher);
    struct table_watch **watch = &list_of(registry, table->id)->watches[watch_place(table->id)];
    if (!table_watch_is_empty(*watch))
        return;
    table_watch_free(*watch);
    *watch = NULL;
}

static void unwatch_query(struct registry *registry, struct shared_query *query)
{
    const struct query_join *join = query->query->join;
    unwatch_table(registry, join == NULL ? query->query->table : join->tables[0], &query->watchers[0]);
    if (join != NULL)
        unwatch_table(registry, join->tables[1], &query->watchers[1]);
}

/* What makes two queries one: whether the owner asks, who asks where that matters, and the text. */
enum { KEY_OWNER = 1, KEY_SENDER = 2 };

static bytes make_key(struct registry *registry, bytes text, const struct query_caller *caller, bool with_sender)
{
    struct buf *key = &registry->key;
    buf_clear(key);
    buf_put_u8(key, (uint8_t)((caller->is_owner ? KEY_OWNER : 0) | (with_sender ? KEY_SENDER : 0)));
    if (with_sender)
        buf_put(key, caller->sender.at, sizeof caller->sender.at);
    buf_put_bytes(key, text);
    return buf_bytes(key);
}

/* A text alone does not tell whether it speaks of the sender, so both keys are tried. */
static struct shared_query *find_query(struct registry *registry, bytes text, const struct query_caller *caller)
{
    struct shared_query *found = map_find(&registry->queries, make_key(registry, text, caller, false));
    return found != NULL ? found : map_find(&registry->queries, make_key(registry, text, caller, true));
}

/* What is kept in order is kept in memory, and has to be there to be kept. */
static err check_window(const struct query *query, struct diag *diag)
{
    if (query->order_count > 0 && query->table->is_event)
        return diag_set(diag, ERR_BAD_SQL,
                        "the rows of event table `%.*s` are told as they come and not kept: leave out "
                        "ORDER BY and LIMIT",
                        BYTES_FORMAT(query->table->name));
    if (query->order_count == 0 || query->limit <= WINDOW_ROWS_MAX)
        return OK;
    return diag_set(diag, ERR_TOO_LARGE, "a live query keeps at most %d rows in order: LIMIT %llu is more",
                    WINDOW_ROWS_MAX, (unsigned long long)query->limit);
}

static err compile(struct query **compiled, bytes text, const struct query_caller *caller, const struct schema *schema,
                   struct diag *diag)
{
    TRY(query_compile(compiled, text, schema, caller, QUERY_SUBSCRIBED, diag));
    const err code = check_window(*compiled, diag);
    if (code != OK)
        query_free(*compiled);
    return code;
}

err registry_get(struct registry *registry, bytes text, const struct query_caller *caller, const struct schema *schema,
                 struct shared_query **query, struct diag *diag)
{
    if (text.size > SQL_TEXT_MAX)
        return diag_set(diag, ERR_TOO_LARGE, "a query may have %d bytes; this one has %zu", SQL_TEXT_MAX, text.size);
    *query = find_query(registry, text, caller);
    if (*query != NULL)
        return OK;
    struct query *compiled;
    TRY(compile(&compiled, text, caller, schema, diag));
    const bytes key = make_key(registry, text, caller, compiled->depends_on_sender);
    *query = shared_query_new(compiled, caller, key, text.size);
    check(map_put(&registry->queries, (*query)->key, *query) == NULL);
    watch_query(registry, *query);
    return OK;
}

static void forget_query(struct registry *registry, struct shared_query *query)
{
    check(map_remove(&registry->queries, query->key) == query);
    shared_query_free(query);
}

void registry_release(struct registry *registry, struct shared_query *query)
{
    if (query->holder_count > 0 || query->query == NULL || query->touched)
        return;
    unwatch_query(registry, query);
    forget_query(registry, query);
}

void registry_move_window(struct registry *registry, struct shared_query *query)
{
    struct query_range range;
    const bool stands_at_end = query->watchers[0].gates == &query->window_gates;
    const bool is_bound = shared_query_window_end(query, &range);
    if (stands_at_end == is_bound &&
        (!is_bound || bytes_equal(buf_bytes(&query->window_value), range.has_lower ? range.lower : range.upper)))
        return;
    unwatch_query(registry, query);
    watch_query(registry, query);
}

err registry_need_window(struct registry *registry, struct shared_query *query, const struct store *store,
                         uint64_t *rows_left, struct diag *diag)
{
    if (query->query->order_count == 0 || query->query->never || query->window != NULL)
        return OK;
    TRY(window_new(&query->window, query->query, store, rows_left, diag));
    registry_move_window(registry, query);
    return OK;
}

void registry_collect(struct registry *registry, struct partners *partners, struct query_list *touched)
{
    const struct delta *delta = partners->delta;
    registry->collector.partners = partners;
    registry->collector.touched = touched;
    for (uint32_t i = 0; i < delta->table_count; i++) {
        const struct table_watch *watch = find_watch(registry, delta->tables[i].table_id);
        if (watch != NULL)
            collect_table(&registry->collector, watch, &delta->tables[i]);
    }
}

void registry_each(const struct registry *registry,
                   void (*each)(void *context, struct shared_query *query, uint32_t table_id), void *context)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&registry->queries, &place)) != NULL;) {
        struct shared_query *query = entry->value;
        const struct query_join *join = query->query != NULL ? query->query->join : NULL;
        if (query->query != NULL)
            each(context, query, query->query->table->id);
        for (uint32_t side = 0; join != NULL && side < 2; side++)
            each(context, query, join->tables[side]->id);
    }
}

/* The new plan in the old one's place. A query that cannot have one is broken: it has none, and nobody may forget
 * it before all its holders have heard. */
static err compile_again(struct shared_query *query, const struct schema *schema, struct diag *diag)
{
    query_free(query->query);
    query->query = NULL;
    shared_query_forget_first_rows(query);
    struct query *compiled;
    TRY(compile(&compiled, query->text, &query->caller, schema, diag));
    if (query->window != NULL && !window_fits(query->window, compiled->table)) {
        query_free(compiled);
        return diag_set(diag, ERR_NOT_FOUND, "the rows that were shown are no longer rows of their table");
    }
    query->query = compiled;
    query->table_id = compiled->table->id;
    return OK;
}

struct broken_query {
    struct shared_query *query;
    struct diag diag;
};

void registry_recompile(struct registry *registry, const struct schema *schema,
                        void (*broken)(void *context, struct shared_query *query, const struct diag *diag),
                        void *context)
{
    struct buf failures;
    buf_init(&failures);
    forget_watches(registry);
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&registry->queries, &place)) != NULL;) {
        struct broken_query failure = { .query = entry->value };
        if (compile_again(failure.query, schema, &failure.diag) == OK)
            watch_query(registry, failure.query);
        else
            buf_put(&failures, &failure, sizeof failure);
    }
    for (size_t at = 0; at < failures.size; at += sizeof(struct broken_query)) {
        const struct broken_query *failure = (const struct broken_query *)(failures.data + at);
        broken(context, failure->query, &failure->diag);
        forget_query(registry, failure->query);
    }
    buf_deinit(&failures);
}
