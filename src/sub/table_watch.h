/* table_watch — the queries on one table, found by the rows that change.
 *
 *     table
 *     ├── whole            queries without a condition: every row is theirs
 *     ├── column 0 ── 17 ── queries that demand column 0 = 17
 *     │            └─ 18 ── …
 *     └── asked            the rest: each row is put to each
 *
 * A query with several equalities stands under one of them, best a unique column: fewest rows come by there.
 * Floats are not looked up by their bytes, since two spellings of zero are equal. */
#pragma once

#include "sub/shared_query.h"
#include "txn/delta.h"

struct watched_column;

struct table_watch {
    struct query_list whole;
    struct query_list asked;
    struct watched_column *columns; /* owned: those that a query is looked up by */
    uint32_t column_count;
    uint32_t query_count;
};

struct table_watch *table_watch_new(void);
void table_watch_free(struct table_watch *watch); /* its queries stand nowhere then */

void table_watch_add(struct table_watch *watch, struct shared_query *query);
void table_watch_remove(struct table_watch *watch, struct shared_query *query);

/* Gives each query the changed rows that are its own, and puts those that got any on `touched`. */
void table_watch_collect(const struct table_watch *watch, const struct delta_table *changes,
                         struct query_list *touched);
