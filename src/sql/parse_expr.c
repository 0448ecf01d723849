#include "sql/parse_expr.h"

static err take_number(struct parser *parser, bytes sign, struct ast_operand *operand)
{
    if (parser->token.kind != TOKEN_NUMBER)
        return words_refuse(parser, "a number");
    operand->kind = OPERAND_LITERAL;
    operand->literal.kind = LITERAL_NUMBER;
    operand->literal.text = parser->token.text;
    operand->token.end = parser->token.end;
    if (bytes_equal_text(sign, "-"))
        operand->literal.text = arena_format(parser->arena, "-%.*s", BYTES_FORMAT(parser->token.text));
    return words_advance(parser);
}

static err take_literal(struct parser *parser, enum literal_kind kind, struct ast_operand *operand)
{
    operand->kind = OPERAND_LITERAL;
    operand->literal = (struct ast_literal){ kind, token_text(parser->arena, &parser->token) };
    return words_advance(parser);
}

static err take_param(struct parser *parser, struct ast_operand *operand)
{
    if (!bytes_equal_text(parser->token.text, "sender"))
        return sql_refuse(parser->lexer.diag, parser->lexer.sql, &parser->token, "the only parameter is :sender");
    operand->kind = OPERAND_SENDER;
    return words_advance(parser);
}

static err take_column(struct parser *parser, const char *expected, struct ast_operand *operand)
{
    operand->kind = OPERAND_COLUMN;
    TRY(words_take_name(parser, expected, &operand->column));
    if (words_at_symbol(parser, ".")) {
        TRY(words_advance(parser));
        operand->table = operand->column;
        TRY(words_take_name(parser, "the name of a column", &operand->column));
    }
    if (words_at_symbol(parser, "("))
        return words_refuse_unsupported(parser, "functions; a condition compares columns with values");
    return OK;
}

err parse_operand(struct parser *parser, struct ast_operand *operand)
{
    *operand = (struct ast_operand){ .token = parser->token };
    if (words_at_symbol(parser, "-") || words_at_symbol(parser, "+")) {
        const bytes sign = parser->token.text;
        TRY(words_advance(parser));
        return take_number(parser, sign, operand);
    }
    if (words_at_keyword(parser, "TRUE") || words_at_keyword(parser, "FALSE"))
        return take_literal(parser, LITERAL_BOOL, operand);

    switch (parser->token.kind) {
    case TOKEN_NUMBER: return take_number(parser, BYTES_LITERAL("+"), operand);
    case TOKEN_TEXT: return take_literal(parser, LITERAL_TEXT, operand);
    case TOKEN_HEX: return take_literal(parser, LITERAL_HEX, operand);
    case TOKEN_PARAM: return take_param(parser, operand);
    case TOKEN_WORD:
    case TOKEN_NAME: return take_column(parser, "a column, a value or :sender", operand);
    case TOKEN_SYMBOL:
    case TOKEN_END: break;
    }
    return words_refuse(parser, "a column, a value or :sender");
}

err parse_column(struct parser *parser, struct ast_operand *operand)
{
    *operand = (struct ast_operand){ .token = parser->token };
    return take_column(parser, "the name of a column", operand);
}

err parse_value(struct parser *parser, struct ast_operand *operand)
{
    if (words_at_name(parser))
        return words_refuse(parser, "a value or :sender");
    return parse_operand(parser, operand);
}

static bool find_operator(const struct parser *parser, enum compare_op *op)
{
    static const struct {
        const char *symbol;
        enum compare_op op;
    } operators[] = {
        { "=", OP_EQ },  { "<>", OP_NE }, { "!=", OP_NE }, { "<", OP_LT },
        { "<=", OP_LE }, { ">", OP_GT },  { ">=", OP_GE },
    };
    for (size_t idx = 0; idx < COUNTOF(operators); idx++)
        if (words_at_symbol(parser, operators[idx].symbol)) {
            *op = operators[idx].op;
            return true;
        }
    return false;
}

static struct ast_expr *expr_new(struct parser *parser, enum expr_kind kind)
{
    struct ast_expr *expr = ARENA_NEW(parser->arena, struct ast_expr);
    expr->kind = kind;
    expr->token = parser->token;
    return expr;
}

err parse_comparison(struct parser *parser, struct ast_expr **out)
{
    struct ast_operand left;
    TRY(parse_operand(parser, &left));
    struct ast_expr *expr = *out = expr_new(parser, EXPR_COMPARE);
    expr->left = left;
    if (!find_operator(parser, &expr->op)) {
        if (words_at_arithmetic(parser))
            return words_refuse_unsupported(parser, "arithmetic; a condition compares columns with values");
        if (left.kind != OPERAND_LITERAL || left.literal.kind != LITERAL_BOOL)
            return words_refuse(parser, "one of = <> < <= > >=");
        expr->kind = EXPR_CONSTANT;
        expr->constant = token_is_keyword(&left.token, "TRUE");
        return OK;
    }
    TRY(words_advance(parser));
    TRY(parse_operand(parser, &expr->right));
    if (words_at_arithmetic(parser))
        return words_refuse_unsupported(parser, "arithmetic; a condition compares columns with values");
    return OK;
}

static err take_primary(struct parser *parser, struct ast_expr **out)
{
    if (!words_at_symbol(parser, "("))
        return parse_comparison(parser, out);
    if (parser->depth == SQL_DEPTH_MAX)
        return sql_refuse(parser->lexer.diag, parser->lexer.sql, &parser->token,
                          "more than %d parentheses stand inside each other", (int)SQL_DEPTH_MAX);
    parser->depth++;
    TRY(words_advance(parser));
    if (words_at_keyword(parser, "SELECT"))
        return words_refuse_unsupported(parser, "subqueries; a condition compares columns with values");
    TRY(parse_expr(parser, out));
    if (!words_at_symbol(parser, ")"))
        return words_refuse(parser, "AND, OR or a closing parenthesis");
    parser->depth--;
    return words_advance(parser);
}

/* primary { AND primary } */
static err take_all(struct parser *parser, struct ast_expr **out)
{
    TRY(take_primary(parser, out));
    if (!words_at_keyword(parser, "AND"))
        return OK;
    struct ast_expr *all = expr_new(parser, EXPR_ALL);
    all->parts = *out;
    *out = all;
    for (struct ast_expr *last = all->parts; words_at_keyword(parser, "AND"); last = last->next) {
        TRY(words_advance(parser));
        TRY(take_primary(parser, &last->next));
    }
    return OK;
}

/* all { OR all } */
err parse_expr(struct parser *parser, struct ast_expr **out)
{
    TRY(take_all(parser, out));
    if (!words_at_keyword(parser, "OR"))
        return OK;
    struct ast_expr *any = expr_new(parser, EXPR_ANY);
    any->parts = *out;
    *out = any;
    for (struct ast_expr *last = any->parts; words_at_keyword(parser, "OR"); last = last->next) {
        TRY(words_advance(parser));
        TRY(take_all(parser, &last->next));
    }
    return OK;
}
