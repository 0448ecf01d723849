#include "sql/lexer.h"

#include <stdarg.h>
#include <stdio.h>

/* What of a token is shown in a refusal. */
enum { NEAR_SIZE_MAX = 60 };

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_hex(uint8_t byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

static bool is_letter(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' || byte >= 0x80;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static uint8_t upper(uint8_t byte)
{
    return byte >= 'a' && byte <= 'z' ? (uint8_t)(byte - 'a' + 'A') : byte;
}

/* Zero, which is no part of any token, stands for the end. */
static uint8_t peek(const struct lexer *lexer, uint32_t ahead)
{
    const size_t offset = (size_t)lexer->offset + ahead;
    return offset < lexer->sql.size ? lexer->sql.at[offset] : 0;
}

static bool at_end(const struct lexer *lexer)
{
    return lexer->offset >= lexer->sql.size;
}

static uint32_t characters_before(bytes sql, uint32_t offset)
{
    uint32_t count = 0;
    for (uint32_t idx = 0; idx < offset; idx++)
        count += (sql.at[idx] & 0xc0) != 0x80;
    return count;
}

err sql_refuse(struct diag *diag, bytes sql, const struct token *token, const char *format, ...)
{
    char sentence[sizeof diag->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);

    const unsigned place = characters_before(sql, token->offset) + 1;
    size_t size = token->end - token->offset;
    if (size == 0)
        return diag_set(diag, ERR_BAD_SQL, "%s, at character %u, at the end of the query", sentence, place);
    while (size > NEAR_SIZE_MAX || (token->offset + size < sql.size && (sql.at[token->offset + size] & 0xc0) == 0x80))
        size--;
    return diag_set(diag, ERR_BAD_SQL, "%s, at character %u, near `%.*s`", sentence, place, (int)size,
                    (const char *)sql.at + token->offset);
}

static void skip_line_comment(struct lexer *lexer)
{
    while (!at_end(lexer) && peek(lexer, 0) != '\n')
        lexer->offset++;
}

static err skip_block_comment(struct lexer *lexer)
{
    const struct token start = { .offset = lexer->offset, .end = lexer->offset + 2 };
    lexer->offset += 2;
    while (!at_end(lexer) && !(peek(lexer, 0) == '*' && peek(lexer, 1) == '/'))
        lexer->offset++;
    if (at_end(lexer))
        return sql_refuse(lexer->diag, lexer->sql, &start, "a comment begins here and does not end");
    lexer->offset += 2;
    return OK;
}

static err skip_space(struct lexer *lexer)
{
    for (;;) {
        if (is_space(peek(lexer, 0)))
            lexer->offset++;
        else if (peek(lexer, 0) == '-' && peek(lexer, 1) == '-')
            skip_line_comment(lexer);
        else if (peek(lexer, 0) == '/' && peek(lexer, 1) == '*')
            TRY(skip_block_comment(lexer));
        else
            return OK;
    }
}

/* Sets the content to what lies between `from` and here. */
static void take(struct lexer *lexer, struct token *token, enum token_kind kind, uint32_t from)
{
    token->kind = kind;
    token->text = bytes_of(lexer->sql.at + from, lexer->offset - from);
}

/* Text between quotes, in which a doubled quote is one. */
static err take_quoted(struct lexer *lexer, struct token *token, enum token_kind kind)
{
    const uint8_t quote = peek(lexer, 0);
    const uint32_t from = ++lexer->offset;
    while (!at_end(lexer)) {
        if (peek(lexer, 0) != quote) {
            lexer->offset++;
        } else if (peek(lexer, 1) == quote) {
            lexer->offset += 2;
        } else {
            take(lexer, token, kind, from);
            lexer->offset++;
            return OK;
        }
    }
    token->end = from;
    return sql_refuse(lexer->diag, lexer->sql, token, "a quoted %s begins here and does not end",
                      kind == TOKEN_NAME ? "name" : "text");
}

static err take_hex(struct lexer *lexer, struct token *token)
{
    const bool quoted = peek(lexer, 1) == '\'';
    lexer->offset += 2;
    const uint32_t from = lexer->offset;
    while (is_hex(peek(lexer, 0)))
        lexer->offset++;
    take(lexer, token, TOKEN_HEX, from);
    const bool ends = quoted ? peek(lexer, 0) == '\'' : !is_letter(peek(lexer, 0)) && !is_digit(peek(lexer, 0));
    lexer->offset += quoted && ends;
    token->end = lexer->offset;
    if (ends)
        return OK;
    return sql_refuse(lexer->diag, lexer->sql, token, "hex digits are followed by something else");
}

static void skip_digits(struct lexer *lexer)
{
    while (is_digit(peek(lexer, 0)))
        lexer->offset++;
}

static err take_number(struct lexer *lexer, struct token *token)
{
    const uint32_t from = lexer->offset;
    skip_digits(lexer);
    if (peek(lexer, 0) == '.') {
        lexer->offset++;
        skip_digits(lexer);
    }
    if (upper(peek(lexer, 0)) == 'E') {
        const uint32_t sign = peek(lexer, 1) == '+' || peek(lexer, 1) == '-';
        if (is_digit(peek(lexer, 1 + sign))) {
            lexer->offset += 1 + sign;
            skip_digits(lexer);
        }
    }
    take(lexer, token, TOKEN_NUMBER, from);
    token->end = lexer->offset;
    if (!is_letter(peek(lexer, 0)))
        return OK;
    return sql_refuse(lexer->diag, lexer->sql, token, "a number runs into letters");
}

static void take_word(struct lexer *lexer, struct token *token, enum token_kind kind)
{
    const uint32_t from = lexer->offset;
    while (is_letter(peek(lexer, 0)) || is_digit(peek(lexer, 0)))
        lexer->offset++;
    take(lexer, token, kind, from);
}

static void take_symbol(struct lexer *lexer, struct token *token)
{
    const uint32_t from = lexer->offset;
    const uint8_t first = peek(lexer, 0), second = peek(lexer, 1);
    const bool is_double =
        (first == '<' && (second == '=' || second == '>')) || ((first == '>' || first == '!') && second == '=');
    lexer->offset += is_double ? 2 : 1;
    take(lexer, token, TOKEN_SYMBOL, from);
}

err lexer_next(struct lexer *lexer, struct token *token)
{
    TRY(skip_space(lexer));
    *token = (struct token){ .kind = TOKEN_END, .offset = lexer->offset, .end = lexer->offset };
    if (at_end(lexer))
        return OK;

    const uint8_t first = peek(lexer, 0);
    if (first == '"')
        TRY(take_quoted(lexer, token, TOKEN_NAME));
    else if (first == '\'')
        TRY(take_quoted(lexer, token, TOKEN_TEXT));
    else if ((first == '0' && upper(peek(lexer, 1)) == 'X') || (upper(first) == 'X' && peek(lexer, 1) == '\''))
        TRY(take_hex(lexer, token));
    else if (is_digit(first) || (first == '.' && is_digit(peek(lexer, 1))))
        TRY(take_number(lexer, token));
    else if (is_letter(first))
        take_word(lexer, token, TOKEN_WORD);
    else if (first == ':' && is_letter(peek(lexer, 1))) {
        lexer->offset++;
        take_word(lexer, token, TOKEN_PARAM);
    } else
        take_symbol(lexer, token);
    token->end = lexer->offset;
    return OK;
}

bytes token_text(struct arena *arena, const struct token *token)
{
    if (token->kind != TOKEN_NAME && token->kind != TOKEN_TEXT)
        return token->text;
    const uint8_t quote = token->kind == TOKEN_NAME ? '"' : '\'';
    if (token->text.size == 0 || memchr(token->text.at, quote, token->text.size) == NULL)
        return token->text;
    uint8_t *plain = arena_take(arena, token->text.size);
    size_t size = 0;
    for (size_t idx = 0; idx < token->text.size; idx++) {
        plain[size++] = token->text.at[idx];
        if (token->text.at[idx] == quote)
            idx++; /* its double */
    }
    return bytes_of(plain, size);
}

bool token_is_keyword(const struct token *token, const char *keyword)
{
    if (token->kind != TOKEN_WORD || token->text.size != strlen(keyword))
        return false;
    for (size_t idx = 0; idx < token->text.size; idx++)
        if (upper(token->text.at[idx]) != (uint8_t)keyword[idx])
            return false;
    return true;
}

bool token_is_symbol(const struct token *token, const char *symbol)
{
    return token->kind == TOKEN_SYMBOL && bytes_equal_text(token->text, symbol);
}
