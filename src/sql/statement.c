#include "sql/statement.h"

#include "sql/parser.h"
#include "sql/variable.h"

struct compiler {
    struct statement *statement;
    struct resolver resolver;
    struct ast_statement ast;
};

static err check_right(struct compiler *compiler)
{
    const struct ast_statement *ast = &compiler->ast;
    if (ast->kind == STATEMENT_SELECT || ast->kind == STATEMENT_SHOW || compiler->resolver.caller->is_owner)
        return OK;
    sql_refuse(compiler->resolver.diag, compiler->resolver.sql, &ast->token,
               "only the database's owner may change it by SQL");
    return compiler->resolver.diag->code = ERR_FORBIDDEN;
}

static err check_explained(struct compiler *compiler)
{
    const struct ast_statement *ast = &compiler->ast;
    if (!ast->explains || (ast->kind != STATEMENT_SET && ast->kind != STATEMENT_SHOW))
        return OK;
    return sql_refuse(compiler->resolver.diag, compiler->resolver.sql, &ast->token,
                      "Unsupported: EXPLAIN of SET and SHOW; there is nothing to explain");
}

static err compile_kind(struct compiler *compiler)
{
    struct statement *statement = compiler->statement;
    const struct ast_statement *ast = &compiler->ast;
    switch (ast->kind) {
    case STATEMENT_SELECT: return select_compile(&compiler->resolver, &ast->select, &statement->select);
    case STATEMENT_INSERT: return insert_compile(&compiler->resolver, &ast->insert, &statement->change);
    case STATEMENT_UPDATE:
    case STATEMENT_DELETE: return change_compile(&compiler->resolver, ast->kind, &ast->change, &statement->change);
    case STATEMENT_SET:
    case STATEMENT_SHOW: return variable_compile(&compiler->resolver, ast, &statement->row_limit);
    }
    unreachable();
}

static err compile(struct compiler *compiler)
{
    TRY(sql_parse(compiler->resolver.scratch, compiler->resolver.sql, &compiler->ast, compiler->resolver.diag));
    TRY(check_right(compiler));
    TRY(check_explained(compiler));
    compiler->statement->kind = compiler->ast.kind;
    compiler->statement->explains = compiler->ast.explains;
    return compile_kind(compiler);
}

err statement_compile(struct statement **out, bytes text, const struct schema *schema,
                      const struct query_caller *caller, const struct made_tables *made, struct diag *diag)
{
    *out = NULL;
    TRY(sql_check_text(text, diag));
    struct arena scratch;
    struct statement *statement = memory_new(sizeof *statement);
    arena_init(&scratch);
    arena_init(&statement->arena);
    struct compiler compiler = {
        .statement = statement,
        .resolver = { .arena = &statement->arena,
                      .scratch = &scratch,
                      .sql = text,
                      .schema = schema,
                      .caller = caller,
                      .made = made,
                      .diag = diag },
    };
    const err code = compile(&compiler);
    arena_deinit(&scratch);
    if (code == OK)
        *out = statement;
    else
        statement_free(statement);
    return code;
}

void statement_free(struct statement *statement)
{
    if (statement == NULL)
        return;
    arena_deinit(&statement->arena);
    memory_free(statement);
}

void statement_explain(struct buf *out, const struct statement *statement, const struct store *store)
{
    if (statement->kind == STATEMENT_SELECT)
        select_explain(out, statement->select, store);
    else
        change_explain(out, statement->change, store);
}
