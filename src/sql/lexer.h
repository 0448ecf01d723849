/* lexer — SQL text as words.
 *
 * Tokens are views into the text; a name in double quotes or a text in single quotes still holds its doubled
 * quotes, which token_text() undoes. Keywords are plain words here: the parser knows where one counts. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,   /* a name or keyword */
    TOKEN_NAME,   /* "quoted": a name for certain */
    TOKEN_TEXT,   /* 'quoted' */
    TOKEN_NUMBER, /* 12, 1.5, .5, 1e3: without a sign */
    TOKEN_HEX,    /* 0x1f, X'1f': the digits alone */
    TOKEN_PARAM,  /* :name, without the colon */
    TOKEN_SYMBOL, /* one of , . ( ) * ; = <> != < <= > >= + - and what nobody expects */
};

struct token {
    enum token_kind kind;
    bytes text;      /* the content: without quotes, colon or prefix */
    uint32_t offset; /* in the SQL, of its first byte */
    uint32_t end;    /* behind its last byte */
};

struct lexer {
    bytes sql;
    uint32_t offset;
    struct diag *diag;
};

/* ERR_BAD_SQL for a quote that does not end and a number that runs into letters. */
err lexer_next(struct lexer *lexer, struct token *token);

/* The content with doubled quotes made single, in the arena where it differs. */
bytes token_text(struct arena *arena, const struct token *token);

/* Whether the token is this keyword, written in capitals here and in any case there. */
bool token_is_keyword(const struct token *token, const char *keyword);
bool token_is_symbol(const struct token *token, const char *symbol);

/* A refusal with its place: "…, at character 23, near `WHER`". Returns ERR_BAD_SQL. */
err sql_refuse(struct diag *diag, bytes sql, const struct token *token, const char *format, ...) PRINTF_LIKE(4, 5);
