/* bounds — between which values the columns of every matching row lie.
 *
 * Read off the comparisons that a row must pass whatever else holds: those in the outermost AND. They serve
 * to choose an index and to find, from a changed row, the queries it may concern. They are necessary, not
 * sufficient: who uses them still asks the predicate. */
#pragma once

#include "sql/condition.h"

/* Fills equalities and ranges, and sets query->never when no value is left for a column. */
void bounds_make(struct query *query, struct arena *scratch, const struct condition *where);
