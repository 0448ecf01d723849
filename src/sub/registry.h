/* registry — all distinct queries of a database, by what they say and by the table they watch.
 *
 * Two subscriptions are the same query when their trimmed texts are equal bytes and both callers would see the
 * same: the owner sees private tables, and a text with :sender means another thing for each. */
#pragma once

#include "base/map.h"
#include "sub/collect.h"

struct registry {
    struct map queries;           /* key -> struct shared_query */
    /* Owned; NULL where no query watches. Of the schema's tables by id - SCHEMA_FIRST_ID; of derived ones by what is
     * behind SCHEMA_DERIVED_ID. */
    struct watch_list {
        struct table_watch **watches;
        uint32_t capacity;
    } tables, derived;
    struct buf key;               /* the one being looked up */
    struct collector collector;
};

void registry_init(struct registry *registry);
void registry_deinit(struct registry *registry); /* no query may be held */

/* Finds the query or compiles it. A query that nobody holds afterwards must be given to registry_release(). */
err registry_get(struct registry *registry, bytes text, const struct query_caller *caller, const struct schema *schema,
                 struct shared_query **query, struct diag *diag);
/* Forgets the query if nobody holds it, it is not broken, and no commit is under way with it. */
void registry_release(struct registry *registry, struct shared_query *query);

/* Makes the window that the query needs and does not have: see window_new(). */
err registry_need_window(struct registry *registry, struct shared_query *query, const struct store *store,
                         uint64_t *rows_left, struct diag *diag);
/* After its window has changed. */
void registry_move_window(struct registry *registry, struct shared_query *query);

/* The commit's rows, handed to the queries they touch (Q1). */
void registry_collect(struct registry *registry, struct partners *partners, struct query_list *touched);

/* Calls `each` with every query and the ids of the tables that it reads. */
void registry_each(const struct registry *registry,
                   void (*each)(void *context, struct shared_query *query, uint32_t table_id), void *context);

/* Compiles every query again and watches anew; the old schema may be gone already. For one that fails, `broken` is
 * called: it must make all holders let go. */
void registry_recompile(struct registry *registry, const struct schema *schema,
                        void (*broken)(void *context, struct shared_query *query, const struct diag *diag),
                        void *context);
