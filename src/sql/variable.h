/* variable — SET and SHOW. There is one: row_limit, how many rows others than the owner may have a statement look at,
 * by the planner's estimate; 0 is no limit. */
#pragma once

#include "sql/resolver.h"

/* `*value` is what SET says. ERR_BAD_SQL. */
err variable_compile(struct resolver *resolver, const struct ast_statement *ast, uint64_t *value);
