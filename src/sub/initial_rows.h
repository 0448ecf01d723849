/* initial_rows — what the queries of a set show now, as QueryRows.
 *
 * What is little is worked out on the spot. What would take long is left for another thread to read from a view of the
 * tables (first_rows.h), where the asker can wait. */
#pragma once

#include "sub/opening.h"

struct store;

/* Appends u32 tables; per query: sized name, row list. A query on an empty table is left out, one that matches
 * nothing is not. ERR_TOO_LARGE beyond SUBS_ROWS_SIZE_MAX bytes in all, ERR_OUT_OF_TIME beyond what may be looked at
 * while everybody waits: `out` is as before then.
 *
 * With `opening`, it may be that nothing is appended: *opening has the rows then, and `wanted` was extended by those
 * that nobody works on yet, each with a hold. */
err initial_rows_put(struct buf *out, const struct query_set *set, const struct store *store, struct opening **opening,
                     struct first_rows **wanted, struct diag *diag);
