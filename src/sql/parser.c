#include "sql/parser.h"

struct parser {
    struct lexer lexer;
    struct token token; /* the one to be looked at */
    struct arena *arena;
    uint32_t depth; /* open parentheses */
};

/* clang-format off */
/* Words that are no names unless quoted, and what they begin when it is something this grammar lacks. */
static const struct reserved_word {
    const char *word;
    const char *unsupported;
} reserved_words[] = {
    { "SELECT", NULL }, { "FROM", NULL }, { "WHERE", NULL }, { "AS", NULL },
    { "AND", NULL }, { "OR", NULL }, { "TRUE", NULL }, { "FALSE", NULL },
    { "JOIN", "joins; a query reads one table" },
    { "INNER", "joins; a query reads one table" },
    { "LEFT", "joins; a query reads one table" },
    { "RIGHT", "joins; a query reads one table" },
    { "FULL", "joins; a query reads one table" },
    { "CROSS", "joins; a query reads one table" },
    { "NATURAL", "joins; a query reads one table" },
    { "ON", "joins; a query reads one table" },
    { "USING", "joins; a query reads one table" },
    { "LIMIT", "LIMIT; a query returns every row that matches" },
    { "OFFSET", "OFFSET; a query returns every row that matches" },
    { "FETCH", "FETCH; a query returns every row that matches" },
    { "ORDER", "ORDER BY; rows come in no particular order" },
    { "GROUP", "GROUP BY; a query returns rows as they are stored" },
    { "HAVING", "HAVING; a query returns rows as they are stored" },
    { "DISTINCT", "DISTINCT; the rows of a table are distinct already" },
    { "UNION", "UNION; send two queries" },
    { "INTERSECT", "INTERSECT; send two queries" },
    { "EXCEPT", "EXCEPT; send two queries" },
    { "NOT", "NOT; write the opposite comparison" },
    { "IN", "IN; write a = 1 OR a = 2" },
    { "BETWEEN", "BETWEEN; write a >= 1 AND a <= 2" },
    { "LIKE", "LIKE; columns can be compared with = <> < <= > >=" },
    { "ILIKE", "ILIKE; columns can be compared with = <> < <= > >=" },
    { "IS", "IS; columns can be compared with = <> < <= > >=" },
    { "NULL", "NULL; no column is null" },
    { "CASE", "CASE; a condition compares columns" },
};
/* clang-format on */

static const struct reserved_word *reserved_find(const struct token *token)
{
    for (size_t idx = 0; idx < COUNTOF(reserved_words); idx++)
        if (token_is_keyword(token, reserved_words[idx].word))
            return &reserved_words[idx];
    return NULL;
}

static err refuse_unsupported(struct parser *parser, const char *what)
{
    return sql_refuse(parser->lexer.diag, parser->lexer.sql, &parser->token, "Unsupported: %s", what);
}

/* Something else stands where `expected` would go on. */
static err refuse(struct parser *parser, const char *expected)
{
    const struct reserved_word *reserved = reserved_find(&parser->token);
    if (reserved != NULL && reserved->unsupported != NULL)
        return refuse_unsupported(parser, reserved->unsupported);
    return sql_refuse(parser->lexer.diag, parser->lexer.sql, &parser->token, "expected %s", expected);
}

static err advance(struct parser *parser)
{
    return lexer_next(&parser->lexer, &parser->token);
}

static bool is_keyword(const struct parser *parser, const char *keyword)
{
    return token_is_keyword(&parser->token, keyword);
}

static bool is_symbol(const struct parser *parser, const char *symbol)
{
    return token_is_symbol(&parser->token, symbol);
}

static err take_keyword(struct parser *parser, const char *keyword)
{
    return is_keyword(parser, keyword) ? advance(parser) : refuse(parser, keyword);
}

static bool is_name(const struct parser *parser)
{
    return parser->token.kind == TOKEN_NAME ||
           (parser->token.kind == TOKEN_WORD && reserved_find(&parser->token) == NULL);
}

static err take_name(struct parser *parser, const char *expected, struct ast_name *name)
{
    if (!is_name(parser))
        return refuse(parser, expected);
    *name = (struct ast_name){ parser->token, token_text(parser->arena, &parser->token) };
    return advance(parser);
}

