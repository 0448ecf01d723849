/* query — a SQL SELECT in the subscription grammar, resolved against a schema.
 *
 *     SELECT * | t.* FROM t [[AS] a] [WHERE expr]
 *     expr := operand (= | <> | != | < | <= | > | >=) operand | expr AND expr | expr OR expr | (expr) | TRUE | FALSE
 *
 * A literal has no type of its own: its text is read at the type of the column it meets. :sender is the
 * caller's identity. Names are case-sensitive, keywords are not; "quoted" names are names.
 * Private and missing tables give the same error unless the caller is the owner.
 *
 * A query is compiled once and evaluated on rows as they stand: the predicate is a flat program, each
 * comparison a column, an operator and a constant in BSATN. */
#pragma once

#include "schema/schema.h"
#include "sats/ident.h"

enum { SQL_TEXT_MAX = 50000, SQL_DEPTH_MAX = 250 };

struct query_caller {
    identity sender;
    bool is_owner; /* sees private tables */
};

enum compare_op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE };

struct query_node; /* opaque: the predicate */

struct query {
    struct arena arena;           /* owns everything below */
    const struct table_def *table;
    bool depends_on_sender;       /* :sender stands in it: equal texts of two callers are two queries */
    struct query_node *predicate; /* NULL: every row */
    /* What every row that matches must have, for finding the query by a changed row and for choosing an
     * index: equalities that stand in a top-level AND (at most one a column). The column of a row that matches
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
    bool never;                   /* contradicts itself, or WHERE FALSE */
};

/* Compiles a text. ERR_BAD_SQL with the position ("at character 23, near `WHER`") and, for a name, the
 * nearest one; ERR_NOT_FOUND for a table: "no such table: `x`. If the table exists, it may be marked private." */
err query_compile(struct query **query, bytes text, const struct schema *schema, const struct query_caller *caller,
                  struct diag *diag);
void query_free(struct query *query);

/* Whether a row of query->table matches. Floats compare in IEEE total order with the two zeros equal. */
bool query_matches(const struct query *query, const uint8_t *row);

/* Walks the matching rows of the table as it stands, through an index when one serves. */
struct table;
void query_run(const struct query *query, const struct table *table, void (*each)(void *context, bytes row),
               void *context);
