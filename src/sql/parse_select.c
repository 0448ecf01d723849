#include "sql/parse_select.h"

#include "base/text.h"
#include "sql/parse_expr.h"

static const struct {
    const char *word;
    enum item_kind kind;
} functions[] = {
    { "COUNT", ITEM_COUNT }, { "SUM", ITEM_SUM }, { "MIN", ITEM_MIN }, { "MAX", ITEM_MAX }, { "AVG", ITEM_AVG },
};

/* ---- what comes out ---- */

static err take_function(struct parser *parser, struct ast_item *item)
{
    for (size_t idx = 0; idx < COUNTOF(functions); idx++)
        if (token_is_keyword(&item->token, functions[idx].word))
            item->kind = functions[idx].kind;
    if (item->kind == ITEM_COLUMN) {
        parser->token = item->token;
        return words_refuse_unsupported(parser, "this function; there are COUNT, SUM, MIN, MAX and AVG");
    }
    TRY(words_take_symbol(parser, "(", "an opening parenthesis"));
    if (words_at_keyword(parser, "DISTINCT"))
        return words_refuse_unsupported(parser, "DISTINCT in a function");
    bool is_all = false;
    item->operand = (struct ast_operand){ 0 };
    if (item->kind == ITEM_COUNT)
        TRY(words_take_if(parser, "*", &is_all));
    if (!is_all)
        TRY(parse_column(parser, &item->operand));
    return words_take_symbol(parser, ")", "a closing parenthesis");
}

static err take_alias(struct parser *parser, const char *expected, struct ast_name *alias)
{
    bool has_as;
    TRY(words_take_if(parser, "AS", &has_as));
    return has_as || words_at_name(parser) ? words_take_name(parser, expected, alias) : OK;
}

/* A name, and then: `.*`, `.column`, a parenthesis, or nothing of it. */
static err take_named_item(struct parser *parser, struct ast_item *item)
{
    item->kind = ITEM_COLUMN;
    item->operand = (struct ast_operand){ .kind = OPERAND_COLUMN, .token = parser->token };
    TRY(words_take_name(parser, "*, a column or a function", &item->operand.column));
    if (words_at_symbol(parser, "("))
        return take_function(parser, item);
    if (!words_at_symbol(parser, "."))
        return OK;
    TRY(words_advance(parser));
    item->operand.table = item->operand.column;
    if (!words_at_symbol(parser, "*"))
        return words_take_name(parser, "* or the name of a column", &item->operand.column);
    item->kind = ITEM_TABLE;
    item->table = item->operand.table;
    return words_advance(parser);
}

static err take_item(struct parser *parser, struct ast_item *item)
{
    item->token = parser->token;
    if (words_at_symbol(parser, "*")) {
        item->kind = ITEM_ALL;
        return words_advance(parser);
    }
    TRY(take_named_item(parser, item));
    if (words_at_arithmetic(parser))
        return words_refuse_unsupported(parser, "arithmetic; a query gives columns as they are");
    return item->kind == ITEM_TABLE ? OK : take_alias(parser, "a name for the column", &item->alias);
}

static err take_items(struct parser *parser, struct ast_item **items)
{
    bool more = true;
    for (struct ast_item **place = items; more; place = &(*place)->next) {
        *place = ARENA_NEW(parser->arena, struct ast_item);
        TRY(take_item(parser, *place));
        const bool is_whole = (*place)->kind == ITEM_ALL || (*place)->kind == ITEM_TABLE;
        if (words_at_symbol(parser, ",") ? is_whole || (*items)->kind == ITEM_ALL : is_whole && *items != *place)
            return words_refuse_unsupported(parser, "* beside columns; name the columns, or take all of them");
        TRY(words_take_if(parser, ",", &more));
    }
    return OK;
}

/* ---- where from ---- */

err parse_table(struct parser *parser, struct ast_table *table)
{
    if (words_at_symbol(parser, "*"))
        return words_refuse_unsupported(parser, "FROM *; name one table");
    if (words_at_symbol(parser, "("))
        return words_refuse_unsupported(parser, "subqueries; name a table");
    TRY(words_take_name(parser, "the name of a table", &table->name));
    if (words_at_symbol(parser, "."))
        return words_refuse_unsupported(parser, "table names with a dot; all tables of a database are at one place");
    return OK;
}

