#include "sql/variable.h"

err variable_compile(struct resolver *resolver, const struct ast_statement *ast, uint64_t *value)
{
    const struct ast_variable *variable = &ast->variable;
    if (!bytes_equal_text(variable->name.text, "row_limit"))
        return sql_refuse(resolver->diag, resolver->sql, &variable->name.token,
                          "`%.*s` is no variable: there is `row_limit`", BYTES_FORMAT(variable->name.text));
    if (ast->kind == STATEMENT_SHOW)
        return OK;
    bytes encoded;
    TRY(resolver_value(resolver, &variable->value, type_scalar(TYPE_U64), &encoded));
    memcpy(value, encoded.at, sizeof *value);
    return OK;
}
