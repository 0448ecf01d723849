/* derived — a table that is worked out from others: a view's rows, or the part of a table that a caller may see.
 *
 * It stands in the store beside the tables of the schema, so queries and subscriptions on it are like any other. What
 * comes and goes is counted first, row by row, and becomes the table's change when all has been counted: a row that
 * several filters select is there once, and goes with the last of them.
 *
 * Rules
 *   V1  A row is in the table when its count is above zero. Counts above one are kept beside it.
 *   V2  Rows of an event table are not counted: they pass through. */
#pragma once

#include "base/map.h"
#include "engine/reads.h"
#include "sub/subs.h"

enum derived_kind { DERIVED_VIEW, DERIVED_PART };

struct engine;

struct derived {
    enum derived_kind kind;
    uint32_t subject;         /* place of the view, or of the table */
    identity caller;          /* whose it is; all zero when it is everyone's */
    struct schema *schema;    /* held: `def` points into it */
    struct table_def def;     /* of the subject, under an id of its own */
    struct table *table;      /* owned */

    struct reader_set reads;  /* of a view's function */
    struct buf query;         /* the text that a view gave */
    struct catalog scope;     /* what names mean in the filters of a part */
    struct engine *engine;    /* borrowed */
    uint32_t level;           /* of the queries that make it; 0: they look at no derived table */
    struct subscriber subscriber; /* those queries */

    struct map many;          /* row -> its count, where that is above one (V1) */
    struct map touched;       /* row -> struct touch, while rows are being counted */
    struct arena arena;       /* the touches, and the rows of the change */
    uint64_t commit;          /* that they are of */
    struct buf deletes, inserts; /* of bytes: the change */

    bool is_broken;           /* it could not be worked out: nobody is shown it before the next publish */
    struct diag failure;
    int64_t called_us;        /* a view's function has last run */
    bool is_used;             /* since derivations_sweep() last looked */
};

struct derived *derived_new(enum derived_kind kind, uint32_t subject, struct schema *schema, uint32_t id);
void derived_free(struct derived *derived); /* its reads and queries are gone */

/* Before the first counting for a commit: forgets those before. */
void derived_begin(struct derived *derived, uint64_t commit);
/* A row comes, or goes. */
void derived_count(struct derived *derived, bytes row, int32_t change);
/* All rows go; those that come next are all there is then. */
void derived_count_out(struct derived *derived);
/* A row is there, once, however often it is told. */
void derived_count_in(struct derived *derived, bytes row);
/* What was counted becomes the table's content. `change` is it as a delta, good until the next commit's counting; *any says
 * whether there is one. ERR_UNIQUE when two rows have the same primary key: the content is not to be used then. */
err derived_apply(struct derived *derived, struct delta_table *change, bool *any, struct diag *diag);

/* What makes the content of `before`, a table of the same rows, this one's. Good for as long as both stay as they are.
 * False when there is nothing. */
bool derived_difference(struct derived *derived, const struct derived *before, struct delta_table *change);
/* Gives back the memory that a large change has taken. */
void derived_forget_change(struct derived *derived);
/* Forgets all rows, for good. The table is another one then. */
void derived_empty(struct derived *derived);
