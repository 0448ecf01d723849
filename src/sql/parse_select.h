/* parse_select — SELECT, and what other statements share with it. */
#pragma once

#include "sql/words.h"

/* Behind the word SELECT, up to what cannot belong to it. *expected says what might have gone on there. */
err parse_select(struct parser *parser, struct ast_select *select, const char **expected);
/* A table with or without another name. */
err parse_table(struct parser *parser, struct ast_table *table);
/* WHERE, if it is there. */
err parse_where(struct parser *parser, struct ast_expr **where, const char **expected);
