/* parser — SQL text to a tree, by recursive descent.
 *
 * What the grammar does not have but people know from elsewhere is refused by its name, with what may stand
 * there instead. */
#pragma once

#include "sql/ast.h"

/* Parses one SELECT, with or without a semicolon behind it. ERR_BAD_SQL. */
err sql_parse(struct arena *arena, bytes sql, struct ast_select *select, struct diag *diag);
