#include "engine/derivations.h"

#include "base/clock.h"
#include "engine/parts.h"
#include "engine/views.h"
#include "store/table.h"

#include <stdlib.h>

enum { SWEEP_INTERVAL_US = 1000000, BROKEN_MAX = 1000 };

struct derivations {
    struct engine *engine;
    struct filters filters;
    struct levels *levels;
    struct views views;
    struct map by_name;   /* kind, subject, caller -> struct derived, owned */
    uint64_t commits;
    struct buf touched;   /* struct derived *: views that the commit may change */
    struct buf changed;   /* struct derived *: those that the queries of a level have counted rows for */
    struct buf broken;    /* struct derived *: those that have just broken */
    uint32_t broken_count; /* of all that are there */
    struct buf changes;   /* struct delta_table: the delta at hand */
    struct delta delta;
    int64_t swept_us;
};

/* --- Lists --- */

static void list_add(struct buf *list, struct derived *derived)
{
    buf_put(list, &derived, sizeof derived);
}

static struct derived *list_next(const struct buf *list, size_t *at)
{
    struct derived *derived;
    if (*at >= list->size)
        return NULL;
    memcpy(&derived, list->data + *at, sizeof derived);
    *at += sizeof derived;
    return derived;
}

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

static struct derived *find_derived(const struct derivations *derivations, enum derived_kind kind, uint32_t subject,
                                    const identity *caller)
{
    const struct name_key key = name_key(kind, subject, caller);
    return map_find(&derivations->by_name, bytes_of(key.at, sizeof key.at));
}

static void put_name(struct derivations *derivations, struct derived *derived)
{
    const struct name_key key = name_key(derived->kind, derived->subject, &derived->caller);
    map_put(&derivations->by_name, bytes_of(key.at, sizeof key.at), derived);
}

static void remove_name(struct derivations *derivations, const struct derived *derived)
{
    const struct name_key key = name_key(derived->kind, derived->subject, &derived->caller);
    map_remove(&derivations->by_name, bytes_of(key.at, sizeof key.at));
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
    derivations->levels = levels_new();
    views_init(&derivations->views, engine, derivations->levels);
    map_init(&derivations->by_name);
    return derivations;
}

/* Its name is the caller's to forget, and it follows no query (G3). */
static void drop(struct derivations *derivations, struct derived *derived)
{
    derivations->broken_count -= derived->is_broken;
    reads_clear(derivations->views.reads, &derived->reads);
    store_detach(&derivations->engine->store, derived->table);
    derived_free(derived);
}

/* G3 */
static void drop_all(struct derivations *derivations)
{
    uint32_t place = 0;
    for (struct derived *derived; (derived = next_derived(derivations, &place)) != NULL;)
        levels_leave(derivations->levels, derived);
    place = 0;
    for (struct derived *derived; (derived = next_derived(derivations, &place)) != NULL;)
        drop(derivations, derived);
}

void derivations_free(struct derivations *derivations)
{
    if (derivations == NULL)
        return;
    drop_all(derivations);
    levels_free(derivations->levels);
    views_deinit(&derivations->views);
    map_deinit(&derivations->by_name);
    filters_deinit(&derivations->filters);
    buf_deinit(&derivations->touched);
    buf_deinit(&derivations->changed);
    buf_deinit(&derivations->broken);
    buf_deinit(&derivations->changes);
    memory_free(derivations);
}

/* --- Finding and making --- */

static err fill(struct derivations *derivations, struct derived *derived, struct diag *diag)
{
    const struct schema *schema = derived->schema;
    struct delta_table change;
    bool any;
    derived_begin(derived, derivations->commits);
    if (derived->kind == DERIVED_VIEW) {
        TRY(views_run(&derivations->views, derived, diag));
    } else {
        const struct table_filters filters = filters_of(&derivations->filters, schema, &schema->tables[derived->subject]);
        TRY(parts_fill(derivations->levels, derived, &filters, diag));
    }
    return derived_apply(derived, &change, &any, diag);
}

