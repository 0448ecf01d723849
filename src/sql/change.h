/* change — INSERT, UPDATE and DELETE, resolved, and carried out inside a transaction.
 *
 *     INSERT   every column is named, in any order, unless it has a default or is numbered by itself (then 0)
 *     UPDATE   the matching rows are found first, then changed: what is changed is not met again
 *     DELETE   likewise
 *
 * Values are read at the types of their columns, as in conditions. Types that do not compare (options, enums, products,
 * other arrays) take 'JSON in quotes'. */
#pragma once

#include "sql/relation.h"
#include "txn/txn.h"

struct change_value {
    uint16_t column;
    bytes value; /* BSATN */
};

struct change {
    enum statement_kind kind;
    const struct table_def *table;
    uint32_t row_count;           /* INSERT */
    bytes *rows;
    struct relation *relation;    /* UPDATE, DELETE */
    uint32_t value_count;         /* UPDATE */
    struct change_value *values;
};

/* A row that is there already is not inserted a second time. Updated are the rows that matched, though some may become
 * equal to each other and so one. */
struct change_counts {
    uint64_t inserted, deleted, updated;
};

/* ERR_BAD_SQL, ERR_NOT_FOUND, and ERR_FORBIDDEN for system tables. All of it lies in resolver->arena. */
err insert_compile(struct resolver *resolver, const struct ast_insert *ast, struct change **change);
err change_compile(struct resolver *resolver, enum statement_kind kind, const struct ast_change *ast,
                   struct change **change);

/* In an open transaction. When it fails, some changes may have been made: the caller aborts. The errors of txn_insert(),
 * and those of the budget. */
err change_run(const struct change *change, struct txn *txn, struct budget *budget, struct change_counts *counts);
/* Says how the rows would be found. */
void change_explain(struct buf *out, const struct change *change, const struct store *store);
