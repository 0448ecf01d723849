#include "sql/parse_change.h"

#include "sql/parse_expr.h"
#include "sql/parse_select.h"

static err take_column_names(struct parser *parser, struct ast_insert *insert)
{
    struct buf names;
    buf_init(&names);
    err code = words_take_symbol(parser, "(", "the names of all columns in parentheses");
    for (bool more = true; more && code == OK;) {
        struct ast_name name;
        code = words_take_name(parser, "the name of a column", &name);
        if (code == OK)
            code = words_take_if(parser, ",", &more);
        buf_put(&names, &name, code == OK ? sizeof name : 0);
        insert->column_count += code == OK;
    }
    insert->columns = (struct ast_name *)arena_copy(parser->arena, buf_bytes(&names)).at;
    buf_deinit(&names);
    return code == OK ? words_take_symbol(parser, ")", "a comma or a closing parenthesis") : code;
}

static err take_row(struct parser *parser, struct ast_row *row)
{
    row->token = parser->token;
    TRY(words_take_symbol(parser, "(", "the values of a row in parentheses"));
    bool more = true;
    for (struct ast_operand **place = &row->values; more; place = &(*place)->next) {
        *place = ARENA_NEW(parser->arena, struct ast_operand);
        TRY(parse_value(parser, *place));
        TRY(words_take_if(parser, ",", &more));
    }
    return words_take_symbol(parser, ")", "a comma or a closing parenthesis");
}

err parse_insert(struct parser *parser, struct ast_insert *insert, const char **expected)
{
    *expected = "a comma or the end of the statement";
    TRY(words_take_keyword(parser, "INTO"));
    TRY(words_take_name(parser, "the name of a table", &insert->table));
    TRY(take_column_names(parser, insert));
    if (words_at_keyword(parser, "SELECT"))
        return words_refuse_unsupported(parser, "INSERT with SELECT; a reducer can do that");
    TRY(words_take_keyword(parser, "VALUES"));
    bool more = true;
    for (struct ast_row **place = &insert->rows; more; place = &(*place)->next) {
        *place = ARENA_NEW(parser->arena, struct ast_row);
        TRY(take_row(parser, *place));
        TRY(words_take_if(parser, ",", &more));
    }
    return OK;
}

/* `SET` goes on with an UPDATE, so it is no other name for the table. */
static err take_target(struct parser *parser, struct ast_table *table)
{
    bool has_as = false;
    TRY(parse_table(parser, table));
    TRY(words_take_if(parser, "AS", &has_as));
    if (!has_as && (words_at_keyword(parser, "SET") || !words_at_name(parser)))
        return OK;
    return words_take_name(parser, "another name for the table", &table->alias);
}

static err take_assignment(struct parser *parser, struct ast_assignment *assignment)
{
    TRY(parse_column(parser, &assignment->column));
    TRY(words_take_symbol(parser, "=", "="));
    if (words_at_name(parser))
        return words_refuse_unsupported(parser, "a column as the new value; SET takes values");
    TRY(parse_value(parser, &assignment->value));
    return words_at_arithmetic(parser) ? words_refuse_unsupported(parser, "arithmetic; SET takes values") : OK;
}

err parse_update(struct parser *parser, struct ast_change *change, const char **expected)
{
    *expected = "a comma, WHERE or the end of the statement";
    TRY(take_target(parser, &change->table));
    TRY(words_take_keyword(parser, "SET"));
    bool more = true;
    for (struct ast_assignment **place = &change->assignments; more; place = &(*place)->next) {
        *place = ARENA_NEW(parser->arena, struct ast_assignment);
        TRY(take_assignment(parser, *place));
        TRY(words_take_if(parser, ",", &more));
    }
    return parse_where(parser, &change->where, expected);
}

err parse_delete(struct parser *parser, struct ast_change *change, const char **expected)
{
    *expected = "WHERE or the end of the statement";
    TRY(words_take_keyword(parser, "FROM"));
    TRY(take_target(parser, &change->table));
    return parse_where(parser, &change->where, expected);
}

err parse_set(struct parser *parser, struct ast_variable *variable, const char **expected)
{
    bool has_to;
    *expected = "the end of the statement";
    TRY(words_take_name(parser, "the name of a variable", &variable->name));
    TRY(words_take_if(parser, "TO", &has_to));
    if (!has_to)
        TRY(words_take_symbol(parser, "=", "TO or ="));
    return parse_value(parser, &variable->value);
}

err parse_show(struct parser *parser, struct ast_variable *variable, const char **expected)
{
    *expected = "the end of the statement";
    return words_take_name(parser, "the name of a variable", &variable->name);
}
