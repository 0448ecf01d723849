/* condition — a WHERE clause: columns by number, values in BSATN.
 *
 * The tree between the text and the plan. What is evaluated and what is looked up are both made from it. A
 * statement's tables are its sources, counted in the order they stand in FROM. */
#pragma once

#include "sql/query.h"

enum { SQL_SOURCES_MAX = 16 };

struct column_ref {
    uint16_t source, column;
};

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
    struct column_ref column, other;
    bytes value;         /* BSATN at the column's type */
    uint32_t part_count;
    struct condition **parts;
};

/* The sources it looks at, a bit each. */
uint32_t condition_sources(const struct condition *condition);

/* bsatn_compare() tells the zeros of a float apart, SQL does not: a zero in the spelling that is asked for. Other values
 * stay as they are. */
bytes condition_spell_zero(struct arena *arena, const struct type *type, bytes value, bool is_negative);
