/* parser — SQL text to a tree, by recursive descent.
 *
 *     select := SELECT items FROM table [[AS] a] { [INNER] JOIN table [[AS] b] [ON a.x = b.y] }
 *               [WHERE expr] [GROUP BY column {, column}] [ORDER BY column [ASC|DESC] {, …}] [LIMIT n] [OFFSET n]
 *     items  := * | t.* | item {, item}
 *     item   := column [[AS] name] | COUNT(*) | (COUNT|SUM|MIN|MAX|AVG)(column) [[AS] name]
 *     insert := INSERT INTO t (column {, column}) VALUES (value {, value}) {, (…)}
 *     update := UPDATE t [[AS] a] SET column = value {, column = value} [WHERE expr]
 *     delete := DELETE FROM t [[AS] a] [WHERE expr]
 *     set    := SET name (TO | =) value       show := SHOW name
 *     expr   := operand (= | <> | != | < | <= | > | >=) operand | expr AND expr | expr OR expr | (expr) | TRUE | FALSE
 *
 * Keywords are taken in any case, "quoted" words are names. Who may not say all of it, a subscription, refuses
 * afterwards, with the place. */
#pragma once

#include "sql/ast.h"

/* Parses one statement, with or without a semicolon behind it. ERR_BAD_SQL. */
err sql_parse(struct arena *arena, bytes sql, struct ast_statement *statement, struct diag *diag);
/* Whether a text is short enough and UTF-8. ERR_BAD_SQL. */
err sql_check_text(bytes sql, struct diag *diag);
