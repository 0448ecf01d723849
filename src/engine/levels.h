/* levels — the live queries that derived tables are made of, sorted by what they look at.
 *
 * A query of level 0 looks at tables of the schema alone, one of level 1 also at derived tables that queries of level 0
 * make, and so on. Each level is a set of live queries like the clients' own (sub/subs.h): equal ones are worked out
 * once, and a commit does not look at those that it does not touch. */
#pragma once

#include "engine/derived.h"

struct levels;

struct levels *levels_new(void);
void levels_free(struct levels *levels); /* nobody follows a query any longer */
uint32_t levels_count(const struct levels *levels);

/* The table begins to follow queries on its level, and counts the rows that they give now. */
err levels_follow(struct levels *levels, struct derived *derived, const struct query_caller *caller,
                  const struct store *store, const bytes *texts, uint32_t count, struct diag *diag);
/* Its rows stay. Nothing when it follows none. The tables that its queries look at are still there. */
void levels_leave(struct levels *levels, struct derived *derived);

/* A table whose queries cannot be kept up to date: they are gone. It changes no query. */
typedef void levels_broken_fn(void *context, struct derived *derived, const struct diag *diag);
/* Works out a commit for the queries of one level. What it does to the tables that follow them is counted for that
 * commit, and each such table is appended to `changed`. */
void levels_publish(struct levels *levels, uint32_t level, const struct store *store, const struct delta *delta,
                    uint64_t commit, struct buf *changed, levels_broken_fn *broken, void *context);

/* subs_end_table() and subs_each_table() on all levels. */
void levels_end_table(struct levels *levels, uint32_t table_id, const struct diag *why, levels_broken_fn *broken,
                      void *context);
void levels_each_table(const struct levels *levels, void (*each)(void *context, uint32_t table_id), void *context);
