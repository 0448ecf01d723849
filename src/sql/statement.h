/* statement — one SQL statement, whatever it is: compiled, then run once.
 *
 * A query of whole rows that is kept up to date is sql/query.h. The grammar is in sql/parser.h.
 *
 * Only the owner of a database changes rows by SQL; others are told so before anything about tables is. */
#pragma once

#include "sql/change.h"
#include "sql/select.h"

struct statement {
    struct arena arena;     /* owns everything below */
    enum statement_kind kind;
    bool explains;          /* EXPLAIN: to be described, not run */
    struct select *select;  /* SELECT */
    struct change *change;  /* INSERT, UPDATE, DELETE */
    uint64_t row_limit;     /* SET row_limit, the one variable */
};

/* `made` may be NULL; what it finds must live as long as the statement. ERR_BAD_SQL, ERR_NOT_FOUND, ERR_FORBIDDEN. */
err statement_compile(struct statement **statement, bytes text, const struct schema *schema,
                      const struct query_caller *caller, const struct made_tables *made, struct diag *diag);
void statement_free(struct statement *statement);

/* Appends the lines of EXPLAIN. */
void statement_explain(struct buf *out, const struct statement *statement, const struct store *store);