static err make(struct derivations *derivations, enum derived_kind kind, uint32_t subject, const identity *caller,
                struct derived **made, struct diag *diag)
{
    struct engine *engine = derivations->engine;
    struct derived *derived = derived_new(kind, subject, engine->store.schema, store_derived_id(&engine->store));
    derived->engine = engine;
    derived->caller = *caller;
    store_attach(&engine->store, derived->table);
    const err code = fill(derivations, derived, diag);
    if (code != OK) {
        levels_leave(derivations->levels, derived);
        drop(derivations, derived);
        return code;
    }
    derived_forget_change(derived);
    put_name(derivations, derived);
    *made = derived;
    return OK;
}

static err get(struct derivations *derivations, enum derived_kind kind, uint32_t subject, const identity *caller,
               struct catalog_entry *entry, struct diag *diag)
{
    static const identity everyone;
    const identity *const who = entry->is_callers_own ? caller : &everyone;
    struct derived *derived = find_derived(derivations, kind, subject, who);
    if (derived == NULL)
        TRY(make(derivations, kind, subject, who, &derived, diag));
    derived->is_used = true;
    if (derived->is_broken) {
        *diag = derived->failure;
        return diag->code;
    }
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

/* --- What breaks (G2) --- */

static void break_table(void *context, struct derived *derived, const struct diag *diag)
{
    struct derivations *derivations = context;
    if (derived->is_broken)
        return;
    derived->is_broken = true;
    derived->failure = *diag;
    derivations->broken_count++;
    list_add(&derivations->broken, derived);
    module_log_system(derivations->engine->module_log, 0, "Not shown any more before the next update: `%.*s`: %s",
                      BYTES_FORMAT(derived->def.name), diag->text);
}

static void forget_change(struct derivations *derivations, uint32_t table_id)
{
    struct delta_table *changes = (struct delta_table *)derivations->changes.data;
    const size_t count = derivations->changes.size / sizeof *changes;
    size_t kept = 0;
    for (size_t idx = 0; idx < count; idx++) {
        if (changes[idx].table_id != table_id)
            changes[kept++] = changes[idx];
    }
    derivations->changes.size = kept * sizeof *changes;
}

/* Nothing looks at it and it looks at nothing: what stays is its name and the reason. */
static void empty(struct derivations *derivations, struct derived *derived)
{
    struct store *store = &derivations->engine->store;
    forget_change(derivations, derived->def.id);
    reads_clear(derivations->views.reads, &derived->reads);
    store_detach(store, derived->table);
    derived_empty(derived);
    store_attach(store, derived->table);
}

/* What looks at a broken table breaks with it: the list grows on the way. */
static void end_broken(struct derivations *derivations, subs_ended_fn *ended, void *context)
{
    struct derived *derived;
    for (size_t at = 0; (derived = list_next(&derivations->broken, &at)) != NULL;) {
        levels_leave(derivations->levels, derived);
        levels_end_table(derivations->levels, derived->def.id, &derived->failure, break_table, derivations);
        subs_end_table(derivations->engine->subs, derived->def.id, &derived->failure, ended, context);
    }
    for (size_t at = 0; (derived = list_next(&derivations->broken, &at)) != NULL;)
        empty(derivations, derived);
    buf_clear(&derivations->broken);
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
    struct derived *derived;
    for (size_t at = 0; (derived = list_next(list, &at)) != NULL;)
        add_change(derivations, derived);
}

static const struct delta *delta_now(struct derivations *derivations)
{
    derivations->delta = (struct delta){ .table_count = (uint32_t)(derivations->changes.size / sizeof(struct delta_table)),
                                         .tables = (const struct delta_table *)derivations->changes.data };
    return &derivations->delta;
}

/* G1. What the queries of views have counted waits for the views that run again. */
static void run_level(struct derivations *derivations, uint32_t level)
{
    struct derived *derived;
    buf_clear(&derivations->changed);
    levels_publish(derivations->levels, level, &derivations->engine->store, delta_now(derivations), derivations->commits,
                   &derivations->changed, break_table, derivations);
    for (size_t at = 0; (derived = list_next(&derivations->changed, &at)) != NULL;) {
        if (derived->kind == DERIVED_VIEW)
            list_add(&derivations->touched, derived);
        else
            add_change(derivations, derived);
    }
}

static void on_found(void *context, struct reader_set *set)
{
    struct derivations *derivations = context;
    list_add(&derivations->touched, container_of(set, struct derived, reads));
}

static void run_views(struct derivations *derivations, const struct delta *delta)
{
    struct derived *derived;
    struct diag diag;
    size_t at = derivations->touched.size;
    reads_find(derivations->views.reads, &derivations->engine->store, delta, on_found, derivations);
    while ((derived = list_next(&derivations->touched, &at)) != NULL) {
        derived_begin(derived, derivations->commits);
        if (!derived->is_broken && views_run(&derivations->views, derived, &diag) != OK)
            break_table(derivations, derived, &diag);
    }
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
    struct buf *changes = &derivations->changes;
    if (derivations->by_name.count == 0)
        return delta;
    derivations->commits++;
    buf_clear(changes);
    buf_clear(&derivations->touched);
    buf_put(changes, delta->tables, delta->table_count * sizeof *delta->tables);
    for (uint32_t level = 0; level < levels_count(derivations->levels); level++)
        run_level(derivations, level);
    run_views(derivations, delta);
    add_changes(derivations, &derivations->touched);
    if (derivations->broken.size > 0)
        end_broken(derivations, ended, context);
    if (changes->size > delta->table_count * sizeof(struct delta_table))
        qsort(changes->data, changes->size / sizeof(struct delta_table), sizeof(struct delta_table), by_table_id);
    return delta_now(derivations);
}

/* --- A publish --- */

/* What goes by the name of a table of the module before. */
static struct derived *find_successor(const struct derivations *derivations, const struct derived *before)
{
    const struct schema *schema = derivations->engine->store.schema;
    if (before->kind == DERIVED_VIEW) {
        const struct view_def *view = schema_find_view(schema, before->def.name);
        return view == NULL ? NULL
                            : find_derived(derivations, DERIVED_VIEW, (uint32_t)(view - schema->views), &before->caller);
    }
    const struct table_def *table = schema_find_table(schema, before->def.name);
    return table == NULL ? NULL
                         : find_derived(derivations, DERIVED_PART, (uint32_t)(table - schema->tables), &before->caller);
}

const struct delta *derivations_difference(struct derivations *derivations, const struct derivations *before)
{
    uint32_t place = 0;
    buf_clear(&derivations->changes);
    for (const struct derived *old; (old = next_derived(before, &place)) != NULL;) {
        struct delta_table change;
        struct derived *now = old->is_broken ? NULL : find_successor(derivations, old);
        if (now != NULL && type_equal(old->def.row_type, now->def.row_type) && derived_difference(now, old, &change))
            buf_put(&derivations->changes, &change, sizeof change);
    }
    const struct delta *delta = delta_now(derivations);
    if (delta->table_count > 1)
        qsort(derivations->changes.data, delta->table_count, sizeof(struct delta_table), by_table_id);
    return delta;
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

static void list_unused(const struct derivations *derivations, struct buf *unused)
{
    const bool keeps_broken = derivations->broken_count <= BROKEN_MAX;
    uint32_t place = 0;
    for (struct derived *derived; (derived = next_derived(derivations, &place)) != NULL;) {
        if (!derived->is_used && !(derived->is_broken && keeps_broken))
            list_add(unused, derived);
        derived->is_used = false;
    }
}

/* None of them looks at another, since that would be used (G3). */
static void drop_unused(struct derivations *derivations)
{
    struct buf unused = { 0 };
    struct derived *derived;
    list_unused(derivations, &unused);
    for (size_t at = 0; (derived = list_next(&unused, &at)) != NULL;) {
        levels_leave(derivations->levels, derived);
        remove_name(derivations, derived);
        drop(derivations, derived);
    }
    buf_deinit(&unused);
}

void derivations_sweep(struct derivations *derivations)
{
    const int64_t now_us = clock_monotonic_us();
    if (derivations->by_name.count == 0 || now_us - derivations->swept_us < SWEEP_INTERVAL_US)
        return;
    derivations->swept_us = now_us;
    subs_each_table(derivations->engine->subs, mark, derivations);
    levels_each_table(derivations->levels, mark, derivations);
    drop_unused(derivations);
}