static err take_on(struct parser *parser, struct ast_table *table)
{
    bool has_on;
    TRY(words_take_if(parser, "ON", &has_on));
    if (!has_on)
        return OK;
    const bool is_nested = words_at_symbol(parser, "(");
    if (is_nested)
        TRY(words_advance(parser));
    TRY(parse_comparison(parser, &table->on));
    if (is_nested)
        TRY(words_take_symbol(parser, ")", "a closing parenthesis"));
    const struct ast_expr *on = table->on;
    if (on->kind == EXPR_COMPARE && on->op == OP_EQ && on->left.kind == OPERAND_COLUMN &&
        on->right.kind == OPERAND_COLUMN)
        return OK;
    parser->token = on->token;
    return words_refuse_unsupported(parser, "ON that is not one equality of two columns; put the rest into WHERE");
}

static err take_joined(struct parser *parser, struct ast_table *table, bool *found)
{
    bool is_inner;
    *found = false;
    TRY(words_take_if(parser, "INNER", &is_inner));
    if (!is_inner && !words_at_keyword(parser, "JOIN"))
        return OK;
    *found = true;
    table->join = parser->token;
    TRY(words_take_keyword(parser, "JOIN"));
    TRY(parse_table(parser, table));
    TRY(take_alias(parser, "another name for the table", &table->alias));
    return take_on(parser, table);
}

static err take_tables(struct parser *parser, struct ast_table **tables, const char **expected)
{
    struct ast_table *last = *tables = ARENA_NEW(parser->arena, struct ast_table);
    TRY(parse_table(parser, last));
    TRY(take_alias(parser, "another name for the table", &last->alias));
    for (bool found = true; found;) {
        struct ast_table *joined = ARENA_NEW(parser->arena, struct ast_table);
        TRY(take_joined(parser, joined, &found));
        if (found)
            last = last->next = joined;
    }
    if (words_at_symbol(parser, ","))
        return words_refuse_unsupported(parser, "tables with commas between them; write JOIN");
    *expected = "WHERE or the end of the query";
    return OK;
}

/* ---- which, in what order, how many ---- */

err parse_where(struct parser *parser, struct ast_expr **where, const char **expected)
{
    bool has_where;
    TRY(words_take_if(parser, "WHERE", &has_where));
    if (!has_where)
        return OK;
    *expected = "AND, OR or the end of the query";
    return parse_expr(parser, where);
}

static err take_group(struct parser *parser, struct ast_select *select, const char **expected)
{
    if (!words_at_keyword(parser, "GROUP"))
        return OK;
    select->group_token = parser->token;
    TRY(words_advance(parser));
    TRY(words_take_keyword(parser, "BY"));
    bool more = true;
    for (struct ast_operand **place = &select->group; more; place = &(*place)->next) {
        *place = ARENA_NEW(parser->arena, struct ast_operand);
        TRY(parse_column(parser, *place));
        TRY(words_take_if(parser, ",", &more));
    }
    *expected = "a comma, ORDER, LIMIT or the end of the query";
    return OK;
}

static err take_order(struct parser *parser, struct ast_select *select, const char **expected)
{
    if (!words_at_keyword(parser, "ORDER"))
        return OK;
    select->order_token = parser->token;
    TRY(words_advance(parser));
    TRY(words_take_keyword(parser, "BY"));
    bool more = true;
    for (struct ast_order **place = &select->order; more; place = &(*place)->next) {
        bool ascends;
        *place = ARENA_NEW(parser->arena, struct ast_order);
        TRY(parse_column(parser, &(*place)->column));
        TRY(words_take_if(parser, "ASC", &ascends));
        if (!ascends)
            TRY(words_take_if(parser, "DESC", &(*place)->descending));
        TRY(words_take_if(parser, ",", &more));
    }
    *expected = "ASC, DESC, a comma, LIMIT or the end of the query";
    return OK;
}

static err take_count(struct parser *parser, const char *keyword, struct ast_count *count, const char **expected)
{
    if (!words_at_keyword(parser, keyword) || count->is_given)
        return OK;
    count->token = parser->token;
    count->is_given = true;
    TRY(words_advance(parser));
    if (parser->token.kind != TOKEN_NUMBER ||
        !number_parse(parser->token.text, (uint8_t *)&count->value, sizeof count->value, false))
        return words_refuse(parser, "a whole number");
    *expected = "the end of the query";
    return words_advance(parser);
}

err parse_select(struct parser *parser, struct ast_select *select, const char **expected)
{
    TRY(take_items(parser, &select->items));
    TRY(words_take_keyword(parser, "FROM"));
    TRY(take_tables(parser, &select->tables, expected));
    TRY(parse_where(parser, &select->where, expected));
    TRY(take_group(parser, select, expected));
    TRY(take_order(parser, select, expected));
    TRY(take_count(parser, "LIMIT", &select->limit, expected));
    TRY(take_count(parser, "OFFSET", &select->offset, expected));
    return take_count(parser, "LIMIT", &select->limit, expected);
}
