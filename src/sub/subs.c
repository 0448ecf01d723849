#include "sub/subs.h"

#include "store/table.h"
#include "sub/initial_rows.h"
#include "sub/fanout.h"
#include "sub/join.h"
#include "sub/registry.h"
#include "sub/window.h"

/* Rows that one request may have looked at for its windows: a tenth of a second. */
enum { FILLED_ROWS_MAX = 2 << 20 };

struct subs {
    struct registry registry;
    struct fanout fanout;
    struct partners partners; /* of the running commit */
    struct tally tally;
    struct first_rows *wanted;  /* to be worked out: subs_take_batch() */
    struct query_list gathered; /* the queries of the request being served */
    uint64_t request;           /* counts them */
};

struct subs *subs_new(void)
{
    struct subs *subs = memory_new(sizeof *subs);
    registry_init(&subs->registry);
    fanout_init(&subs->fanout);
    query_list_init(&subs->gathered);
    return subs;
}

void subs_free(struct subs *subs)
{
    registry_deinit(&subs->registry);
    fanout_deinit(&subs->fanout);
    tally_deinit(&subs->tally);
    query_list_deinit(&subs->gathered);
    memory_free(subs);
}

void subscriber_init(struct subscriber *subscriber)
{
    memset(subscriber, 0, sizeof *subscriber);
}

void update_parts_put(struct buf *out, const struct update_part *parts, uint32_t count)
{
    if (count == 0)
        buf_put_u32(out, 0);
    for (uint32_t idx = 0; idx < count; idx++) {
        if (parts[idx].shared != NULL)
            buf_put(out, parts[idx].shared->data, parts[idx].shared->size);
        else
            buf_put_bytes(out, parts[idx].inline_bytes);
    }
}

uint32_t subs_query_count(const struct subs *subs)
{
    return subs->registry.queries.count;
}

uint64_t subs_offer_count(const struct subs *subs)
{
    return subs->registry.collector.offers;
}

/* Where the set with this id stands among the client's sets, or would stand. */
static uint32_t set_place(const struct subscriber *subscriber, uint32_t query_set_id)
{
    uint32_t lower = 0, upper = subscriber->set_count;
    while (lower < upper) {
        const uint32_t middle = lower + (upper - lower) / 2;
        if (subscriber->sets[middle]->id < query_set_id)
            lower = middle + 1;
        else
            upper = middle;
    }
    return lower;
}

static struct query_set *find_set(const struct subscriber *subscriber, uint32_t query_set_id)
{
    const uint32_t place = set_place(subscriber, query_set_id);
    if (place == subscriber->set_count || subscriber->sets[place]->id != query_set_id)
        return NULL;
    return subscriber->sets[place];
}

static void insert_set(struct subscriber *subscriber, struct query_set *set)
{
    if (subscriber->set_count == subscriber->set_capacity) {
        subscriber->set_capacity = subscriber->set_capacity == 0 ? 2 : subscriber->set_capacity * 2;
        subscriber->sets = memory_resize(subscriber->sets, sizeof *subscriber->sets * subscriber->set_capacity);
    }
    const uint32_t place = set_place(subscriber, set->id);
    struct query_set **at = subscriber->sets + place;
    memmove(at + 1, at, sizeof *at * (subscriber->set_count - place));
    *at = set;
    subscriber->set_count++;
    subscriber->query_count += set->count;
}

static void remove_set(struct subscriber *subscriber, struct query_set *set)
{
    const uint32_t place = set_place(subscriber, set->id);
    struct query_set **at = subscriber->sets + place;
    check(*at == set);
    memmove(at, at + 1, sizeof *at * (subscriber->set_count - place - 1));
    subscriber->set_count--;
    subscriber->query_count -= set->count;
}

