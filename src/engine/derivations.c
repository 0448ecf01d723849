#include "engine/derivations.h"

#include "base/clock.h"
#include "engine/derived.h"
#include "proto/row_list.h"
#include "sats/bsatn.h"
#include "store/table.h"

#include <stdlib.h>

enum { SWEEP_INTERVAL_US = 1000000, THE_SET = 0 /* each derived table's queries are one set */ };

struct level {
    struct subs *subs; /* owned */
    struct buf changed; /* struct derived *: those that the commit has counted rows for */
};

struct derivations {
    struct engine *engine;
    struct filters filters;
    struct reads *reads;
    struct map by_name;   /* kind, subject, caller -> struct derived, owned */
    struct level *levels; /* owned */
    uint32_t level_count;
    uint64_t commits;
    struct buf touched;   /* struct derived *: views that the commit may change */
    struct buf changes;   /* struct delta_table: the delta at hand */
    struct buf broken;    /* struct derived *: those that have just broken */
    struct delta delta;
    int64_t swept_us;
};

/* --- Names --- */

struct name_key {
    uint8_t at[sizeof(uint32_t) * 2 + sizeof(identity)];
};

static struct name_key name_key(enum derived_kind kind, uint32_t subject, const identity *caller)
{
    struct name_key key;
    bytes_put_u32(key.at, (uint32_t)kind);
    bytes_put_u32(key.at + 4, subject);
    memcpy(key.at + 8, caller->at, sizeof caller->at);
    return key;
}

static bytes key_of(const struct name_key *key)
{
    return bytes_of(key->at, sizeof key->at);
}

static bytes own_key(const struct derived *derived, struct name_key *key)
{
    *key = name_key(derived->kind, derived->subject, &derived->caller);
    return key_of(key);
}

static struct derived *next_derived(const struct derivations *derivations, uint32_t *place)
{
    const struct map_entry *entry = map_next(&derivations->by_name, place);
    return entry != NULL ? entry->value : NULL;
}

/* --- Life --- */

struct derivations *derivations_new(struct engine *engine, struct filters *filters)
{
    struct derivations *derivations = memory_new(sizeof *derivations);
    derivations->engine = engine;
    derivations->filters = *filters;
    *filters = (struct filters){ 0 };
    derivations->reads = reads_new();
    map_init(&derivations->by_name);
    return derivations;
}

static struct level *need_level(struct derivations *derivations, uint32_t level)
{
    while (level >= derivations->level_count) {
        derivations->levels = memory_resize(derivations->levels, (derivations->level_count + 1) * sizeof(struct level));
        derivations->levels[derivations->level_count++] = (struct level){ .subs = subs_new() };
    }
    return &derivations->levels[level];
}

static void stop_following(struct derivations *derivations, struct derived *derived)
{
    if (derived->subscriber.sets != NULL)
        subs_drop(derivations->levels[derived->level].subs, &derived->subscriber);
}

/* Its name is the caller's to forget. */
static void drop(struct derivations *derivations, struct derived *derived)
{
    stop_following(derivations, derived);
    reads_clear(derivations->reads, &derived->reads);
    store_detach(&derivations->engine->store, derived->table);
    derived_free(derived);
}

void derivations_free(struct derivations *derivations)
{
    if (derivations == NULL)
        return;
    uint32_t place = 0;
    for (struct derived *derived; (derived = next_derived(derivations, &place)) != NULL;)
        drop(derivations, derived);
    for (uint32_t idx = 0; idx < derivations->level_count; idx++) {
        subs_free(derivations->levels[idx].subs);
        buf_deinit(&derivations->levels[idx].changed);
    }
    memory_free(derivations->levels);
    reads_free(derivations->reads);
    map_deinit(&derivations->by_name);
    filters_deinit(&derivations->filters);
    buf_deinit(&derivations->touched);
    buf_deinit(&derivations->changes);
    buf_deinit(&derivations->broken);
    memory_free(derivations);
}

/* --- What breaks (G2) --- */

static void break_table(struct derivations *derivations, struct derived *derived, const struct diag *diag)
{
    if (derived->is_broken)
        return;
    derived->is_broken = true;
    derived->failure = *diag;
    buf_put(&derivations->broken, &derived, sizeof derived);
}

static void on_level_ended(void *context, struct subscriber *subscriber, uint32_t set, const struct diag *diag)
{
    break_table(context, container_of(subscriber, struct derived, subscriber), diag);
}

