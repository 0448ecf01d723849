#include "sql/change.h"

#include "base/text.h"
#include "sats/json.h"
#include "sql/literal.h"

static err refuse(struct resolver *resolver, const struct token *token, const char *sentence)
{
    return sql_refuse(resolver->diag, resolver->sql, token, "%s", sentence);
}

static err check_target(struct resolver *resolver)
{
    const struct source *target = &resolver->sources[0];
    const bool is_view = target->table->id & SCHEMA_DERIVED_ID;
    if (target->made == NULL && !is_view)
        return OK;
    sql_refuse(resolver->diag, resolver->sql, &target->token,
               is_view ? "`%.*s` is a view: change the tables that it looks at"
                       : "`%.*s` is a system table: it shows the database as it is and cannot be changed",
               BYTES_FORMAT(target->name));
    return resolver->diag->code = ERR_FORBIDDEN;
}

/* ---- values ---- */

static err read_json(struct resolver *resolver, const struct ast_operand *operand, const struct type *type,
                     bytes *value)
{
    struct diag diag;
    struct buf out;
    buf_init(&out);
    const err code = json_parse(type, operand->literal.text, &out, &diag);
    *value = arena_copy(resolver->arena, buf_bytes(&out));
    buf_deinit(&out);
    if (code == OK)
        return OK;
    return sql_refuse(resolver->diag, resolver->sql, &operand->token, "the text is no JSON of a %.*s: %s",
                      BYTES_FORMAT(resolver_type_text(resolver, type)), diag.text);
}

static err read_value(struct resolver *resolver, const struct ast_operand *operand, const struct type *type,
                      bytes *value)
{
    if (literal_type_is_comparable(type) || operand->kind == OPERAND_SENDER)
        return resolver_value(resolver, operand, type, value);
    if (operand->literal.kind == LITERAL_TEXT)
        return read_json(resolver, operand, type, value);
    return sql_refuse(resolver->diag, resolver->sql, &operand->token,
                      "a value of type %.*s is written as 'JSON in quotes'",
                      BYTES_FORMAT(resolver_type_text(resolver, type)));
}

/* ---- INSERT ---- */

/* Where the value of each column stands in VALUES; -1: nowhere. */
static err read_columns(struct resolver *resolver, const struct ast_insert *ast, int32_t *places)
{
    const struct table_def *table = resolver->sources[0].table;
    for (uint32_t idx = 0; idx < table->column_count; idx++)
        places[idx] = -1;
    for (uint32_t idx = 0; idx < ast->column_count; idx++) {
        const struct ast_operand operand = { .kind = OPERAND_COLUMN, .column = ast->columns[idx] };
        struct column_ref column;
        TRY(resolver_column(resolver, &operand, &column));
        if (places[column.column] >= 0)
            return refuse(resolver, &ast->columns[idx].token, "the column stands here twice");
        places[column.column] = (int32_t)idx;
    }
    return OK;
}

static bool is_numbered(const struct table_def *table, uint32_t column)
{
    for (uint32_t idx = 0; idx < table->sequence_count; idx++)
        if (table->sequences[idx].column == column)
            return true;
    return false;
}

/* A value for a column that INSERT does not name. */
static err read_missing(struct resolver *resolver, const struct ast_insert *ast, uint32_t idx, bytes *value)
{
    const struct table_def *table = resolver->sources[0].table;
    const struct column_def *column = &table->columns[idx];
    if (is_numbered(table, idx)) {
        *value =
            bytes_of(arena_take(resolver->arena, (size_t)column->type->fixed_size), (size_t)column->type->fixed_size);
        return OK;
    }
    if (column->has_default) {
        *value = column->default_value;
        return OK;
    }
    return sql_refuse(resolver->diag, resolver->sql, &ast->table.token,
                      "INSERT wants a value for each column, and `%.*s` is not among them", BYTES_FORMAT(column->name));
}