static struct query_set *set_new(struct subscriber *subscriber, uint32_t query_set_id, const struct query_list *queries)
{
    struct query_set *set = memory_new(sizeof *set + sizeof *set->holdings * queries->count);
    set->id = query_set_id;
    set->subscriber = subscriber;
    set->count = queries->count;
    for (uint32_t i = 0; i < queries->count; i++) {
        set->holdings[i].set = set;
        shared_query_hold(queries->queries[i], &set->holdings[i]);
    }
    return set;
}

static void set_free(struct subs *subs, struct query_set *set)
{
    if (set->opening != NULL)
        set->opening->set = NULL;
    for (uint32_t i = 0; i < set->count; i++) {
        struct shared_query *query = set->holdings[i].query;
        shared_query_let_go(&set->holdings[i]);
        registry_release(&subs->registry, query);
    }
    memory_free(set);
}

/* One Subscribe being served. */
struct request {
    struct subs *subs;
    const struct subscriber *subscriber;
    const struct query_caller *caller;
    const struct schema *schema;
};

static err gather_query(const struct request *request, bytes text, struct diag *diag)
{
    struct subs *subs = request->subs;
    struct shared_query *query;
    TRY(registry_get(&subs->registry, text, request->caller, request->schema, &query, diag));
    if (query->request == subs->request)
        return OK;
    query->request = subs->request;
    query_list_add(&subs->gathered, query);
    if (request->subscriber->query_count + subs->gathered.count > SUBS_QUERIES_MAX)
        return diag_set(diag, ERR_TOO_LARGE, "a client may hold %d queries", SUBS_QUERIES_MAX);
    return OK;
}

static bool is_space(uint8_t letter)
{
    return letter == ' ' || (letter >= '\t' && letter <= '\r');
}

static bytes trim(bytes text)
{
    while (text.size > 0 && is_space(text.at[0]))
        text = bytes_of(text.at + 1, text.size - 1);
    while (text.size > 0 && is_space(text.at[text.size - 1]))
        text.size--;
    return text;
}

/* Takes a word in lower case from the text's beginning, after any space. */
static bool take_word(bytes *text, const char *word)
{
    bytes rest = trim(*text);
    for (; *word != '\0'; word++) {
        if (rest.size == 0 || (rest.at[0] | 0x20) != (*word | 0x20))
            return false;
        rest = bytes_of(rest.at + 1, rest.size - 1);
    }
    *text = rest;
    return true;
}

static bool is_select_everything(bytes text)
{
    return take_word(&text, "select") && take_word(&text, "*") && take_word(&text, "from") && take_word(&text, "*") &&
           text.size == 0;
}

static err gather_tables(const struct request *request, struct diag *diag)
{
    err code = OK;
    struct buf text;
    buf_init(&text);
    for (uint32_t i = 0; i < request->schema->table_count && code == OK; i++) {
        const struct table_def *table = &request->schema->tables[i];
        if (table->is_event || (table->access == ACCESS_PRIVATE && !request->caller->is_owner))
            continue;
        buf_clear(&text);
        buf_put_format(&text, "SELECT * FROM \"%.*s\"", BYTES_FORMAT(table->name));
        code = gather_query(request, buf_bytes(&text), diag);
    }
    buf_deinit(&text);
    return code;
}

static err gather_all(const struct request *request, struct reader texts, uint32_t count, struct diag *diag)
{
    request->subs->gathered.count = 0;
    request->subs->request++;
    for (uint32_t i = 0; i < count; i++) {
        const bytes text = trim(reader_get_sized(&texts));
        if (is_select_everything(text))
            TRY(gather_tables(request, diag));
        else
            TRY(gather_query(request, text, diag));
    }
    check(!texts.failed);
    return OK;
}

static err check_estimates(const struct subs *subs, const struct query_caller *caller, const struct store *store,
                           struct diag *diag)
{
    struct budget budget = { .estimate_max = caller->row_limit, .diag = diag };
    for (uint32_t i = 0; i < subs->gathered.count && caller->row_limit > 0; i++)
        TRY(budget_check_estimate(&budget, query_estimate(subs->gathered.queries[i]->query, store)));
    return OK;
}