/* What looks at a broken table breaks with it. */
static void end_broken(struct derivations *derivations, subs_ended_fn *ended, void *context)
{
    for (size_t at = 0; at < derivations->broken.size; at += sizeof(struct derived *)) {
        struct derived *derived;
        memcpy(&derived, derivations->broken.data + at, sizeof derived);
        stop_following(derivations, derived);
        for (uint32_t idx = 0; idx < derivations->level_count; idx++)
            subs_end_table(derivations->levels[idx].subs, derived->def.id, &derived->failure, on_level_ended, derivations);
        subs_end_table(derivations->engine->subs, derived->def.id, &derived->failure, ended, context);
    }
    buf_clear(&derivations->broken);
}

/* --- Rows from queries --- */

static void count_list(struct derived *derived, const struct row_list_view *rows, int32_t change)
{
    for (uint32_t place = 0; place < rows->count; place++)
        derived_count(derived, row_list_view_row(rows, place), change);
}

/* QueryRows, as a subscription begins with them. */
static void count_query_rows(struct derived *derived, bytes query_rows)
{
    struct reader from = reader_of(query_rows);
    for (uint32_t tables = reader_get_u32(&from); tables > 0; tables--) {
        (void)reader_get_sized(&from);
        const struct row_list_view rows = row_list_view_take(&from);
        count_list(derived, &rows, 1);
    }
    check(!from.failed);
}

/* The body of a TransactionUpdate. */
static void count_update(struct derived *derived, bytes update)
{
    struct reader from = reader_of(update);
    struct row_list_view inserts, deletes;
    for (uint32_t sets = reader_get_u32(&from); sets > 0; sets--) {
        (void)reader_get_u32(&from);
        for (uint32_t tables = reader_get_u32(&from); tables > 0; tables--) {
            (void)reader_get_sized(&from);
            for (uint32_t rows = reader_get_u32(&from); rows > 0; rows--) {
                row_list_view_take_update(&from, &inserts, &deletes);
                count_list(derived, &inserts, 1);
                count_list(derived, &deletes, -1);
            }
        }
    }
    check(!from.failed);
}

/* Begins to follow queries, which are counted as they are now. */
static err follow(struct derivations *derivations, struct derived *derived, const struct query_caller *caller,
                  const bytes *texts, uint32_t count, struct diag *diag)
{
    struct buf list = { 0 }, rows = { 0 };
    for (uint32_t idx = 0; idx < count; idx++)
        buf_put_sized(&list, texts[idx]);
    const err code = subs_subscribe(need_level(derivations, derived->level)->subs, &derived->subscriber, caller,
                                    &derivations->engine->store, THE_SET, reader_of(buf_bytes(&list)), count, &rows, NULL, diag);
    if (code == OK)
        count_query_rows(derived, buf_bytes(&rows));
    buf_deinit(&list);
    buf_deinit(&rows);
    return code;
}

/* --- Views --- */

struct view_run {
    struct derivations *derivations;
    struct derived *derived;
};

static void on_read(void *context, const struct view_read *read)
{
    const struct view_run *run = context;
    reads_add(run->derivations->reads, &run->derived->reads, run->derived->schema, read);
}

static void count_result(struct derived *derived, bytes result)
{
    struct reader from = reader_of(result);
    for (uint32_t left = reader_get_u32(&from); left > 0; left--) {
        const size_t size = bsatn_size(derived->def.row_type, from.at);
        derived_count_in(derived, reader_take(&from, size));
    }
    check(!from.failed);
}

/* The query that a view gave sees all tables and no views. */
static err follow_view(struct derivations *derivations, struct derived *derived, bytes text, struct diag *diag)
{
    const struct query_caller caller = { .sender = derived->caller, .is_owner = true };
    struct query *query;
    TRY(query_compile(&query, text, derived->schema, &caller, QUERY_SUBSCRIBED, diag));
    const bool fits = type_equal(query->table->row_type, derived->def.row_type);
    query_free(query);
    if (!fits)
        return diag_set(diag, ERR_BAD_SQL, "its query gives rows of another type than the view declares");
    buf_clear(&derived->query);
    buf_put_bytes(&derived->query, text);
    return follow(derivations, derived, &caller, &text, 1, diag);
}

