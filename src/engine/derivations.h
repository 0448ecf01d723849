/* derivations — all tables that are worked out from others: views (views.h), and parts of tables by row-level security
 * (parts.h).
 *
 * One is made when a name first means it (sql/catalog.h) and goes when no query reads it any longer. A commit's delta
 * passes through here on its way to the subscriptions, and what it does to derived tables is added:
 *
 *     delta ──> level 0: queries of parts and query views, on the schema's tables
 *           ──> level 1: queries that look at tables of level 0, …
 *           ──> views whose reads it touches run again                       ──> delta of all ──> subscriptions
 *
 * A commit that touches none of them costs a lookup a changed row.
 *
 * Rules
 *   G1  A derived table is changed after the level that it belongs to has been worked out: queries of a level meet
 *       the tables below it in their new state, and each other's not at all. Nothing is made of views.
 *   G2  What cannot be worked out does not fail the commit. The table is broken: its subscriptions end with the
 *       reason, new ones are refused with it, until the next publish. The module's log has the story. A caller's that
 *       nobody asks for may be forgotten before that, when there are very many.
 *   G3  No query points at a table that has gone: the queries go first. */
#pragma once

#include "engine/filters.h"
#include "engine/state.h"

struct derivations;

/* Takes `filters` over. */
struct derivations *derivations_new(struct engine *engine, struct filters *filters);
void derivations_free(struct derivations *derivations); /* no client's query looks at its tables; NULL is fine */

/* What names mean to clients: struct catalog's find(), whose context is the engine. */
err derivations_find(void *context, bytes name, const struct query_caller *caller, struct catalog_entry *entry,
                     struct diag *diag);

/* After a commit, before its transaction's end: the delta with the changes of derived tables. Good until the next one.
 * Subscriptions that end for it are told to `ended`. */
const struct delta *derivations_follow(struct derivations *derivations, const struct delta *delta, subs_ended_fn *ended,
                                       void *context);

/* After a publish, when queries have been compiled again: what those who saw the tables of `before` have to hear to see
 * what is there now. Good for as long as `before` is. */
const struct delta *derivations_difference(struct derivations *derivations, const struct derivations *before);

/* The views that are worked out now and not broken: appends a struct derived_view each. */
struct derived_view {
    uint32_t table_id, view_id;
    bool is_anonymous;
    identity caller;   /* all zero when it is everyone's */
    int64_t called_us; /* its function has last run */
    bool is_looked_at; /* false: the caller's to use */
};
void derivations_views(const struct derivations *derivations, struct buf *views);

/* Between two turns, which does something once a second: lets go of what no query reads. */
void derivations_sweep(struct derivations *derivations);