/* After a refusal: what was compiled for this request alone goes. */
static void release_gathered(struct subs *subs)
{
    for (uint32_t i = 0; i < subs->gathered.count; i++)
        registry_release(&subs->registry, subs->gathered.queries[i]);
    subs->gathered.count = 0;
}

/* After a refusal: nobody will wait for what was wanted since. */
static void release_wanted(struct subs *subs, const struct first_rows *since)
{
    while (subs->wanted != since) {
        struct first_rows *rows = subs->wanted;
        subs->wanted = rows->next;
        first_rows_let_go(rows);
    }
}

void subs_leave_batch(struct subs *subs)
{
    release_wanted(subs, NULL);
}

/* The tables that the wanted rows are read from. */
static struct frozen *freeze_wanted(const struct subs *subs, struct store *store)
{
    struct buf ids;
    buf_init(&ids);
    for (const struct first_rows *rows = subs->wanted; rows != NULL; rows = rows->next)
        buf_put(&ids, rows->table_ids, sizeof rows->table_ids);
    struct frozen *frozen =
        store_freeze_some(store, (const uint32_t *)ids.data, (uint32_t)(ids.size / sizeof(uint32_t)));
    buf_deinit(&ids);
    return frozen;
}

struct first_rows_batch *subs_take_batch(struct subs *subs, struct store *store)
{
    if (subs->wanted == NULL)
        return NULL;
    struct first_rows_batch *batch = memory_new(sizeof *batch);
    batch->frozen = freeze_wanted(subs, store);
    batch->first = subs->wanted;
    subs->wanted = NULL;
    return batch;
}

bool subs_abandon(struct subs *subs, struct opening *opening)
{
    struct query_set *set = opening->set;
    const bool was_told = set != NULL && set->was_told;
    if (set != NULL) {
        remove_set(set->subscriber, set);
        set_free(subs, set);
    }
    opening_free(opening);
    return was_told;
}

static err check_set_id(const struct subscriber *subscriber, uint32_t query_set_id, struct diag *diag)
{
    if (find_set(subscriber, query_set_id) != NULL)
        return diag_set(diag, ERR_BUSY, "the query set %u is in use: unsubscribe it first or take another id",
                        query_set_id);
    if (subscriber->set_count == SUBS_SETS_MAX)
        return diag_set(diag, ERR_TOO_LARGE, "a client may hold %d query sets", SUBS_SETS_MAX);
    return OK;
}

static err need_windows(struct subs *subs, const struct query_set *set, const struct store *store, struct diag *diag)
{
    uint64_t rows_left = FILLED_ROWS_MAX;
    for (uint32_t i = 0; i < set->count; i++)
        TRY(registry_need_window(&subs->registry, set->holdings[i].query, store, &rows_left, diag));
    return OK;
}

err subs_subscribe(struct subs *subs, struct subscriber *subscriber, const struct query_caller *caller,
                   const struct store *store, uint32_t query_set_id, struct reader queries, uint32_t query_count,
                   struct buf *out, struct opening **opening, struct diag *diag)
{
    if (opening != NULL)
        *opening = NULL;
    TRY(check_set_id(subscriber, query_set_id, diag));
    const struct request request = { subs, subscriber, caller, store->schema };
    err code = gather_all(&request, queries, query_count, diag);
    if (code == OK)
        code = check_estimates(subs, caller, store, diag);
    if (code != OK) {
        release_gathered(subs);
        return code;
    }
    const struct first_rows *wanted = subs->wanted;
    struct query_set *set = set_new(subscriber, query_set_id, &subs->gathered);
    code = need_windows(subs, set, store, diag);
    if (code == OK)
        code = initial_rows_put(out, set, store, opening, &subs->wanted, diag);
    if (code != OK) {
        release_wanted(subs, wanted);
        set_free(subs, set);
        return code;
    }
    if (opening != NULL && *opening != NULL) {
        set->opening = *opening;
        set->opening->set = set;
    }
    insert_set(subscriber, set);
    return OK;
}