/* Runs the view's function, and counts its rows as all there is. */
static err view_run(struct derivations *derivations, struct derived *derived, struct diag *diag)
{
    struct engine *engine = derivations->engine;
    struct view_run run = { derivations, derived };
    const struct view_call call = { .view = derived->subject,
                                    .caller = derived->caller,
                                    .timestamp_us = engine->now_us,
                                    .read = on_read,
                                    .read_context = &run };
    const bool is_query = derived->schema->views[derived->subject].kind == VIEW_QUERY;
    struct buf result = { 0 };
    reads_clear(derivations->reads, &derived->reads);
    derived->called_us = engine->now_us;
    err code = module_call_view(engine->module, engine->txn, &call, &result, diag);
    const bool is_same = is_query && derived->query.size > 0 && bytes_equal(buf_bytes(&derived->query), buf_bytes(&result));
    if (code == OK && !is_same) {
        stop_following(derivations, derived);
        derived_count_out(derived);
        if (is_query)
            code = follow_view(derivations, derived, buf_bytes(&result), diag);
        else
            count_result(derived, buf_bytes(&result));
    }
    buf_deinit(&result);
    return code == OK ? OK : diag_note(diag, "the view `%.*s`: ", BYTES_FORMAT(derived->def.name));
}

/* --- Parts --- */

/* Names in the filters of a part: its own table is itself, others with filters are the caller's parts of them. */
static err find_in_filter(void *context, bytes name, const struct query_caller *caller, struct catalog_entry *entry,
                          struct diag *diag)
{
    struct derived *derived = context;
    struct query_caller asking = *caller;
    *entry = (struct catalog_entry){ 0 };
    if (bytes_equal(name, derived->def.name) || schema_find_view(derived->schema, name) != NULL)
        return OK;
    asking.is_owner = false;
    TRY(derivations_find(derived->engine, name, &asking, entry, diag));
    if (entry->def == NULL)
        return OK;
    const struct derived *found = container_of(entry->def, struct derived, def);
    if (found->level >= derived->level)
        derived->level = found->level + 1;
    return OK;
}

/* Compiling once more than needed is what tells the level. */
static err find_level(struct derived *derived, const struct query_caller *caller, const struct table_filters *filters,
                      struct diag *diag)
{
    for (uint32_t idx = 0; idx < filters->count; idx++) {
        struct query *query;
        TRY(query_compile(&query, filters->texts[idx], derived->schema, caller, QUERY_SUBSCRIBED, diag));
        query_free(query);
    }
    return OK;
}

static err part_fill(struct derivations *derivations, struct derived *derived, struct diag *diag)
{
    const struct table_filters filters =
        filters_of(&derivations->filters, derived->schema, &derived->schema->tables[derived->subject]);
    derived->scope = (struct catalog){ derived, find_in_filter };
    const struct query_caller caller = { .sender = derived->caller, .is_owner = true, .catalog = &derived->scope };
    TRY(find_level(derived, &caller, &filters, diag));
    return follow(derivations, derived, &caller, filters.texts, filters.count, diag);
}

/* --- Finding and making --- */

static err make(struct derivations *derivations, enum derived_kind kind, uint32_t subject, const identity *caller,
                struct derived **made, struct diag *diag)
{
    struct engine *engine = derivations->engine;
    struct derived *derived = derived_new(kind, subject, engine->store.schema, store_derived_id(&engine->store));
    struct delta_table change;
    bool any;
    derived->engine = engine;
    derived->caller = *caller;
    store_attach(&engine->store, derived->table);
    derived_begin(derived, 0);
    err code = kind == DERIVED_VIEW ? view_run(derivations, derived, diag) : part_fill(derivations, derived, diag);
    if (code == OK)
        code = derived_apply(derived, &change, &any, diag);
    if (code != OK) {
        drop(derivations, derived);
        return code;
    }
    struct name_key key;
    map_put(&derivations->by_name, own_key(derived, &key), derived);
    *made = derived;
    return OK;
}

static err get(struct derivations *derivations, enum derived_kind kind, uint32_t subject, const identity *caller,
               struct catalog_entry *entry, struct diag *diag)
{
    static const identity everyone;
    const identity *const who = entry->is_callers_own ? caller : &everyone;
    const struct name_key key = name_key(kind, subject, who);
    struct derived *derived = map_find(&derivations->by_name, key_of(&key));
    if (derived == NULL)
        TRY(make(derivations, kind, subject, who, &derived, diag));
    if (derived->is_broken) {
        *diag = derived->failure;
        return diag->code;
    }
    derived->is_used = true;
    entry->def = &derived->def;
    return OK;
}