static err take_projection(struct parser *parser, struct ast_select *select)
{
    static const char whole_rows[] = "column lists and functions; a query returns whole rows: SELECT * or SELECT t.*";
    select->projected = (struct ast_name){ 0 };
    if (!is_symbol(parser, "*")) {
        const struct token first = parser->token;
        TRY(take_name(parser, "* or the name of a table", &select->projected));
        if (!is_symbol(parser, ".")) {
            parser->token = first;
            return refuse_unsupported(parser, whole_rows);
        }
        TRY(advance(parser));
    }
    if (!is_symbol(parser, "*"))
        return is_name(parser) ? refuse_unsupported(parser, whole_rows) : refuse(parser, "*");
    TRY(advance(parser));
    return is_symbol(parser, ",") ? refuse_unsupported(parser, whole_rows) : OK;
}

static err take_table(struct parser *parser, struct ast_select *select)
{
    if (is_symbol(parser, "*"))
        return refuse_unsupported(parser, "FROM *; name one table");
    if (is_symbol(parser, "("))
        return refuse_unsupported(parser, "subqueries; name one table");
    TRY(take_name(parser, "the name of a table", &select->table));
    if (is_symbol(parser, "."))
        return refuse_unsupported(parser, "table names with a dot; all tables of a database are at one place");

    select->alias = (struct ast_name){ 0 };
    if (is_keyword(parser, "AS")) {
        TRY(advance(parser));
        return take_name(parser, "another name for the table", &select->alias);
    }
    return is_name(parser) ? take_name(parser, "another name for the table", &select->alias) : OK;
}

static err take_number(struct parser *parser, bytes sign, struct ast_operand *operand)
{
    if (parser->token.kind != TOKEN_NUMBER)
        return refuse(parser, "a number");
    operand->kind = OPERAND_LITERAL;
    operand->literal.kind = LITERAL_NUMBER;
    operand->literal.text = parser->token.text;
    operand->token.end = parser->token.end;
    if (bytes_equal_text(sign, "-"))
        operand->literal.text = arena_format(parser->arena, "-%.*s", BYTES_FORMAT(parser->token.text));
    return advance(parser);
}

static err take_literal(struct parser *parser, enum literal_kind kind, struct ast_operand *operand)
{
    operand->kind = OPERAND_LITERAL;
    operand->literal = (struct ast_literal){ kind, token_text(parser->arena, &parser->token) };
    return advance(parser);
}

static err take_param(struct parser *parser, struct ast_operand *operand)
{
    if (!bytes_equal_text(parser->token.text, "sender"))
        return sql_refuse(parser->lexer.diag, parser->lexer.sql, &parser->token, "the only parameter is :sender");
    operand->kind = OPERAND_SENDER;
    return advance(parser);
}

static err take_column(struct parser *parser, struct ast_operand *operand)
{
    operand->kind = OPERAND_COLUMN;
    TRY(take_name(parser, "a column, a value or :sender", &operand->column));
    if (is_symbol(parser, ".")) {
        TRY(advance(parser));
        operand->table = operand->column;
        TRY(take_name(parser, "the name of a column", &operand->column));
    }
    if (is_symbol(parser, "("))
        return refuse_unsupported(parser, "functions; a condition compares columns with values");
    return OK;
}

static err take_operand(struct parser *parser, struct ast_operand *operand)
{
    *operand = (struct ast_operand){ .token = parser->token };
    if (is_symbol(parser, "-") || is_symbol(parser, "+")) {
        const bytes sign = parser->token.text;
        TRY(advance(parser));
        return take_number(parser, sign, operand);
    }
    if (is_keyword(parser, "TRUE") || is_keyword(parser, "FALSE"))
        return take_literal(parser, LITERAL_BOOL, operand);

    switch (parser->token.kind) {
    case TOKEN_NUMBER: return take_number(parser, BYTES_LITERAL("+"), operand);
    case TOKEN_TEXT: return take_literal(parser, LITERAL_TEXT, operand);
    case TOKEN_HEX: return take_literal(parser, LITERAL_HEX, operand);
    case TOKEN_PARAM: return take_param(parser, operand);
    case TOKEN_WORD:
    case TOKEN_NAME: return take_column(parser, operand);
    case TOKEN_SYMBOL:
    case TOKEN_END: break;
    }
    return refuse(parser, "a column, a value or :sender");
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
        if (is_symbol(parser, operators[idx].symbol)) {
            *op = operators[idx].op;
            return true;
        }
    return false;
}

static bool is_arithmetic(const struct parser *parser)
{
    return is_symbol(parser, "+") || is_symbol(parser, "-") || is_symbol(parser, "*") || is_symbol(parser, "/") ||
           is_symbol(parser, "%");
}