err subs_unsubscribe(struct subs *subs, struct subscriber *subscriber, const struct store *store, uint32_t query_set_id,
                     struct buf *out, struct opening **opening, struct diag *diag)
{
    if (opening != NULL)
        *opening = NULL;
    struct query_set *set = find_set(subscriber, query_set_id);
    if (set == NULL)
        return diag_set(diag, ERR_NOT_FOUND, "there is no query set %u", query_set_id);
    const struct first_rows *wanted = subs->wanted;
    const err code = out == NULL ? OK : initial_rows_put(out, set, store, opening, &subs->wanted, diag);
    if (code != OK) {
        release_wanted(subs, wanted);
        return code;
    }
    remove_set(subscriber, set);
    set_free(subs, set);
    return OK;
}

void subs_drop(struct subs *subs, struct subscriber *subscriber)
{
    check(subscriber->item_count == 0);
    for (uint32_t i = 0; i < subscriber->set_count; i++)
        set_free(subs, subscriber->sets[i]);
    memory_free(subscriber->sets);
    memory_free(subscriber->items);
    *subscriber = (struct subscriber){ .by_table = subscriber->by_table };
}

struct ending {
    struct subs *subs;
    subs_ended_fn *ended;
    void *context;
};

/* Every set that holds the broken query ends. The query itself stays: it is broken, or a commit is under way. */
static void end_sets(void *context, struct shared_query *query, const struct diag *diag)
{
    const struct ending *ending = context;
    while (query->holder_count > 0) {
        struct query_set *set = query->holders[query->holder_count - 1]->set;
        struct subscriber *subscriber = set->subscriber;
        const uint32_t query_set_id = set->id;
        remove_set(subscriber, set);
        set_free(ending->subs, set);
        ending->ended(ending->context, subscriber, query_set_id, diag);
    }
}

/* What the commit brings a query, worked out where a row does not say so by itself. */
static err settle_query(struct subs *subs, struct shared_query *query, struct diag *diag)
{
    if (query->query->join != NULL)
        return join_settle(query, &subs->partners, &subs->tally, diag);
    if (query->query->order_count > 0) {
        TRY(window_settle(query, subs->partners.store, &subs->partners.refills_left, diag));
        registry_move_window(&subs->registry, query);
        return OK;
    }
    if (row_list_encoded_size(&query->inserts) + row_list_encoded_size(&query->deletes) <= SUBS_ROWS_SIZE_MAX)
        return OK;
    return diag_set(diag, ERR_TOO_LARGE, "a commit changed more rows of a live query than one message can hold");
}

/* Whether one failed. */
static bool settle(struct subs *subs)
{
    const struct query_list *touched = &subs->fanout.touched;
    bool has_failed = false;
    struct diag diag;
    for (uint32_t i = 0; i < touched->count; i++) {
        if (settle_query(subs, touched->queries[i], &diag) == OK)
            continue;
        touched->queries[i]->failure = memory_copy(&diag, sizeof diag);
        has_failed = true;
    }
    return has_failed;
}

/* Nobody holds them any more, but the commit still does (registry_release()). */
static void end_failed(struct ending *ending)
{
    const struct query_list *touched = &ending->subs->fanout.touched;
    for (uint32_t i = 0; i < touched->count; i++) {
        if (touched->queries[i]->failure != NULL)
            end_sets(ending, touched->queries[i], touched->queries[i]->failure);
    }
}

/* What lost its last holder meanwhile is forgotten. */
static void release_touched(struct subs *subs)
{
    struct query_list *touched = &subs->fanout.touched;
    for (uint32_t i = 0; i < touched->count; i++)
        registry_release(&subs->registry, touched->queries[i]);
    touched->count = 0;
}

