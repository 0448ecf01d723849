#include "sql/select.h"

#include "sql/aggregate.h"
#include "sql/row_order.h"

struct selecting {
    struct resolver *resolver;
    const struct ast_select *ast;
    struct select *select;
    struct buf outputs; /* struct select_output */
    struct buf fields;  /* struct type_field of each */
};

static err refuse(const struct selecting *selecting, const struct token *token, const char *sentence)
{
    return sql_refuse(selecting->resolver->diag, selecting->resolver->sql, token, "%s", sentence);
}

static void add_output(struct selecting *selecting, const struct select_output *output, bytes name,
                       const struct type *type)
{
    const struct type_field field = { name, type };
    buf_put(&selecting->outputs, output, sizeof *output);
    buf_put(&selecting->fields, &field, sizeof field);
}

static void add_source(struct selecting *selecting, uint32_t source)
{
    const struct table_def *table = selecting->resolver->sources[source].table;
    for (uint32_t idx = 0; idx < table->column_count; idx++) {
        const struct column_def *column = &table->columns[idx];
        const struct select_output output = {
            .kind = ITEM_COLUMN, .has_column = true, .column = { (uint16_t)source, (uint16_t)idx }, .type = column->type
        };
        add_output(selecting, &output, column->name, column->type);
    }
}

static err add_all(struct selecting *selecting, const struct ast_item *item)
{
    uint32_t source = 0, end = selecting->resolver->source_count;
    if (item->kind == ITEM_TABLE) {
        TRY(resolver_source(selecting->resolver, &item->table, &source));
        end = source + 1;
    }
    if (end - source == 1)
        selecting->select->whole_source = (int32_t)source;
    for (; source < end; source++)
        add_source(selecting, source);
    return OK;
}

static bytes item_name(const struct ast_item *item)
{
    static const char *const names[] = {
        [ITEM_COUNT] = "count", [ITEM_SUM] = "sum", [ITEM_MIN] = "min", [ITEM_MAX] = "max", [ITEM_AVG] = "avg",
    };
    if (item->alias.text.at != NULL)
        return item->alias.text;
    return item->kind == ITEM_COLUMN ? item->operand.column.text : bytes_of_text(names[item->kind]);
}

static err add_item(struct selecting *selecting, const struct ast_item *item)
{
    struct resolver *resolver = selecting->resolver;
    struct select_output output = { .kind = item->kind };
    const struct type *type;
    if (item->operand.column.text.at != NULL) {
        output.has_column = true;
        TRY(resolver_column(resolver, &item->operand, &output.column));
        output.type = resolver_column_type(resolver, output.column);
    }
    output.is_option = selecting->ast->group == NULL && aggregate_may_be_none(item->kind);
    TRY(aggregate_type(resolver, item, output.type, &type));
    if (output.is_option)
        type = type_option(resolver->arena, type);
    add_output(selecting, &output, item_name(item), type);
    selecting->select->is_grouped |= item->kind != ITEM_COLUMN;
    return OK;
}

static err read_items(struct selecting *selecting)
{
    selecting->select->whole_source = -1;
    selecting->select->is_grouped = selecting->ast->group != NULL;
    for (const struct ast_item *item = selecting->ast->items; item != NULL; item = item->next) {
        if (item->kind == ITEM_ALL || item->kind == ITEM_TABLE)
            TRY(add_all(selecting, item));
        else
            TRY(add_item(selecting, item));
    }
    return OK;
}

static void keep_outputs(struct selecting *selecting)
{
    struct select *select = selecting->select;
    struct arena *arena = selecting->resolver->arena;
    select->output_count = (uint32_t)(selecting->outputs.size / sizeof *select->outputs);
    select->outputs = (struct select_output *)arena_copy(arena, buf_bytes(&selecting->outputs)).at;
    select->row_type = type_product(arena, (const struct type_field *)selecting->fields.data, select->output_count);
}

/* ---- GROUP BY ---- */

static bool is_grouped_by(const struct select *select, struct column_ref column)
{
    for (uint32_t idx = 0; idx < select->group_count; idx++)
        if (select->groups[idx].source == column.source && select->groups[idx].column == column.column)
            return true;
    return false;
}

