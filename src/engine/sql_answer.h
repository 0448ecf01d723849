/* sql_answer — what HTTP's /sql says: a schema, rows as untyped SATS-JSON, and how many were changed. */
#pragma once

#include "sql/statement.h"

/* Where a statement is read, and by whom. */
struct sql_place {
    const struct store *store;
    struct query_caller caller;
    const struct made_tables *made;
    int64_t start_us; /* when work on it began, by the monotonic clock */
};

/* What a statement may cost while the engine waits for it, and what it may cost on a thread beside. */
void sql_budget_here(struct budget *budget, bool is_owner, struct diag *diag);
void sql_budget_aside(struct budget *budget, struct diag *diag);

/* Runs what only reads (SELECT, SHOW, EXPLAIN) and appends the answer; after an error what was appended means nothing.
 * *duration_us is how long it took. The errors of select_run(). */
err sql_answer_read(struct buf *out, const struct statement *statement, const struct sql_place *place,
                    struct budget *budget, int64_t *duration_us);
/* The answer of a statement that has changed rows, or SET a variable. */
void sql_answer_changed(struct buf *out, const struct change_counts *counts, int64_t start_us, int64_t *duration_us);
/* Whether sql_answer_read() is for it. */
bool sql_only_reads(const struct statement *statement);
