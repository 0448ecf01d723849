/* migration — from one schema to the next without losing a row.
 *
 * The plan is made before anything is touched and is either wholly possible or refused with every
 * reason. It names, per table, what is to be done; store/ does it. What no row depends on (reducers, default
 * values, accessors, which unique column is the primary key) changes without a step. */
#pragma once

#include "schema/schema.h"

enum migration_step_kind {
    STEP_ADD_TABLE, STEP_REMOVE_TABLE,   /* removal only when empty; checked when applied */
    STEP_ADD_COLUMNS,                    /* at the end, each with a default */
    STEP_REBUILD_INDEXES,                /* indexes, constraints or sequences differ */
    STEP_CHANGE_ACCESS,
    STEP_CHANGE_TYPE,                    /* variants appended to a sum: the bytes of rows stay, their columns' types
                                            (and so offsets) may not; or columns of an event table, which has no rows */
};

struct migration_step {
    enum migration_step_kind kind;
    const struct table_def *from; /* NULL for STEP_ADD_TABLE */
    const struct table_def *to;   /* NULL for STEP_REMOVE_TABLE */
};

struct migration {
    uint32_t step_count;
    struct migration_step *steps; /* in the caller's arena; removals first */
    bool breaks_clients;          /* a row layout that clients know has changed: columns added, table removed,
                                     columns of an event table changed */
};

/* `from` is NULL before the first module: every table is added. ERR_MIGRATION with all reasons, one a line, when
 * it is not possible. */
err migration_plan(struct arena *arena, const struct schema *from, const struct schema *to, struct migration *plan,
                   struct diag *diag);
/* One line a step, for the log: "add table `user`". */
void migration_step_print(struct buf *out, const struct migration_step *step);
