#include "sql/resolver.h"

#include "base/text.h"
#include "sql/literal.h"

bytes resolver_type_text(struct resolver *resolver, const struct type *type)
{
    struct buf text;
    buf_init(&text);
    type_print(&text, type);
    const bytes kept = arena_copy(resolver->scratch, buf_bytes(&text));
    buf_deinit(&text);
    return kept;
}

/* " (did you mean `name`?)", or nothing. */
static bytes nearest_text(struct resolver *resolver, bytes wanted, const bytes *names, uint32_t count)
{
    const int nearest = text_nearest(wanted, names, count);
    if (nearest < 0)
        return BYTES_LITERAL("");
    return arena_format(resolver->scratch, " (did you mean `%.*s`?)", BYTES_FORMAT(names[nearest]));
}

static bool table_is_visible(const struct resolver *resolver, const struct table_def *table)
{
    return table->access == ACCESS_PUBLIC || resolver->caller->is_owner;
}

static bool is_system_name(bytes name)
{
    return name.size >= 3 && memcmp(name.at, "st_", 3) == 0;
}

/* What might have been meant: tables and, where the caller may look at them, views. */
static uint32_t list_visible(const struct resolver *resolver, bytes *names)
{
    const struct schema *schema = resolver->schema;
    uint32_t count = 0;
    for (uint32_t idx = 0; idx < schema->table_count; idx++)
        if (table_is_visible(resolver, &schema->tables[idx]))
            names[count++] = schema->tables[idx].name;
    for (uint32_t idx = 0; idx < schema->view_count && resolver->caller->catalog != NULL; idx++)
        names[count++] = schema->views[idx].rows.name;
    return count;
}

/* A private table is as good as missing, and is never offered as what might have been meant. */
static err refuse_table(struct resolver *resolver, bytes name)
{
    const struct schema *schema = resolver->schema;
    bytes *names = ARENA_ARRAY(resolver->scratch, bytes, schema->table_count + schema->view_count);
    const uint32_t count = list_visible(resolver, names);
    if (is_system_name(name) && resolver->made == NULL)
        return diag_set(resolver->diag, ERR_NOT_FOUND,
                        "`%.*s` is no table that can be followed: system tables are asked once, not subscribed to",
                        BYTES_FORMAT(name));
    const int nearest = text_nearest(name, names, count);
    const bytes hint = nearest < 0
                           ? BYTES_LITERAL("")
                           : arena_format(resolver->scratch, " Did you mean `%.*s`?", BYTES_FORMAT(names[nearest]));
    return diag_set(resolver->diag, ERR_NOT_FOUND,
                    "no such table: `%.*s`. If the table exists, it may be marked private.%.*s", BYTES_FORMAT(name),
                    BYTES_FORMAT(hint));
}

static err find_table(struct resolver *resolver, const struct ast_name *name, struct source *source)
{
    const struct made_tables *made = resolver->made;
    const struct catalog *catalog = resolver->caller->catalog;
    struct catalog_entry entry = { 0 };
    source->made = made != NULL ? made->find(made->context, name->text) : NULL;
    if (source->made == NULL && catalog != NULL)
        TRY(catalog->find(catalog->context, name->text, resolver->caller, &entry, resolver->diag));
    if (entry.def != NULL) {
        source->table = entry.def;
        resolver->depends_on_sender = resolver->depends_on_sender || entry.is_callers_own;
        return OK;
    }
    source->table = source->made != NULL ? source->made->def : schema_find_table(resolver->schema, name->text);
    const bool is_visible = source->table != NULL && table_is_visible(resolver, source->table);
    return is_visible ? OK : refuse_table(resolver, name->text);
}

static err check_name_is_new(struct resolver *resolver, const struct source *source)
{
    for (const struct source *other = resolver->sources; other < source; other++)
        if (bytes_equal(other->name, source->name))
            return sql_refuse(resolver->diag, resolver->sql, &source->token,
                              "`%.*s` is named twice; give one of them another name with AS",
                              BYTES_FORMAT(source->name));
    return OK;
}

err resolver_tables(struct resolver *resolver, const struct ast_table *tables)
{
    uint32_t count = 0;
    for (const struct ast_table *table = tables; table != NULL; table = table->next)
        if (count++ == SQL_SOURCES_MAX)
            return sql_refuse(resolver->diag, resolver->sql, &table->name.token, "a statement joins %d tables at most",
                              (int)SQL_SOURCES_MAX);
    resolver->sources = ARENA_ARRAY(resolver->arena, struct source, count);
    struct source *source = resolver->sources;
    for (const struct ast_table *table = tables; table != NULL; table = table->next, source++) {
        const struct ast_name *name = table->alias.text.at != NULL ? &table->alias : &table->name;
        TRY(find_table(resolver, &table->name, source));
        source->name = arena_copy(resolver->arena, name->text);
        source->token = name->token;
        TRY(check_name_is_new(resolver, source));
    }
    resolver->scope_count = resolver->source_count = count;
    return OK;
}