err derivations_find(void *context, bytes name, const struct query_caller *caller, struct catalog_entry *entry,
                     struct diag *diag)
{
    struct engine *engine = context;
    struct derivations *derivations = engine->derivations;
    const struct schema *schema = engine->store.schema;
    const struct view_def *view = schema_find_view(schema, name);
    *entry = (struct catalog_entry){ 0 };
    if (view != NULL) {
        entry->is_callers_own = !view->is_anonymous;
        return get(derivations, DERIVED_VIEW, (uint32_t)(view - schema->views), &caller->sender, entry, diag);
    }
    const struct table_def *table = caller->is_owner ? NULL : schema_find_table(schema, name);
    if (table == NULL)
        return OK;
    const struct table_filters filters = filters_of(&derivations->filters, schema, table);
    if (filters.count == 0)
        return OK;
    entry->is_callers_own = filters.depends_on_sender;
    return get(derivations, DERIVED_PART, (uint32_t)(table - schema->tables), &caller->sender, entry, diag);
}

/* --- Following a commit --- */

static void add_change(struct derivations *derivations, struct derived *derived)
{
    struct delta_table change;
    struct diag diag;
    bool any = false;
    if (derived->is_broken)
        return;
    if (derived_apply(derived, &change, &any, &diag) != OK)
        break_table(derivations, derived, &diag);
    else if (any)
        buf_put(&derivations->changes, &change, sizeof change);
}

/* All that have counted rows; one that stands in the list twice has nothing left the second time. */
static void add_changes(struct derivations *derivations, const struct buf *list)
{
    for (size_t at = 0; at < list->size; at += sizeof(struct derived *)) {
        struct derived *derived;
        memcpy(&derived, list->data + at, sizeof derived);
        add_change(derivations, derived);
    }
}

static const struct delta *delta_now(struct derivations *derivations)
{
    derivations->delta = (struct delta){ .table_count = (uint32_t)(derivations->changes.size / sizeof(struct delta_table)),
                                         .tables = (const struct delta_table *)derivations->changes.data };
    return &derivations->delta;
}

static void on_found(void *context, struct reader_set *set)
{
    struct derivations *derivations = context;
    struct derived *derived = container_of(set, struct derived, reads);
    buf_put(&derivations->touched, &derived, sizeof derived);
}

static void run_views(struct derivations *derivations, const struct delta *delta)
{
    const size_t first = derivations->touched.size;
    reads_find(derivations->reads, &derivations->engine->store, delta, on_found, derivations);
    for (size_t at = first; at < derivations->touched.size; at += sizeof(struct derived *)) {
        struct derived *derived;
        struct diag diag;
        memcpy(&derived, derivations->touched.data + at, sizeof derived);
        derived_begin(derived, derivations->commits);
        if (!derived->is_broken && view_run(derivations, derived, &diag) != OK)
            break_table(derivations, derived, &diag);
    }
}

static void on_level_update(void *context, struct subscriber *subscriber, const struct update_part *parts, uint32_t count)
{
    struct derivations *derivations = context;
    struct derived *derived = container_of(subscriber, struct derived, subscriber);
    struct buf joined = { 0 };
    for (uint32_t idx = 0; idx < count; idx++) {
        if (parts[idx].shared != NULL)
            buf_put(&joined, parts[idx].shared->data, parts[idx].shared->size);
        else
            buf_put_bytes(&joined, parts[idx].inline_bytes);
    }
    derived_begin(derived, derivations->commits);
    count_update(derived, buf_bytes(&joined));
    struct buf *const list = derived->kind == DERIVED_VIEW ? &derivations->touched : &derivations->levels[derived->level].changed;
    buf_put(list, &derived, sizeof derived);
    buf_deinit(&joined);
}

/* G1 */
static void run_level(struct derivations *derivations, struct level *level)
{
    buf_clear(&level->changed);
    subs_publish(level->subs, &derivations->engine->store, delta_now(derivations), on_level_update, on_level_ended,
                 derivations);
    add_changes(derivations, &level->changed);
}

static int by_table_id(const void *left, const void *right)
{
    const uint32_t first = ((const struct delta_table *)left)->table_id;
    const uint32_t second = ((const struct delta_table *)right)->table_id;
    return first < second ? -1 : first > second;
}

const struct delta *derivations_follow(struct derivations *derivations, const struct delta *delta, subs_ended_fn *ended,
                                       void *context)
{
    if (derivations->by_name.count == 0)
        return delta;
    struct buf *changes = &derivations->changes;
    derivations->commits++;
    buf_clear(changes);
    buf_clear(&derivations->touched);
    buf_put(changes, delta->tables, delta->table_count * sizeof *delta->tables);
    for (uint32_t idx = 0; idx < derivations->level_count; idx++)
        run_level(derivations, &derivations->levels[idx]);
    run_views(derivations, delta);
    add_changes(derivations, &derivations->touched);
    end_broken(derivations, ended, context);
    qsort(changes->data, changes->size / sizeof(struct delta_table), sizeof(struct delta_table), by_table_id);
    return delta_now(derivations);
}