struct audience {
    subs_deliver_fn *deliver;
    subs_ended_fn *ended;
    void *context;
};

static void tell_touched(struct subs *subs, const struct audience *audience)
{
    struct ending ending = { subs, audience->ended, audience->context };
    const bool has_failed = settle(subs);
    if (has_failed)
        end_failed(&ending);
    fanout_deliver(&subs->fanout, audience->deliver, audience->context);
    if (has_failed)
        release_touched(subs);
    subs->fanout.touched.count = 0;
}

void subs_publish(struct subs *subs, const struct store *store, const struct delta *delta, subs_deliver_fn *deliver,
                  subs_ended_fn *ended, void *context)
{
    partners_begin(&subs->partners, store, delta);
    registry_collect(&subs->registry, &subs->partners, &subs->fanout.touched);
    if (subs->fanout.touched.count > 0)
        tell_touched(subs, &(struct audience){ deliver, ended, context });
    partners_end(&subs->partners);
}

void subs_recompile(struct subs *subs, const struct schema *schema, subs_ended_fn *ended, void *context)
{
    struct ending ending = { subs, ended, context };
    registry_recompile(&subs->registry, schema, end_sets, &ending);
}

const struct query *subscriber_only_query(const struct subscriber *subscriber, uint32_t query_set_id)
{
    const struct query_set *set = find_set(subscriber, query_set_id);
    return set != NULL && set->count == 1 ? set->holdings[0].query->query : NULL;
}

struct table_walk {
    void (*each)(void *context, uint32_t table_id);
    void *context;
};

static void tell_table(void *context, struct shared_query *query, uint32_t table_id)
{
    const struct table_walk *walk = context;
    walk->each(walk->context, table_id);
}

void subs_each_table(const struct subs *subs, void (*each)(void *context, uint32_t table_id), void *context)
{
    struct table_walk walk = { each, context };
    registry_each(&subs->registry, tell_table, &walk);
}

static void tell_tables_of(const struct query *query, void (*each)(void *context, uint32_t table_id), void *context)
{
    const struct query_join *join = query->join;
    each(context, join != NULL ? join->tables[0]->id : query->table->id);
    if (join != NULL && join->tables[1] != join->tables[0])
        each(context, join->tables[1]->id);
}

void subscriber_each_table(const struct subscriber *subscriber, void (*each)(void *context, uint32_t table_id),
                           void *context)
{
    for (uint32_t i = 0; i < subscriber->set_count; i++)
        for (uint32_t j = 0; j < subscriber->sets[i]->count; j++)
            tell_tables_of(subscriber->sets[i]->holdings[j].query->query, each, context);
}

struct readers {
    uint32_t table_id;
    struct query_list queries;
};

static void gather_reader(void *context, struct shared_query *query, uint32_t table_id)
{
    struct readers *readers = context;
    const uint32_t count = readers->queries.count;
    if (table_id == readers->table_id && (count == 0 || readers->queries.queries[count - 1] != query))
        query_list_add(&readers->queries, query);
}

/* Ending the sets of one query may end another of these, so each is kept from being forgotten until all are done. */
void subs_end_table(struct subs *subs, uint32_t table_id, const struct diag *why, subs_ended_fn *ended, void *context)
{
    struct ending ending = { subs, ended, context };
    struct readers readers = { .table_id = table_id };
    query_list_init(&readers.queries);
    registry_each(&subs->registry, gather_reader, &readers);
    for (uint32_t idx = 0; idx < readers.queries.count; idx++)
        readers.queries.queries[idx]->touched = true;
    for (uint32_t idx = 0; idx < readers.queries.count; idx++)
        end_sets(&ending, readers.queries.queries[idx], why);
    for (uint32_t idx = 0; idx < readers.queries.count; idx++) {
        readers.queries.queries[idx]->touched = false;
        registry_release(&subs->registry, readers.queries.queries[idx]);
    }
    query_list_deinit(&readers.queries);
}
