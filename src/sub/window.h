/* window — the first rows of a query with an order, kept from commit to commit.
 *
 *     in order   | shown: the first LIMIT rows | spare: some that follow | ... rows of the table that are not here
 *
 * A row that leaves the shown ones is a delete, its successor an insert. The spare rows are there so that rows may
 * leave without a look at the table; when they are used up the window is filled anew: along an index whose columns
 * are those of the order, if there is one, else from all rows that pass the condition.
 *
 * Rules
 *   G1  The window holds the first `count` matching rows in order; all of them when it is_whole.
 *   G2  Rows are copies: the window outlives what the delta shows.
 *   G3  What clients have is the first LIMIT rows as of the last commit: window_settle() tells the difference.
 *
 * Cost    a changed row: a search and a move of pointers; a commit that touches the window: a pass over LIMIT
 *         pointers */
#pragma once

#include "sub/shared_query.h"

enum { WINDOW_ROWS_MAX = 10000 };

struct window;

/* Filling looks at no more than *rows_left rows, and takes them off: ERR_TOO_LARGE. */
err window_new(struct window **window, const struct query *query, const struct store *store, uint64_t *rows_left,
               struct diag *diag);
void window_free(struct window *window); /* NULL is fine */

/* Turns query->changes into inserts and deletes of what is shown. `store`: the tables after the commit. */
err window_settle(struct shared_query *query, const struct store *store, uint64_t *rows_left, struct diag *diag);

/* Whether its rows are rows of the table: after a change of the schema they may have another form. */
bool window_fits(const struct window *window, const struct table_def *table);

/* Between which values of the first ordered column a row must lie to change the window. False: it may lie anywhere.
 * The value is a view, good until the window changes. */
bool window_bound(const struct window *window, const struct query *query, struct query_range *range);

/* The shown rows, in order. */
uint32_t window_shown_count(const struct window *window);
bytes window_shown(const struct window *window, uint32_t place);
