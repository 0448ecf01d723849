/* parse_expr — operands and conditions, by recursive descent. */
#pragma once

#include "sql/words.h"

/* A column, a literal or :sender. */
err parse_operand(struct parser *parser, struct ast_operand *operand);
/* A column, with or without its table. */
err parse_column(struct parser *parser, struct ast_operand *operand);
/* A literal or :sender. */
err parse_value(struct parser *parser, struct ast_operand *operand);
/* One comparison, TRUE or FALSE. */
err parse_comparison(struct parser *parser, struct ast_expr **expr);
/* Comparisons with AND, OR and parentheses. */
err parse_expr(struct parser *parser, struct ast_expr **expr);
