#include "sql/parser.h"

#include "base/text.h"
#include "sql/parse_change.h"
#include "sql/parse_select.h"

static const struct {
    const char *word;
    enum statement_kind kind;
} statement_words[] = {
    { "SELECT", STATEMENT_SELECT }, { "INSERT", STATEMENT_INSERT }, { "UPDATE", STATEMENT_UPDATE },
    { "DELETE", STATEMENT_DELETE }, { "SET", STATEMENT_SET },       { "SHOW", STATEMENT_SHOW },
};

static err take_kind(struct parser *parser, struct ast_statement *statement)
{
    statement->token = parser->token;
    for (size_t idx = 0; idx < COUNTOF(statement_words); idx++)
        if (words_at_keyword(parser, statement_words[idx].word)) {
            statement->kind = statement_words[idx].kind;
            return words_advance(parser);
        }
    return words_refuse_unsupported(
        parser, "this statement; there are SELECT, INSERT, UPDATE, DELETE, SET, SHOW and EXPLAIN");
}

static err take_rest(struct parser *parser, struct ast_statement *statement, const char **expected)
{
    switch (statement->kind) {
    case STATEMENT_SELECT: return parse_select(parser, &statement->select, expected);
    case STATEMENT_INSERT: return parse_insert(parser, &statement->insert, expected);
    case STATEMENT_UPDATE: return parse_update(parser, &statement->change, expected);
    case STATEMENT_DELETE: return parse_delete(parser, &statement->change, expected);
    case STATEMENT_SET: return parse_set(parser, &statement->variable, expected);
    case STATEMENT_SHOW: return parse_show(parser, &statement->variable, expected);
    }
    unreachable();
}

static err take_end(struct parser *parser, const char *expected)
{
    if (words_at_symbol(parser, ";")) {
        TRY(words_advance(parser));
        if (parser->token.kind != TOKEN_END)
            return words_refuse_unsupported(parser, "several statements at once; send them one by one");
    }
    return parser->token.kind == TOKEN_END ? OK : words_refuse(parser, expected);
}

err sql_parse(struct arena *arena, bytes sql, struct ast_statement *statement, struct diag *diag)
{
    struct parser parser = { .lexer = { .sql = sql, .diag = diag }, .arena = arena };
    const char *expected = NULL;
    *statement = (struct ast_statement){ 0 };
    TRY(words_advance(&parser));
    if (parser.token.kind == TOKEN_END)
        return diag_set(diag, ERR_BAD_SQL, "the query is empty");
    TRY(words_take_if(&parser, "EXPLAIN", &statement->explains));
    TRY(take_kind(&parser, statement));
    TRY(take_rest(&parser, statement, &expected));
    return take_end(&parser, expected);
}

err sql_check_text(bytes sql, struct diag *diag)
{
    if (sql.size > SQL_TEXT_MAX)
        return diag_set(diag, ERR_BAD_SQL, "the query has %zu bytes, and %d is the most", sql.size, (int)SQL_TEXT_MAX);
    return text_is_utf8(sql) ? OK : diag_set(diag, ERR_BAD_SQL, "the query is not UTF-8");
}
