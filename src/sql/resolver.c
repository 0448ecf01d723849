#include "sql/resolver.h"

#include "base/text.h"
#include "sql/literal.h"

struct scope {
    struct resolver *resolver;
    bytes table; /* the name that columns may carry in front */
};

static bytes type_text(struct resolver *resolver, const struct type *type)
{
    struct buf text;
    buf_init(&text);
    type_print(&text, type);
    const bytes kept = arena_copy(resolver->scratch, buf_bytes(&text));
    buf_deinit(&text);
    return kept;
}

/* "; did you mean `name`?", or nothing. */
static bytes nearest_text(struct resolver *resolver, bytes wanted, const bytes *names, uint32_t count)
{
    const int nearest = text_nearest(wanted, names, count);
    if (nearest < 0)
        return BYTES_LITERAL("");
    return arena_format(resolver->scratch, "; did you mean `%.*s`?", BYTES_FORMAT(names[nearest]));
}

static bool table_is_visible(const struct resolver *resolver, const struct table_def *table)
{
    return table->access == ACCESS_PUBLIC || resolver->caller->is_owner;
}

/* A private table is as good as missing, and is never offered as what might have been meant. */
static err refuse_table(struct resolver *resolver, bytes name)
{
    const struct schema *schema = resolver->schema;
    bytes *names = ARENA_ARRAY(resolver->scratch, bytes, schema->table_count);
    uint32_t count = 0;
    for (uint32_t idx = 0; idx < schema->table_count; idx++)
        if (table_is_visible(resolver, &schema->tables[idx]))
            names[count++] = schema->tables[idx].name;
    const int nearest = text_nearest(name, names, count);
    const bytes hint = nearest < 0
                           ? BYTES_LITERAL("")
                           : arena_format(resolver->scratch, " Did you mean `%.*s`?", BYTES_FORMAT(names[nearest]));
    return diag_set(resolver->diag, ERR_NOT_FOUND,
                    "no such table: `%.*s`. If the table exists, it may be marked private.%.*s", BYTES_FORMAT(name),
                    BYTES_FORMAT(hint));
}

static err find_table(struct resolver *resolver, const struct ast_name *name)
{
    const struct table_def *table = schema_find_table(resolver->schema, name->text);
    if (table == NULL || !table_is_visible(resolver, table))
        return refuse_table(resolver, name->text);
    resolver->table = table;
    return OK;
}

static err check_qualifier(const struct scope *scope, const struct ast_name *name)
{
    if (name->text.at == NULL || bytes_equal(name->text, scope->table))
        return OK;
    const bytes hint = nearest_text(scope->resolver, name->text, &scope->table, 1);
    return sql_refuse(scope->resolver->diag, scope->resolver->sql, &name->token, "`%.*s` is not in scope%.*s",
                      BYTES_FORMAT(name->text), BYTES_FORMAT(hint));
}

static err refuse_column(struct resolver *resolver, const struct ast_name *name)
{
    const struct table_def *table = resolver->table;
    bytes *names = ARENA_ARRAY(resolver->scratch, bytes, table->column_count);
    for (uint32_t idx = 0; idx < table->column_count; idx++)
        names[idx] = table->columns[idx].name;
    const bytes hint = nearest_text(resolver, name->text, names, table->column_count);
    return sql_refuse(resolver->diag, resolver->sql, &name->token, "`%.*s` is not in scope%.*s",
                      BYTES_FORMAT(name->text), BYTES_FORMAT(hint));
}

static err find_column(const struct scope *scope, const struct ast_operand *operand, uint16_t *column)
{
    TRY(check_qualifier(scope, &operand->table));
    const int32_t found = table_def_find_column(scope->resolver->table, operand->column.text);
    if (found < 0)
        return refuse_column(scope->resolver, &operand->column);
    *column = (uint16_t)found;
    return OK;
}

static const struct type *column_type(const struct scope *scope, uint16_t column)
{
    return scope->resolver->table->columns[column].type;
}

static err refuse_types(struct resolver *resolver, const struct token *token, const struct type *expected,
                        const char *inferred)
{
    return sql_refuse(resolver->diag, resolver->sql, token, "Unexpected type: (expected) %.*s != %s (inferred)",
                      BYTES_FORMAT(type_text(resolver, expected)), inferred);
}

/* The caller is an Identity, or its bytes. */
static err read_sender(const struct scope *scope, const struct ast_operand *operand, const struct type *type,
                       bytes *value)
{
    struct resolver *resolver = scope->resolver;
    if (type->special != SPECIAL_IDENTITY && type->kind != TYPE_ARRAY)
        return refuse_types(resolver, &operand->token, type, "Identity");
    struct buf out;
    buf_init(&out);
    if (type->kind == TYPE_ARRAY)
        buf_put_u32(&out, sizeof resolver->caller->sender.at);
    buf_put(&out, resolver->caller->sender.at, sizeof resolver->caller->sender.at);
    *value = arena_copy(resolver->arena, buf_bytes(&out));
    buf_deinit(&out);
    resolver->depends_on_sender = true;
    return OK;
}

