/* ast — a statement as it was written: names not looked up, literals not yet read at a type.
 *
 * Everything lies in the parser's arena and views the SQL text. Tokens stay with what was made of them, so
 * that a later refusal can point at its place. */
#pragma once

#include "sql/lexer.h"
#include "sql/query.h"

enum literal_kind { LITERAL_NUMBER, LITERAL_TEXT, LITERAL_HEX, LITERAL_BOOL };

struct ast_literal {
    enum literal_kind kind;
    bytes text; /* number: with its sign; hex: the digits; bool: as written */
};

struct ast_name {
    struct token token;
    bytes text; /* at == NULL: none */
};

enum operand_kind { OPERAND_COLUMN, OPERAND_LITERAL, OPERAND_SENDER };

struct ast_operand {
    enum operand_kind kind;
    struct token token;
    struct ast_name table;  /* what stands before the dot */
    struct ast_name column;
    struct ast_literal literal;
};

enum expr_kind { EXPR_COMPARE, EXPR_ALL, EXPR_ANY, EXPR_CONSTANT };

/* AND and OR have any number of parts: a chain of a thousand is one level deep. */
struct ast_expr {
    enum expr_kind kind;
    struct token token;     /* the operator */
    enum compare_op op;
    struct ast_operand left, right;
    bool constant;
    struct ast_expr *parts; /* ALL, ANY: the first of two or more */
    struct ast_expr *next;  /* the next part of the one above */
};

struct ast_select {
    struct ast_name projected; /* t of `t.*`; none: `*` */
    struct ast_name table;
    struct ast_name alias;     /* none: the table's name */
    struct ast_expr *where;    /* NULL: every row */
};
