/* sql_answer — the rows of a query as HTTP's /sql gives them: a schema, and rows as untyped SATS-JSON. */
#pragma once

#include "sql/query.h"
#include "store/table.h"

/* Runs the query on the tables as they stand and appends the answer. `start_us` is when work on it began, by the
 * monotonic clock; returns how long it took. */
int64_t sql_answer_print(struct buf *out, const struct query *query, const struct store *store, int64_t start_us);