static err read_literal(const struct scope *scope, const struct ast_operand *operand, const struct type *type,
                        bytes *value)
{
    struct resolver *resolver = scope->resolver;
    struct buf out;
    buf_init(&out);
    const bool understood = literal_read(type, &operand->literal, &out);
    *value = arena_copy(resolver->arena, buf_bytes(&out));
    buf_deinit(&out);
    if (understood)
        return OK;
    if (operand->literal.kind == LITERAL_BOOL)
        return refuse_types(resolver, &operand->token, type, "bool");
    return sql_refuse(resolver->diag, resolver->sql, &operand->token, "the value cannot be read as %.*s",
                      BYTES_FORMAT(type_text(resolver, type)));
}

static err check_comparable(const struct scope *scope, const struct ast_expr *expr, const struct type *type)
{
    struct resolver *resolver = scope->resolver;
    if (literal_type_is_comparable(type))
        return OK;
    return sql_refuse(resolver->diag, resolver->sql, &expr->token, "Invalid binary operator `%.*s` for type `%.*s`",
                      BYTES_FORMAT(expr->token.text), BYTES_FORMAT(type_text(resolver, type)));
}

static err resolve_columns(const struct scope *scope, const struct ast_expr *expr, struct condition *condition)
{
    condition->kind = CONDITION_COLUMNS;
    TRY(find_column(scope, &expr->left, &condition->column));
    TRY(find_column(scope, &expr->right, &condition->other));
    const struct type *left = column_type(scope, condition->column), *right = column_type(scope, condition->other);
    TRY(check_comparable(scope, expr, left));
    TRY(check_comparable(scope, expr, right));
    if (type_equal(left, right))
        return OK;
    struct resolver *resolver = scope->resolver;
    return sql_refuse(resolver->diag, resolver->sql, &expr->right.token,
                      "Unexpected type: (expected) %.*s != %.*s (inferred)", BYTES_FORMAT(type_text(resolver, left)),
                      BYTES_FORMAT(type_text(resolver, right)));
}

/* 3 < a says a > 3. */
static enum compare_op op_mirror(enum compare_op op)
{
    switch (op) {
    case OP_EQ: return OP_EQ;
    case OP_NE: return OP_NE;
    case OP_LT: return OP_GT;
    case OP_LE: return OP_GE;
    case OP_GT: return OP_LT;
    case OP_GE: return OP_LE;
    }
    unreachable();
}

static err resolve_comparison(const struct scope *scope, const struct ast_expr *expr, struct condition *condition)
{
    struct resolver *resolver = scope->resolver;
    const bool left_is_column = expr->left.kind == OPERAND_COLUMN, right_is_column = expr->right.kind == OPERAND_COLUMN;
    condition->op = expr->op;
    if (left_is_column && right_is_column)
        return resolve_columns(scope, expr, condition);
    if (!left_is_column && !right_is_column)
        return sql_refuse(resolver->diag, resolver->sql, &expr->token,
                          "neither side of `%.*s` is a column, so the values have no type",
                          BYTES_FORMAT(expr->token.text));

    const struct ast_operand *column = left_is_column ? &expr->left : &expr->right;
    const struct ast_operand *value = left_is_column ? &expr->right : &expr->left;
    condition->kind = CONDITION_VALUE;
    if (!left_is_column)
        condition->op = op_mirror(expr->op);
    TRY(find_column(scope, column, &condition->column));
    const struct type *type = column_type(scope, condition->column);
    TRY(check_comparable(scope, expr, type));
    return value->kind == OPERAND_SENDER ? read_sender(scope, value, type, &condition->value)
                                         : read_literal(scope, value, type, &condition->value);
}

static err resolve_expr(const struct scope *scope, const struct ast_expr *expr, struct condition **out)
{
    struct condition *condition = *out = ARENA_NEW(scope->resolver->scratch, struct condition);
    switch (expr->kind) {
    case EXPR_COMPARE: return resolve_comparison(scope, expr, condition);
    case EXPR_CONSTANT:
        condition->kind = CONDITION_CONSTANT;
        condition->constant = expr->constant;
        return OK;
    case EXPR_ALL: condition->kind = CONDITION_ALL; break;
    case EXPR_ANY: condition->kind = CONDITION_ANY; break;
    }
    for (const struct ast_expr *part = expr->parts; part != NULL; part = part->next)
        condition->part_count++;
    condition->parts = ARENA_ARRAY(scope->resolver->scratch, struct condition *, condition->part_count);
    struct condition **place = condition->parts;
    for (const struct ast_expr *part = expr->parts; part != NULL; part = part->next)
        TRY(resolve_expr(scope, part, place++));
    return OK;
}

err resolver_run(struct resolver *resolver, const struct ast_select *select)
{
    TRY(find_table(resolver, &select->table));
    const struct scope scope = { resolver, select->alias.text.at != NULL ? select->alias.text : select->table.text };
    TRY(check_qualifier(&scope, &select->projected));
    resolver->where = NULL;
    return select->where == NULL ? OK : resolve_expr(&scope, select->where, &resolver->where);
}
