/* query — a SQL SELECT in the subscription grammar, resolved against a schema: whole rows of one table, which may
 * be joined with another.
 *
 *     SELECT * | t.* FROM t [[AS] a] [ [INNER] JOIN u [[AS] b] ON a.x = b.y ] [WHERE expr]
 *     SELECT * FROM t [WHERE expr] ORDER BY column [ASC|DESC] {, …} LIMIT n
 *
 * A literal has no type of its own: its text is read at the type of the column it meets. :sender is the
 * caller's identity. Names are case-sensitive, keywords are not; "quoted" names are names.
 * Private and missing tables give the same error unless the caller is the owner.
 *
 * A query is compiled once and evaluated on rows as they stand: the predicate is a flat program, each
 * comparison a column, an operator and a constant in BSATN. A join gives a bag: a row comes out as often as it
 * has partners. */
#pragma once

#include "schema/schema.h"
#include "sats/ident.h"
#include "sql/budget.h"
#include "sql/catalog.h"

enum { SQL_TEXT_MAX = 50000, SQL_DEPTH_MAX = 250 };

struct query_caller {
    identity sender;
    bool is_owner;                 /* sees private tables */
    const struct catalog *catalog; /* NULL: names are those of the schema's tables */
    uint64_t row_limit;            /* rows that a subscription may expect to look at in the beginning; 0: any number */
};

enum compare_op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE };

struct query_node; /* opaque: a predicate */

/* What a row of one table must be. */
struct query_filter {
    struct query_node *predicate; /* NULL: every row */
    /* What every row that passes must have, for finding the query by a changed row and for choosing an
     * index: equalities that stand in a top-level AND (at most one a column). The column of a row that passes
     * has exactly these bytes; where two spellings are equal (0.0 and -0.0) there is a range instead. */
    uint32_t equality_count;
    struct query_equality {
        uint16_t column;
        bytes value;
    } *equalities;
    /* Likewise one range a column, in the order of bsatn_compare(). A column has an equality or a range. */
    uint32_t range_count;
    struct query_range {
        uint16_t column;
        bool has_lower, has_upper, lower_inclusive, upper_inclusive;
        bytes lower, upper;
    } *ranges;
    /* How a changed row leads to the query: a row that passes lies in one of these ranges, at least. None: any row
     * may pass. */
    struct query_gates {
        uint32_t count;
        struct query_range *ranges;
    } gates;
    bool never; /* contradicts itself, or WHERE FALSE */
};

/* Rows of two tables that belong together: tables[0].columns[0] = tables[1].columns[1]. A table may be joined with
 * itself. */
struct query_join {
    const struct table_def *tables[2]; /* as they stand in FROM */
    uint16_t columns[2];
    uint32_t output;                   /* the side whose rows come out: 0 or 1 */
    struct query_filter sides[2];      /* what looks at one side alone */
    struct query_node *pair;           /* what looks at both, the equality above among it */
};

struct query_order {
    uint16_t column;
    bool descending;
};

struct query {
    struct arena arena;            /* owns everything below */
    const struct table_def *table; /* whose rows come out */
    bool depends_on_sender;        /* :sender stands in it: equal texts of two callers are two queries */
    bool never;                    /* no row, whatever the tables hold */
    struct query_filter filter;    /* of `table`; empty when there is a join */
    struct query_join *join;       /* NULL: one table */
    uint32_t order_count;          /* 0: in no order, and all of them */
    struct query_order *order;
    uint64_t limit;                /* with an order: this many first rows */
    struct relation *relation;     /* the same once more, for query_run() */
};

/* Whether a query is asked once or kept up to date. The latter must find the partners of a changed row: a join
 * needs an index that begins with the join column, on either side, and no event table may be looked up. */
enum query_use { QUERY_ONCE, QUERY_SUBSCRIBED };

/* Compiles a text. ERR_BAD_SQL with the position ("at character 23, near `WHER`") and, for a name, the
 * nearest one; ERR_NOT_FOUND for a table: "no such table: `x`. If the table exists, it may be marked private." */
err query_compile(struct query **query, bytes text, const struct schema *schema, const struct query_caller *caller,
                  enum query_use use, struct diag *diag);
void query_free(struct query *query);

/* Whether a row of query->table passes query->filter: for queries of one table. Floats compare in IEEE total order
 * with the two zeros equal. */
bool query_matches(const struct query *query, const uint8_t *row);
/* For joins: whether a row of a side passes that side's filter; whether a pair of such rows belongs together. */
bool query_side_matches(const struct query *query, uint32_t side, const uint8_t *row);
bool query_pair_matches(const struct query *query, const uint8_t *left, const uint8_t *right);
/* Which of two rows comes first in query->order. Rows that stand level are ordered by their bytes, so that the first n
 * are the same n however they are found. */
int query_order_compare(const struct query *query, bytes left, bytes right);

/* Evaluates the query on the tables as they stand, through indexes where they serve: a row of query->table at a time,
 * in order if it has one. `each` returns false to stop. `budget` may be NULL: no end; else its error. */
struct store;
err query_run(const struct query *query, const struct store *store, struct budget *budget,
              bool (*each)(void *context, bytes row), void *context);
/* The same for a query with an order and another limit. */
err query_run_first(const struct query *query, uint64_t limit, const struct store *store, struct budget *budget,
                    bool (*each)(void *context, bytes row), void *context);
/* How many rows query_run() is expected to look at. */
double query_estimate(const struct query *query, const struct store *store);
