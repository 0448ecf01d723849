/* collect — the rows of a commit, handed to the queries they may concern.
 *
 * A row finds watchers (table_watch.h); a watcher's query takes the row if it matches what the query demands of that
 * table alone. A query over one table has its answer then. Others work theirs out when all rows have been handed
 * over. */
#pragma once

#include "sub/shared_query.h"
#include "sub/table_watch.h"
#include "txn/delta.h"

struct collector {
    struct partners *partners;  /* of this commit */
    struct query_list *touched; /* queries that took a row */
    uint64_t rows;              /* handed over since the start: numbers a row */
    uint64_t offers;            /* rows put to a query's predicate since the start: what Q1 keeps low */
};

void collect_table(struct collector *collector, const struct table_watch *watch, const struct delta_table *changes);
