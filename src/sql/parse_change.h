/* parse_change — statements that change rows, and variables. Each begins behind its first word. */
#pragma once

#include "sql/words.h"

err parse_insert(struct parser *parser, struct ast_insert *insert, const char **expected);
err parse_update(struct parser *parser, struct ast_change *change, const char **expected);
err parse_delete(struct parser *parser, struct ast_change *change, const char **expected);
err parse_set(struct parser *parser, struct ast_variable *variable, const char **expected);
err parse_show(struct parser *parser, struct ast_variable *variable, const char **expected);
