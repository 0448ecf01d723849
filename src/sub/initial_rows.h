/* initial_rows — what the queries of a set show now, as QueryRows. */
#pragma once

#include "sub/shared_query.h"

struct store;

/* Appends u32 tables; per query: sized name, row list. A query on an empty table is left out, one that matches
 * nothing is not. ERR_TOO_LARGE beyond SUBS_ROWS_SIZE_MAX bytes in all: `out` is as before then. */
err initial_rows_put(struct buf *out, const struct query_set *set, const struct store *store, struct diag *diag);
