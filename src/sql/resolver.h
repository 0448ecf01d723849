/* resolver — looks up the names of a statement and reads its literals at the types they meet. */
#pragma once

#include "sql/ast.h"
#include "sql/condition.h"

struct resolver {
    struct arena *arena; /* of the query: values are kept here */
    struct arena *scratch; /* conditions, until the plan is made */
    bytes sql;
    const struct schema *schema;
    const struct query_caller *caller;
    struct diag *diag;

    /* What comes out. */
    const struct table_def *table;
    struct condition *where; /* NULL: every row */
    bool depends_on_sender;
};

/* ERR_NOT_FOUND for the table, ERR_BAD_SQL for the rest. */
err resolver_run(struct resolver *resolver, const struct ast_select *select);