/* --- A publish --- */

static void count_table(struct derived *derived, const struct table *from)
{
    rowref ref = ROWREF_NONE;
    derived_count_out(derived);
    for (const struct row *row; (row = pages_next(&from->pages, &ref)) != NULL;)
        derived_count_in(derived, row_bytes(row));
}

/* Puts the old rows into the new table and the new ones over them: what remains is the difference. */
static void add_difference(struct derivations *derivations, struct derived *derived, const struct derived *before)
{
    struct table *const now = table_new(&derived->def);
    struct delta_table change;
    struct diag diag;
    bool any;
    rowref ref = ROWREF_NONE;
    for (const struct row *row; (row = pages_next(&derived->table->pages, &ref)) != NULL;)
        table_restore(now, row_bytes(row));
    derived_begin(derived, ++derivations->commits);
    count_table(derived, before->table);
    if (derived_apply(derived, &change, &any, &diag) == OK) {
        derived_begin(derived, ++derivations->commits);
        count_table(derived, now);
        add_change(derivations, derived);
    } else {
        break_table(derivations, derived, &diag);
    }
    table_free(now);
}

const struct delta *derivations_difference(struct derivations *derivations, const struct derivations *before)
{
    const struct schema *schema = derivations->engine->store.schema;
    uint32_t place = 0;
    buf_clear(&derivations->changes);
    for (const struct derived *old; (old = next_derived(before, &place)) != NULL;) {
        const struct schema *was = old->schema;
        struct name_key key;
        if (old->is_broken)
            continue;
        const struct view_def *view =
            old->kind == DERIVED_VIEW ? schema_find_view(schema, was->views[old->subject].rows.name) : NULL;
        const struct table_def *table = old->kind == DERIVED_PART ? schema_find_table(schema, was->tables[old->subject].name) : NULL;
        if (view == NULL && table == NULL)
            continue;
        const uint32_t subject = view != NULL ? (uint32_t)(view - schema->views) : (uint32_t)(table - schema->tables);
        key = name_key(old->kind, subject, &old->caller);
        struct derived *derived = map_find(&derivations->by_name, key_of(&key));
        if (derived != NULL && !derived->is_broken && type_equal(old->def.row_type, derived->def.row_type))
            add_difference(derivations, derived, old);
    }
    return delta_now(derivations);
}

/* --- What there is --- */

void derivations_views(const struct derivations *derivations, struct buf *views)
{
    uint32_t place = 0;
    for (const struct derived *derived; (derived = next_derived(derivations, &place)) != NULL;) {
        if (derived->kind != DERIVED_VIEW || derived->is_broken)
            continue;
        const struct view_def *def = &derived->schema->views[derived->subject];
        const struct derived_view view = { .table_id = derived->def.id,
                                           .view_id = def->rows.id,
                                           .is_anonymous = def->is_anonymous,
                                           .caller = derived->caller,
                                           .called_us = derived->called_us };
        buf_put(views, &view, sizeof view);
    }
}

/* --- Sweeping --- */

static void mark(void *context, uint32_t table_id)
{
    const struct derivations *derivations = context;
    const struct table *table = table_id & SCHEMA_DERIVED_ID ? store_find(&derivations->engine->store, table_id) : NULL;
    if (table != NULL)
        container_of(table->def, struct derived, def)->is_used = true;
}

static struct derived *find_unused(const struct derivations *derivations)
{
    uint32_t place = 0;
    struct derived *derived;
    while ((derived = next_derived(derivations, &place)) != NULL) {
        if (!derived->is_used && !derived->is_broken)
            return derived;
    }
    return NULL;
}

void derivations_sweep(struct derivations *derivations)
{
    const int64_t now_us = clock_monotonic_us();
    if (derivations->by_name.count == 0 || now_us - derivations->swept_us < SWEEP_INTERVAL_US)
        return;
    derivations->swept_us = now_us;
    subs_each_table(derivations->engine->subs, mark, derivations);
    for (uint32_t idx = 0; idx < derivations->level_count; idx++)
        subs_each_table(derivations->levels[idx].subs, mark, derivations);
    for (struct derived *derived; (derived = find_unused(derivations)) != NULL;) {
        struct name_key key;
        map_remove(&derivations->by_name, own_key(derived, &key));
        drop(derivations, derived);
    }
    uint32_t place = 0;
    for (struct derived *derived; (derived = next_derived(derivations, &place)) != NULL;)
        derived->is_used = false;
}
