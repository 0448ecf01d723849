/* gates — the ranges of single columns through which every matching row comes.
 *
 * A condition is turned into as few and as narrow ranges as its shape gives:
 *
 *     a = 1                       a [1, 1]
 *     a = 1 OR a = 2 OR b < 3     a [1, 1], a [2, 2], b (, 3)
 *     a = 1 AND b < 3             a [1, 1]: one part of an AND is enough, the narrowest is taken
 *     a > 1 AND a < 9             a (1, 9): but parts about one column narrow each other
 *     a <> 1, a = b               none: any row may match
 *
 * Gates are necessary, not sufficient: who comes through them is still put to the predicate. */
#pragma once

#include "sql/condition.h"

/* Ranges are made in the arena; values stay where the condition has them. */
struct query_gates gates_make(struct arena *arena, const struct table_def *table, const struct condition *where);

/* Whether the range is one value, spelled in one way. */
bool gate_is_point(const struct query_range *range);
