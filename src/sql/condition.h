/* condition — a WHERE clause about one table: columns by number, values in BSATN.
 *
 * The tree between the text and the plan. What is evaluated and what is looked up are both made from it. */
#pragma once

#include "sql/query.h"

enum condition_kind {
    CONDITION_CONSTANT, /* TRUE or FALSE */
    CONDITION_VALUE,    /* column op value */
    CONDITION_COLUMNS,  /* column op other; both have one type */
    CONDITION_ALL,      /* AND of its parts */
    CONDITION_ANY,      /* OR of its parts */
};

struct condition {
    enum condition_kind kind;
    bool constant;
    enum compare_op op;
    uint16_t column, other;
    bytes value;         /* BSATN at the column's type */
    uint32_t part_count;
    struct condition **parts;
};
