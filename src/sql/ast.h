/* ast — a statement as it was written: names not looked up, literals not yet read at a type.
 *
 *     statement := [EXPLAIN] select | insert | update | delete | set | show
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
    struct ast_operand *next; /* in GROUP BY and VALUES */
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

struct ast_table {
    struct ast_name name;
    struct ast_name alias;  /* none: the table's name */
    struct token join;      /* the word JOIN, for all but the first */
    struct ast_expr *on;    /* NULL: none; a comparison of two columns otherwise */
    struct ast_table *next;
};

enum item_kind { ITEM_ALL, ITEM_TABLE, ITEM_COLUMN, ITEM_COUNT, ITEM_SUM, ITEM_MIN, ITEM_MAX, ITEM_AVG };

/* What a SELECT gives: *, t.*, a column, or a sum of many rows. */
struct ast_item {
    enum item_kind kind;
    struct token token;
    struct ast_name table;      /* ITEM_TABLE: before the dot */
    struct ast_operand operand; /* ITEM_COLUMN and all behind, except COUNT(*) */
    struct ast_name alias;
    struct ast_item *next;
};

struct ast_order {
    struct ast_operand column;
    bool descending;
    struct ast_order *next;
};

struct ast_count { /* LIMIT and OFFSET */
    struct token token; /* the keyword */
    bool is_given;
    uint64_t value;
};

struct ast_select {
    struct ast_item *items;
    struct ast_table *tables;
    struct ast_expr *where;      /* NULL: every row */
    struct token group_token, order_token;
    struct ast_operand *group;   /* NULL: none */
    struct ast_order *order;     /* NULL: none */
    struct ast_count limit, offset;
};

struct ast_row {
    struct token token;          /* its opening parenthesis */
    struct ast_operand *values;  /* literals and :sender */
    struct ast_row *next;
};

struct ast_insert {
    struct ast_name table;
    struct ast_name *columns;
    uint32_t column_count;
    struct ast_row *rows;
};

struct ast_assignment {
    struct ast_operand column;
    struct ast_operand value;
    struct ast_assignment *next;
};

/* UPDATE, or DELETE when there are no assignments. */
struct ast_change {
    struct ast_table table;
    struct ast_assignment *assignments;
    struct ast_expr *where;
};

struct ast_variable { /* SET and SHOW */
    struct ast_name name;
    struct ast_operand value;
};

enum statement_kind {
    STATEMENT_SELECT,
    STATEMENT_INSERT,
    STATEMENT_UPDATE,
    STATEMENT_DELETE,
    STATEMENT_SET,
    STATEMENT_SHOW,
};

struct ast_statement {
    enum statement_kind kind;
    struct token token; /* the word it begins with */
    bool explains;      /* EXPLAIN stands in front */
    union {
        struct ast_select select;
        struct ast_insert insert;
        struct ast_change change;
        struct ast_variable variable;
    };
};