static err check_width(struct resolver *resolver, const struct ast_insert *ast, const struct ast_row *row)
{
    uint32_t count = 0;
    for (const struct ast_operand *value = row->values; value != NULL; value = value->next)
        count++;
    if (count == ast->column_count)
        return OK;
    return sql_refuse(resolver->diag, resolver->sql, &row->token, "there are %u columns and %u values",
                      ast->column_count, count);
}

static err read_row(struct resolver *resolver, const struct ast_insert *ast, const struct ast_row *row,
                    const int32_t *places, struct buf *out)
{
    const struct table_def *table = resolver->sources[0].table;
    const struct ast_operand **values = ARENA_ARRAY(resolver->scratch, const struct ast_operand *, ast->column_count);
    TRY(check_width(resolver, ast, row));
    uint32_t count = 0;
    for (const struct ast_operand *value = row->values; value != NULL; value = value->next)
        values[count++] = value;
    for (uint32_t idx = 0; idx < table->column_count; idx++) {
        bytes value;
        TRY(places[idx] < 0 ? read_missing(resolver, ast, idx, &value)
                            : read_value(resolver, values[places[idx]], table->columns[idx].type, &value));
        buf_put_bytes(out, value);
    }
    return OK;
}

static err read_rows(struct resolver *resolver, const struct ast_insert *ast, struct change *change)
{
    int32_t *places = ARENA_ARRAY(resolver->scratch, int32_t, change->table->column_count);
    TRY(read_columns(resolver, ast, places));
    uint32_t count = 0;
    for (const struct ast_row *row = ast->rows; row != NULL; row = row->next)
        count++;
    change->rows = ARENA_ARRAY(resolver->arena, bytes, count);
    struct buf out;
    buf_init(&out);
    err code = OK;
    for (const struct ast_row *row = ast->rows; row != NULL && code == OK; row = row->next) {
        buf_clear(&out);
        code = read_row(resolver, ast, row, places, &out);
        change->rows[change->row_count++] = arena_copy(resolver->arena, buf_bytes(&out));
    }
    buf_deinit(&out);
    return code;
}

err insert_compile(struct resolver *resolver, const struct ast_insert *ast, struct change **out)
{
    struct change *change = *out = ARENA_NEW(resolver->arena, struct change);
    const struct ast_table target = { .name = ast->table };
    TRY(resolver_tables(resolver, &target));
    TRY(check_target(resolver));
    change->kind = STATEMENT_INSERT;
    change->table = resolver->sources[0].table;
    return read_rows(resolver, ast, change);
}

/* ---- UPDATE and DELETE ---- */

static err read_assignments(struct resolver *resolver, const struct ast_change *ast, struct change *change)
{
    uint32_t count = 0;
    for (const struct ast_assignment *assignment = ast->assignments; assignment != NULL; assignment = assignment->next)
        count++;
    change->values = ARENA_ARRAY(resolver->arena, struct change_value, count);
    for (const struct ast_assignment *assignment = ast->assignments; assignment != NULL;
         assignment = assignment->next) {
        struct change_value *value = &change->values[change->value_count];
        struct column_ref column;
        TRY(resolver_column(resolver, &assignment->column, &column));
        for (uint32_t idx = 0; idx < change->value_count; idx++)
            if (change->values[idx].column == column.column)
                return refuse(resolver, &assignment->column.token, "the column stands here twice");
        value->column = column.column;
        TRY(read_value(resolver, &assignment->value, resolver_column_type(resolver, column), &value->value));
        change->value_count++;
    }
    return OK;
}

err change_compile(struct resolver *resolver, enum statement_kind kind, const struct ast_change *ast,
                   struct change **out)
{
    struct change *change = *out = ARENA_NEW(resolver->arena, struct change);
    TRY(relation_make(resolver, &ast->table, ast->where, &change->relation));
    TRY(check_target(resolver));
    change->kind = kind;
    change->table = resolver->sources[0].table;
    return read_assignments(resolver, ast, change);
}
