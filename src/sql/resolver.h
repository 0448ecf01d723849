/* resolver — looks up the names of a statement and reads its literals at the types they meet. */
#pragma once

#include "sql/ast.h"
#include "sql/condition.h"
#include "store/table.h"

/* A table of the statement, and the name that its columns may carry in front. */
struct source {
    const struct table_def *table;
    const struct table *made; /* made for the statement; NULL: it is in the store */
    bytes name;
    struct token token;
};

/* Tables that are made when a statement names them: those about the database itself, or what one caller sees in the
 * place of a stored one. They are asked for first. */
struct made_tables {
    void *context;
    const struct table *(*find)(void *context, bytes name); /* NULL: none; good until the statement is over */
};

struct resolver {
    struct arena *arena;   /* of the statement: what comes out is kept here */
    struct arena *scratch; /* until the statement is compiled */
    bytes sql;
    const struct schema *schema;
    const struct query_caller *caller;
    const struct made_tables *made; /* NULL: there are none */
    struct diag *diag;

    uint32_t source_count;
    struct source *sources;
    uint32_t scope_count; /* how many of them can be named here */
    bool depends_on_sender;
};

/* Looks the tables of FROM up. ERR_NOT_FOUND for a table, ERR_BAD_SQL for the rest, here and below. */
err resolver_tables(struct resolver *resolver, const struct ast_table *tables);
/* Which source `name.*` means. */
err resolver_source(struct resolver *resolver, const struct ast_name *name, uint32_t *source);
err resolver_column(struct resolver *resolver, const struct ast_operand *operand, struct column_ref *column);
const struct type *resolver_column_type(const struct resolver *resolver, struct column_ref column);
/* A literal or :sender as BSATN of the type, which is a comparable one. */
err resolver_value(struct resolver *resolver, const struct ast_operand *operand, const struct type *type, bytes *value);
err resolver_condition(struct resolver *resolver, const struct ast_expr *expr, struct condition **condition);
/* The type as people write it, in the scratch. */
bytes resolver_type_text(struct resolver *resolver, const struct type *type);