static struct ast_expr *expr_new(struct parser *parser, enum expr_kind kind)
{
    struct ast_expr *expr = ARENA_NEW(parser->arena, struct ast_expr);
    expr->kind = kind;
    expr->token = parser->token;
    return expr;
}

static err take_comparison(struct parser *parser, struct ast_expr **out)
{
    struct ast_operand left;
    TRY(take_operand(parser, &left));
    struct ast_expr *expr = *out = expr_new(parser, EXPR_COMPARE);
    expr->left = left;
    if (!find_operator(parser, &expr->op)) {
        if (is_arithmetic(parser))
            return refuse_unsupported(parser, "arithmetic; a condition compares columns with values");
        if (left.kind != OPERAND_LITERAL || left.literal.kind != LITERAL_BOOL)
            return refuse(parser, "one of = <> < <= > >=");
        expr->kind = EXPR_CONSTANT;
        expr->constant = token_is_keyword(&left.token, "TRUE");
        return OK;
    }
    TRY(advance(parser));
    TRY(take_operand(parser, &expr->right));
    if (is_arithmetic(parser))
        return refuse_unsupported(parser, "arithmetic; a condition compares columns with values");
    return OK;
}

static err take_any(struct parser *parser, struct ast_expr **out);

static err take_primary(struct parser *parser, struct ast_expr **out)
{
    if (!is_symbol(parser, "("))
        return take_comparison(parser, out);
    if (parser->depth == SQL_DEPTH_MAX)
        return sql_refuse(parser->lexer.diag, parser->lexer.sql, &parser->token,
                          "more than %d parentheses stand inside each other", (int)SQL_DEPTH_MAX);
    parser->depth++;
    TRY(advance(parser));
    if (is_keyword(parser, "SELECT"))
        return refuse_unsupported(parser, "subqueries; a condition compares columns with values");
    TRY(take_any(parser, out));
    if (!is_symbol(parser, ")"))
        return refuse(parser, "AND, OR or a closing parenthesis");
    parser->depth--;
    return advance(parser);
}

/* primary { AND primary } */
static err take_all(struct parser *parser, struct ast_expr **out)
{
    TRY(take_primary(parser, out));
    if (!is_keyword(parser, "AND"))
        return OK;
    struct ast_expr *all = expr_new(parser, EXPR_ALL);
    all->parts = *out;
    *out = all;
    for (struct ast_expr *last = all->parts; is_keyword(parser, "AND"); last = last->next) {
        TRY(advance(parser));
        TRY(take_primary(parser, &last->next));
    }
    return OK;
}

/* all { OR all } */
static err take_any(struct parser *parser, struct ast_expr **out)
{
    TRY(take_all(parser, out));
    if (!is_keyword(parser, "OR"))
        return OK;
    struct ast_expr *any = expr_new(parser, EXPR_ANY);
    any->parts = *out;
    *out = any;
    for (struct ast_expr *last = any->parts; is_keyword(parser, "OR"); last = last->next) {
        TRY(advance(parser));
        TRY(take_all(parser, &last->next));
    }
    return OK;
}

static err take_end(struct parser *parser, const char *expected)
{
    if (is_symbol(parser, ",") || is_keyword(parser, "JOIN"))
        return refuse_unsupported(parser, "joins; a query reads one table");
    if (is_symbol(parser, ";")) {
        TRY(advance(parser));
        if (parser->token.kind != TOKEN_END)
            return refuse_unsupported(parser, "several statements at once; send them one by one");
    }
    return parser->token.kind == TOKEN_END ? OK : refuse(parser, expected);
}

static err take_select(struct parser *parser, struct ast_select *select)
{
    if (parser->token.kind == TOKEN_END)
        return diag_set(parser->lexer.diag, ERR_BAD_SQL, "the query is empty");
    if (!is_keyword(parser, "SELECT"))
        return refuse_unsupported(parser, "statements other than SELECT");
    TRY(advance(parser));
    TRY(take_projection(parser, select));
    TRY(take_keyword(parser, "FROM"));
    TRY(take_table(parser, select));
    select->where = NULL;
    if (!is_keyword(parser, "WHERE"))
        return take_end(parser, "WHERE or the end of the query");
    TRY(advance(parser));
    TRY(take_any(parser, &select->where));
    return take_end(parser, "AND, OR or the end of the query");
}

err sql_parse(struct arena *arena, bytes sql, struct ast_select *select, struct diag *diag)
{
    struct parser parser = { .lexer = { .sql = sql, .diag = diag }, .arena = arena };
    TRY(advance(&parser));
    return take_select(&parser, select);
}