static err read_groups(struct selecting *selecting)
{
    struct select *select = selecting->select;
    uint32_t count = 0;
    for (const struct ast_operand *group = selecting->ast->group; group != NULL; group = group->next)
        count++;
    select->groups = ARENA_ARRAY(selecting->resolver->arena, struct column_ref, count);
    for (const struct ast_operand *group = selecting->ast->group; group != NULL; group = group->next)
        TRY(resolver_column(selecting->resolver, group, &select->groups[select->group_count++]));
    return OK;
}

/* One row stands for many: a column that may differ among them has no value. */
static err check_outputs(struct selecting *selecting)
{
    const struct select *select = selecting->select;
    const struct ast_item *item = selecting->ast->items;
    if (!select->is_grouped)
        return OK;
    if (item->kind == ITEM_ALL || item->kind == ITEM_TABLE)
        return refuse(selecting, &item->token, "* does not go with GROUP BY; name the columns");
    for (uint32_t idx = 0; idx < select->output_count; idx++, item = item->next)
        if (item->kind == ITEM_COLUMN && !is_grouped_by(select, select->outputs[idx].column))
            return sql_refuse(selecting->resolver->diag, selecting->resolver->sql, &item->token,
                              "`%.*s` differs among the rows of a group; add it to GROUP BY, or take MIN or MAX of it",
                              BYTES_FORMAT(item->operand.column.text));
    return OK;
}

/* ---- ORDER BY ---- */

/* The output that an order without a table in front names. */
static bool find_output(const struct selecting *selecting, const struct ast_operand *operand, uint32_t *output)
{
    const struct type *row_type = selecting->select->row_type;
    if (operand->table.text.at != NULL)
        return false;
    for (*output = 0; *output < row_type->count; ++*output)
        if (bytes_equal(row_type->fields[*output].name, operand->column.text))
            return true;
    return false;
}

static const struct type *some_type(const struct type *type, bool is_option)
{
    return is_option ? type->fields[0].type : type;
}

static err read_order(struct selecting *selecting, const struct ast_order *ast, struct select_order *order)
{
    struct resolver *resolver = selecting->resolver;
    const struct select *select = selecting->select;
    order->descending = ast->descending;
    order->of_output = find_output(selecting, &ast->column, &order->output);
    if (order->of_output) {
        order->type = select->row_type->fields[order->output].type;
        return row_order_check(resolver, &ast->column,
                               some_type(order->type, select->outputs[order->output].is_option));
    }
    TRY(resolver_column(resolver, &ast->column, &order->column));
    order->type = resolver_column_type(resolver, order->column);
    TRY(row_order_check(resolver, &ast->column, order->type));
    if (select->is_grouped && !is_grouped_by(select, order->column))
        return sql_refuse(resolver->diag, resolver->sql, &ast->column.token,
                          "`%.*s` differs among the rows of a group; order by what the query gives",
                          BYTES_FORMAT(ast->column.column.text));
    return OK;
}

static err read_orders(struct selecting *selecting)
{
    struct select *select = selecting->select;
    uint32_t count = 0;
    for (const struct ast_order *order = selecting->ast->order; order != NULL; order = order->next)
        count++;
    select->orders = ARENA_ARRAY(selecting->resolver->arena, struct select_order, count);
    for (const struct ast_order *order = selecting->ast->order; order != NULL; order = order->next)
        TRY(read_order(selecting, order, &select->orders[select->order_count++]));
    return OK;
}

static err read_select(struct selecting *selecting)
{
    struct select *select = selecting->select;
    const struct ast_select *ast = selecting->ast;
    TRY(relation_make(selecting->resolver, ast->tables, ast->where, &select->relation));
    TRY(read_groups(selecting));
    TRY(read_items(selecting));
    keep_outputs(selecting);
    TRY(check_outputs(selecting));
    TRY(read_orders(selecting));
    select->limit = ast->limit.is_given ? ast->limit.value : UINT64_MAX;
    select->offset = ast->offset.value;
    return OK;
}

err select_compile(struct resolver *resolver, const struct ast_select *ast, struct select **select)
{
    struct selecting selecting = { resolver, ast, ARENA_NEW(resolver->arena, struct select), { 0 }, { 0 } };
    const err code = read_select(&selecting);
    buf_deinit(&selecting.outputs);
    buf_deinit(&selecting.fields);
    *select = selecting.select;
    return code;
}

const struct table_def *select_table(const struct select *select)
{
    return select->relation->sources[select->whole_source >= 0 ? select->whole_source : 0].source.table;
}
