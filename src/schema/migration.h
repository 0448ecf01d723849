/* migration — from one schema to the next without losing a row.
 *
 * The plan is made before anything is touched and is either wholly possible or refused with every
 * reason. It names, per table, what is to be done; store/ does what concerns rows. What nobody depends on (reducers,
 * default values, accessors, which unique column is the primary key, the code of views) changes without a step. */
#pragma once

#include "schema/schema.h"

enum migration_step_kind {
    STEP_ADD_TABLE, STEP_REMOVE_TABLE,   /* removal only when empty; checked when applied */
    STEP_ADD_COLUMNS,                    /* at the end, each with a default */
    STEP_REBUILD_INDEXES,                /* indexes, constraints or sequences differ */
    STEP_CHANGE_ACCESS,
    STEP_CHANGE_TYPE,                    /* variants appended to a sum: the bytes of rows stay, their columns' types
                                            (and so offsets) may not; or columns of an event table, which has no rows */
    STEP_CHANGE_SCHEDULE,                /* a table gets one, loses it, or another: no row depends on it */
    STEP_REMOVE_VIEW, STEP_ADD_VIEW,     /* from, to: what clients know of the view; nothing of it is stored */
    STEP_CHANGE_VIEW,                    /* columns, primary key or for whom it is */
    STEP_CHANGE_FILTERS,                 /* row-level security; of no table */
};

struct migration_step {
    enum migration_step_kind kind;
    const struct table_def *from; /* NULL for what is added, and for STEP_CHANGE_FILTERS */
    const struct table_def *to;   /* NULL for what is removed, and for STEP_CHANGE_FILTERS */
};

struct migration {
    uint32_t step_count;
    struct migration_step *steps; /* in the caller's arena; removals first */
    bool breaks_clients;          /* what clients know has changed: columns added, a table or view removed, columns of
                                     an event table, a view or the filters changed */
    uint32_t fault_count;         /* of a refused one: a fault a reason, in the caller's arena */
    const struct schema_fault *faults;
};

/* `from` is NULL before the first module: every table is added. ERR_MIGRATION with all reasons, one a line, when
 * it is not possible: plan->faults says what each line is about. */
err migration_plan(struct arena *arena, const struct schema *from, const struct schema *to, struct migration *plan,
                   struct diag *diag);
/* One line a step, for the log: "add table `user`". */
void migration_step_print(struct buf *out, const struct migration_step *step);