err resolver_source(struct resolver *resolver, const struct ast_name *name, uint32_t *source)
{
    bytes names[SQL_SOURCES_MAX];
    for (uint32_t idx = 0; idx < resolver->scope_count; idx++) {
        *source = idx;
        names[idx] = resolver->sources[idx].name;
        if (bytes_equal(name->text, names[idx]))
            return OK;
    }
    const bytes hint = nearest_text(resolver, name->text, names, resolver->scope_count);
    return sql_refuse(resolver->diag, resolver->sql, &name->token, "`%.*s` is not in scope%.*s",
                      BYTES_FORMAT(name->text), BYTES_FORMAT(hint));
}

/* The column is in none of the sources from `first` up to `end`. */
static err refuse_column(struct resolver *resolver, const struct ast_name *name, uint32_t first, uint32_t end)
{
    uint32_t count = 0;
    for (uint32_t idx = first; idx < end; idx++)
        count += resolver->sources[idx].table->column_count;
    bytes *names = ARENA_ARRAY(resolver->scratch, bytes, count);
    count = 0;
    for (uint32_t source = first; source < end; source++)
        for (uint32_t idx = 0; idx < resolver->sources[source].table->column_count; idx++)
            names[count++] = resolver->sources[source].table->columns[idx].name;
    bytes hint = nearest_text(resolver, name->text, names, count);
    if (hint.size == 0 && name->token.kind == TOKEN_NAME)
        hint = BYTES_LITERAL("; a text stands in single quotes");
    return sql_refuse(resolver->diag, resolver->sql, &name->token, "`%.*s` is not in scope%.*s",
                      BYTES_FORMAT(name->text), BYTES_FORMAT(hint));
}

static err refuse_ambiguous(struct resolver *resolver, const struct ast_name *name, uint32_t first, uint32_t second)
{
    const bytes left = resolver->sources[first].name, right = resolver->sources[second].name;
    return sql_refuse(resolver->diag, resolver->sql, &name->token,
                      "`%.*s` is ambiguous: write `%.*s.%.*s` or `%.*s.%.*s`", BYTES_FORMAT(name->text),
                      BYTES_FORMAT(left), BYTES_FORMAT(name->text), BYTES_FORMAT(right), BYTES_FORMAT(name->text));
}

err resolver_column(struct resolver *resolver, const struct ast_operand *operand, struct column_ref *column)
{
    uint32_t first = 0, end = resolver->scope_count;
    bool found = false;
    if (operand->table.text.at != NULL) {
        TRY(resolver_source(resolver, &operand->table, &first));
        end = first + 1;
    }
    for (uint32_t source = first; source < end; source++) {
        const int32_t place = table_def_find_column(resolver->sources[source].table, operand->column.text);
        if (place >= 0 && found)
            return refuse_ambiguous(resolver, &operand->column, column->source, source);
        if (place < 0)
            continue;
        found = true;
        *column = (struct column_ref){ (uint16_t)source, (uint16_t)place };
    }
    return found ? OK : refuse_column(resolver, &operand->column, first, end);
}

const struct type *resolver_column_type(const struct resolver *resolver, struct column_ref column)
{
    return resolver->sources[column.source].table->columns[column.column].type;
}

static err refuse_types(struct resolver *resolver, const struct token *token, const struct type *expected,
                        const char *inferred)
{
    return sql_refuse(resolver->diag, resolver->sql, token, "Unexpected type: (expected) %.*s != %s (inferred)",
                      BYTES_FORMAT(resolver_type_text(resolver, expected)), inferred);
}

