/* select — a SELECT of the whole grammar, resolved: which rows, what is made of them, in what order, how many.
 *
 *     SELECT g.name, COUNT(*) AS n FROM player p JOIN guild g ON p.guild = g.id GROUP BY g.name ORDER BY n DESC LIMIT 3
 *
 * What comes out are rows of a type of their own, in BSATN.
 *
 * Types of functions: COUNT is a u64. SUM of integers is wider than what it adds: 64 bits up to 32, 128 for 64, else
 * 256; of floats it is an f64. AVG is an f64. MIN and MAX are of the column's type. Without GROUP BY there may be
 * no row at all: then SUM is 0, and MIN, MAX and AVG are options. */
#pragma once

#include "sql/relation.h"

struct select_output {
    enum item_kind kind;      /* ITEM_COLUMN, or a function */
    bool has_column;          /* all but COUNT(*) */
    bool is_option;
    struct column_ref column;
    const struct type *type;  /* of the column; COUNT(*): none */
};

struct select_order {
    bool of_output;           /* `output`, else `column` */
    uint32_t output;
    struct column_ref column;
    const struct type *type;
    bool descending;
};

struct select {
    struct relation *relation;
    const struct type *row_type; /* what comes out: a product with names */
    uint32_t output_count;
    struct select_output *outputs;
    int32_t whole_source;        /* its rows come out as they are; -1: they are made */
    bool is_grouped;             /* GROUP BY, or functions */
    uint32_t group_count;
    struct column_ref *groups;
    uint32_t order_count;
    struct select_order *orders;
    uint64_t limit, offset;      /* limit: UINT64_MAX for none */
};

/* ERR_BAD_SQL, ERR_NOT_FOUND. All of it lies in resolver->arena. */
err select_compile(struct resolver *resolver, const struct ast_select *ast, struct select **select);

/* Gives each row, good for the length of the call; `each` returns false to stop. The budget is a must here. Its error,
 * or ERR_BAD_VALUE for a SUM that leaves its type. */
struct store;
err select_run(const struct select *select, const struct store *store, struct budget *budget,
               bool (*each)(void *context, bytes row), void *context);
/* The table whose rows come out, or the first one where they are made of several. */
const struct table_def *select_table(const struct select *select);
/* Says in lines of text how it would be run: the steps, what is done to their rows, about how many are looked at. */
void select_explain(struct buf *out, const struct select *select, const struct store *store);
