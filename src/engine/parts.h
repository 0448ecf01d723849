/* parts — derived tables that are what a caller may see of a table: the rows that one of its filters selects.
 *
 * In the filters of a table its name means all of it; other tables with filters mean the caller's parts of them. */
#pragma once

#include "engine/filters.h"
#include "engine/levels.h"

/* Follows the filters, and finds the level for that. */
err parts_fill(struct levels *levels, struct derived *derived, const struct table_filters *filters, struct diag *diag);