/* The caller is an Identity, or its bytes. */
static err read_sender(struct resolver *resolver, const struct ast_operand *operand, const struct type *type,
                       bytes *value)
{
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

/* ": it takes …" for an integer, nothing for other types. */
static bytes range_text(struct resolver *resolver, const struct type *type)
{
    if (!type_is_integer(type))
        return BYTES_LITERAL("");
    const int bits = 8 * (int)type->fixed_size - type_is_signed(type);
    if (bits > 32)
        return type_is_signed(type)
                   ? arena_format(resolver->scratch, ": it takes whole numbers from -2^%d to 2^%d - 1", bits, bits)
                   : arena_format(resolver->scratch, ": it takes whole numbers from 0 to 2^%d - 1", bits);
    const long long end = 1ll << bits;
    return arena_format(resolver->scratch, ": it takes whole numbers from %lld to %lld",
                        type_is_signed(type) ? -end : 0ll, end - 1);
}

static err read_literal(struct resolver *resolver, const struct ast_operand *operand, const struct type *type,
                        bytes *value)
{
    struct buf out;
    buf_init(&out);
    const bool understood = literal_read(type, &operand->literal, &out);
    *value = arena_copy(resolver->arena, buf_bytes(&out));
    buf_deinit(&out);
    if (understood)
        return OK;
    if (operand->literal.kind == LITERAL_BOOL)
        return refuse_types(resolver, &operand->token, type, "bool");
    return sql_refuse(resolver->diag, resolver->sql, &operand->token, "the value cannot be read as %.*s%.*s",
                      BYTES_FORMAT(resolver_type_text(resolver, type)), BYTES_FORMAT(range_text(resolver, type)));
}

err resolver_value(struct resolver *resolver, const struct ast_operand *operand, const struct type *type, bytes *value)
{
    return operand->kind == OPERAND_SENDER ? read_sender(resolver, operand, type, value)
                                           : read_literal(resolver, operand, type, value);
}

static err check_comparable(struct resolver *resolver, const struct ast_expr *expr, const struct type *type)
{
    if (literal_type_is_comparable(type))
        return OK;
    return sql_refuse(resolver->diag, resolver->sql, &expr->token, "Invalid binary operator `%.*s` for type `%.*s`",
                      BYTES_FORMAT(expr->token.text), BYTES_FORMAT(resolver_type_text(resolver, type)));
}

static err resolve_columns(struct resolver *resolver, const struct ast_expr *expr, struct condition *condition)
{
    condition->kind = CONDITION_COLUMNS;
    TRY(resolver_column(resolver, &expr->left, &condition->column));
    TRY(resolver_column(resolver, &expr->right, &condition->other));
    const struct type *left = resolver_column_type(resolver, condition->column),
                      *right = resolver_column_type(resolver, condition->other);
    TRY(check_comparable(resolver, expr, left));
    TRY(check_comparable(resolver, expr, right));
    if (type_equal(left, right))
        return OK;
    return sql_refuse(
        resolver->diag, resolver->sql, &expr->right.token, "Unexpected type: (expected) %.*s != %.*s (inferred)",
        BYTES_FORMAT(resolver_type_text(resolver, left)), BYTES_FORMAT(resolver_type_text(resolver, right)));
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

static err resolve_comparison(struct resolver *resolver, const struct ast_expr *expr, struct condition *condition)
{
    const bool left_is_column = expr->left.kind == OPERAND_COLUMN, right_is_column = expr->right.kind == OPERAND_COLUMN;
    condition->op = expr->op;
    if (left_is_column && right_is_column)
        return resolve_columns(resolver, expr, condition);
    if (!left_is_column && !right_is_column)
        return sql_refuse(resolver->diag, resolver->sql, &expr->token,
                          "neither side of `%.*s` is a column, so the values have no type",
                          BYTES_FORMAT(expr->token.text));

    const struct ast_operand *column = left_is_column ? &expr->left : &expr->right;
    const struct ast_operand *value = left_is_column ? &expr->right : &expr->left;
    condition->kind = CONDITION_VALUE;
    if (!left_is_column)
        condition->op = op_mirror(expr->op);
    TRY(resolver_column(resolver, column, &condition->column));
    const struct type *type = resolver_column_type(resolver, condition->column);
    TRY(check_comparable(resolver, expr, type));
    return resolver_value(resolver, value, type, &condition->value);
}

err resolver_condition(struct resolver *resolver, const struct ast_expr *expr, struct condition **out)
{
    struct condition *condition = *out = ARENA_NEW(resolver->arena, struct condition);
    switch (expr->kind) {
    case EXPR_COMPARE: return resolve_comparison(resolver, expr, condition);
    case EXPR_CONSTANT:
        condition->kind = CONDITION_CONSTANT;
        condition->constant = expr->constant;
        return OK;
    case EXPR_ALL: condition->kind = CONDITION_ALL; break;
    case EXPR_ANY: condition->kind = CONDITION_ANY; break;
    }
    for (const struct ast_expr *part = expr->parts; part != NULL; part = part->next)
        condition->part_count++;
    condition->parts = ARENA_ARRAY(resolver->arena, struct condition *, condition->part_count);
    struct condition **place = condition->parts;
    for (const struct ast_expr *part = expr->parts; part != NULL; part = part->next)
        TRY(resolver_condition(resolver, part, place++));
    return OK;
}
