/* words — the parser's hands: looking at the token at hand, taking it, refusing it.
 *
 * What the grammar does not have but people know from elsewhere is refused by its name, with what may stand
 * there instead. */
#pragma once

#include "sql/ast.h"

struct parser {
    struct lexer lexer;
    struct token token; /* the one to be looked at */
    struct arena *arena;
    uint32_t depth; /* open parentheses */
};

err words_advance(struct parser *parser);
bool words_at_keyword(const struct parser *parser, const char *keyword);
bool words_at_symbol(const struct parser *parser, const char *symbol);
/* A word that is no reserved one, or anything in double quotes. */
bool words_at_name(const struct parser *parser);
bool words_at_arithmetic(const struct parser *parser);

/* Goes past the keyword or symbol if it is at hand. */
err words_take_if(struct parser *parser, const char *keyword, bool *taken);
err words_take_keyword(struct parser *parser, const char *keyword);
err words_take_symbol(struct parser *parser, const char *symbol, const char *expected);
err words_take_name(struct parser *parser, const char *expected, struct ast_name *name);

/* Something else stands where `expected` would go on. */
err words_refuse(struct parser *parser, const char *expected);
err words_refuse_unsupported(struct parser *parser, const char *what);
