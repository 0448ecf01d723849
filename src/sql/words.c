#include "sql/words.h"

/* clang-format off */
/* Words that are no names unless quoted, and what they begin when it is something this grammar lacks. */
static const struct reserved_word {
    const char *word;
    const char *unsupported;
} reserved_words[] = {
    { "SELECT", NULL }, { "FROM", NULL }, { "WHERE", NULL }, { "AS", NULL },
    { "AND", NULL }, { "OR", NULL }, { "TRUE", NULL }, { "FALSE", NULL },
    { "JOIN", NULL }, { "INNER", NULL }, { "ON", NULL },
    { "GROUP", NULL }, { "ORDER", NULL }, { "LIMIT", NULL }, { "OFFSET", NULL },
    { "LEFT", "Non-inner joins are not supported; write JOIN" },
    { "RIGHT", "Non-inner joins are not supported; write JOIN" },
    { "FULL", "Non-inner joins are not supported; write JOIN" },
    { "CROSS", "CROSS JOIN; write JOIN without ON" },
    { "NATURAL", "NATURAL JOIN; write JOIN with ON a.x = b.y" },
    { "USING", "USING; write ON a.x = b.x" },
    { "FETCH", "FETCH; write LIMIT" },
    { "HAVING", "HAVING; leave groups out where the answer is read" },
    { "DISTINCT", "DISTINCT; write GROUP BY with the same columns" },
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
    { "RETURNING", "RETURNING; ask for the rows with SELECT" },
};
/* clang-format on */

static const struct reserved_word *reserved_find(const struct token *token)
{
    for (size_t idx = 0; idx < COUNTOF(reserved_words); idx++)
        if (token_is_keyword(token, reserved_words[idx].word))
            return &reserved_words[idx];
    return NULL;
}

err words_refuse_unsupported(struct parser *parser, const char *what)
{
    return sql_refuse(parser->lexer.diag, parser->lexer.sql, &parser->token, "Unsupported: %s", what);
}

err words_refuse(struct parser *parser, const char *expected)
{
    const struct reserved_word *reserved = reserved_find(&parser->token);
    if (reserved != NULL && reserved->unsupported != NULL)
        return words_refuse_unsupported(parser, reserved->unsupported);
    return sql_refuse(parser->lexer.diag, parser->lexer.sql, &parser->token, "expected %s", expected);
}

err words_advance(struct parser *parser)
{
    return lexer_next(&parser->lexer, &parser->token);
}

bool words_at_keyword(const struct parser *parser, const char *keyword)
{
    return token_is_keyword(&parser->token, keyword);
}

bool words_at_symbol(const struct parser *parser, const char *symbol)
{
    return token_is_symbol(&parser->token, symbol);
}

bool words_at_name(const struct parser *parser)
{
    return parser->token.kind == TOKEN_NAME ||
           (parser->token.kind == TOKEN_WORD && reserved_find(&parser->token) == NULL);
}

bool words_at_arithmetic(const struct parser *parser)
{
    static const char *const operators[] = { "+", "-", "*", "/", "%" };
    for (size_t idx = 0; idx < COUNTOF(operators); idx++)
        if (words_at_symbol(parser, operators[idx]))
            return true;
    return false;
}

err words_take_if(struct parser *parser, const char *keyword, bool *taken)
{
    *taken = words_at_keyword(parser, keyword) || words_at_symbol(parser, keyword);
    return *taken ? words_advance(parser) : OK;
}

err words_take_keyword(struct parser *parser, const char *keyword)
{
    return words_at_keyword(parser, keyword) ? words_advance(parser) : words_refuse(parser, keyword);
}

err words_take_symbol(struct parser *parser, const char *symbol, const char *expected)
{
    return words_at_symbol(parser, symbol) ? words_advance(parser) : words_refuse(parser, expected);
}

/* A word that may well be meant as a name: a column can be called `from`. */
static err refuse_word(struct parser *parser, const char *expected)
{
    const struct reserved_word *reserved = reserved_find(&parser->token);
    if (reserved == NULL || reserved->unsupported != NULL)
        return words_refuse(parser, expected);
    return sql_refuse(parser->lexer.diag, parser->lexer.sql, &parser->token,
                      "expected %s; one that is a word of SQL stands in double quotes", expected);
}

err words_take_name(struct parser *parser, const char *expected, struct ast_name *name)
{
    if (!words_at_name(parser))
        return refuse_word(parser, expected);
    *name = (struct ast_name){ parser->token, token_text(parser->arena, &parser->token) };
    return words_advance(parser);
}
