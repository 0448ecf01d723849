/* bounds — between which values the columns of every passing row lie.
 *
 * Read off the comparisons that a row must pass whatever else holds: those in the outermost AND. They serve
 * to choose an index and to find, from a changed row, the queries it may concern. They are necessary, not
 * sufficient: who uses them still asks the predicate. */
#pragma once

#include "sql/condition.h"

/* Fills equalities and ranges, and sets filter->never when no value is left for a column. The condition looks at
 * one source alone, a row of `table`. */
void bounds_make(struct query_filter *filter, struct arena *arena, struct arena *scratch, const struct table_def *table,
                 const struct condition *where);

/* What a column must be equal to, or lie between; NULL: anything. */
const struct query_equality *bounds_equality(const struct query_filter *filter, uint16_t column);
const struct query_range *bounds_range(const struct query_filter *filter, uint16_t column);
