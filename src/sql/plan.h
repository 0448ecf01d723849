/* plan — in which order the tables of a statement are read, and how each.
 *
 *     SELECT … FROM player p JOIN guild g ON p.guild = g.id WHERE g.name = 'x'
 *
 *     guild g    by its index on name
 *     player p   by its index on guild, for each row of g
 *
 * Every order that begins with some table and goes on with the cheapest next one is costed; the cheapest is taken.
 * Nothing is counted about values, so what an index or a condition leaves of a table is judged by shape: a unique
 * key given in full leads to one row, an equality leaves a tenth, a range a third. A table without a fitting
 * index is walked; when that would happen for every row of those before it, its rows are put into a hash table
 * once, by the columns it is joined on.
 *
 * A plan is made for tables as they stand and used at once. */
#pragma once

#include "sql/relation.h"
#include "store/table.h"

enum step_access { STEP_PAGES, STEP_INDEX, STEP_HASH };

/* A column that is given: by a value in the text, or by a row of a step before. */
struct plan_key {
    uint16_t column;
    bool is_value;
    bytes value;
    struct column_ref from;
};

struct plan_step {
    enum step_access access;
    uint32_t source;
    const struct source *what;
    const struct table *table;
    const struct index *index;       /* STEP_INDEX */
    uint32_t key_count;              /* STEP_INDEX: leading columns; STEP_HASH: what it is joined on */
    struct plan_key keys[SCHEMA_KEY_COLUMNS_MAX];
    const struct query_range *range; /* STEP_INDEX: of the column behind them, or NULL */
    bool reverse;                    /* STEP_INDEX: walked downwards */
    struct query_node *filter;       /* what looks at this table alone */
    struct query_node *cross;        /* what looks at it and at those before */
    double rows;                     /* expected to come out of this step and of those before */
};

struct plan {
    uint32_t step_count;
    struct plan_step steps[SQL_SOURCES_MAX];
    double rows; /* expected to be looked at */
    double cost;
    bool never;
};

/* The store has the tables of all sources that bring none of their own. */
void plan_make(struct plan *plan, struct arena *arena, const struct relation *relation, const struct store *store);
/* Has the one table of a plan walked along an index that gives its rows in this order, if there is one and the first
 * `count` rows are found sooner so than by ordering all of them. False: the plan is as it was. */
struct plan_order {
    uint16_t column;
    bool descending;
};
bool plan_walk_in_order(struct plan *plan, const struct relation *relation, const struct plan_order *orders,
                        uint32_t order_count, uint64_t count);
/* Lines of text for people, a step each. */
void plan_print(struct buf *out, const struct plan *plan, const struct relation *relation);
