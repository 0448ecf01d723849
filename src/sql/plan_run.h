/* plan_run — carries a plan out: loops inside loops, a step each.
 *
 * What is found goes to `each` at once, a row of every source; nothing is collected but the hash tables of steps
 * that need one. */
#pragma once

#include "sql/plan.h"

/* `rows` has a row for each source, good for the length of the call, and as long as the tables do not change.
 * Returns false to stop. */
typedef bool plan_each_fn(void *context, const uint8_t *const *rows);

/* `budget` may be NULL. Its error, or OK. */
err plan_run(const struct plan *plan, struct budget *budget, plan_each_fn *each, void *context);

/* The same for a plan of one table, by references: these outlast changes of the table (N3). */
typedef bool plan_each_ref_fn(void *context, rowref ref);
err plan_run_refs(const struct plan *plan, struct budget *budget, plan_each_ref_fn *each, void *context);

/* The whole row whose bytes begin at `data`. */
static inline bytes plan_row(const uint8_t *data)
{
    return row_bytes(container_of(data, struct row, data));
}
