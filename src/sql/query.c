#include "sql/query.h"

#include "sql/parser.h"
#include "sql/relation.h"
#include "sql/predicate.h"
#include "sql/row_order.h"

struct compiler {
    struct query *query;
    struct resolver resolver;
    struct ast_statement statement;
    enum query_use use;
};

static err refuse(struct compiler *compiler, const struct token *token, const char *sentence)
{
    return sql_refuse(compiler->resolver.diag, compiler->resolver.sql, token, "%s", sentence);
}

/* ---- the grammar: what a SELECT may hold that a query of whole rows may not ---- */

static err check_order_of_rows(struct compiler *compiler, const struct ast_select *select)
{
    if (select->offset.is_given)
        return refuse(compiler, &select->offset.token, "Unsupported: OFFSET in a query of whole rows");
    if (select->order == NULL && select->limit.is_given)
        return refuse(compiler, &select->limit.token,
                      "Unsupported: LIMIT without ORDER BY; which rows come first would be left to chance");
    if (select->order != NULL && !select->limit.is_given)
        return refuse(compiler, &select->order_token,
                      "Unsupported: ORDER BY without LIMIT; rows come in no particular order");
    if (select->order != NULL && select->tables->next != NULL)
        return refuse(compiler, &select->order_token,
                      "Unsupported: ORDER BY with a join; it orders the rows of one table");
    return OK;
}

static err check_grammar(struct compiler *compiler)
{
    const struct ast_statement *statement = &compiler->statement;
    if (statement->kind != STATEMENT_SELECT || statement->explains)
        return refuse(compiler, &statement->token, "Unsupported: statements other than SELECT");
    const struct ast_select *select = &statement->select;
    if (select->items->kind != ITEM_ALL && select->items->kind != ITEM_TABLE)
        return refuse(compiler, &select->items->token,
                      "Unsupported: column lists and functions; a query returns whole rows: SELECT * or SELECT t.*");
    if (select->group != NULL)
        return refuse(compiler, &select->group_token, "Unsupported: GROUP BY; a query returns rows as they are stored");
    const struct ast_table *second = select->tables->next;
    if (second != NULL && second->next != NULL)
        return refuse(compiler, &second->next->join, "Unsupported: more than two tables");
    if (second != NULL && select->items->kind == ITEM_ALL)
        return refuse(compiler, &select->items->token,
                      "Unsupported: SELECT * with a join; a query returns rows of one table: SELECT t.*");
    return check_order_of_rows(compiler, select);
}

/* ---- joins ---- */

static bool has_index_on(const struct table_def *table, uint16_t column)
{
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct index_def *index = &table->indexes[idx];
        if (index->columns[0] == column && (index->kind != INDEX_HASH || index->column_count == 1))
            return true;
    }
    return false;
}

static struct column_ref edge_end(const struct condition *edge, uint32_t source)
{
    return edge->column.source == source ? edge->column : edge->other;
}

/* The partners of a changed row on either side are found through indexes, by the bytes of the column. Nothing is ever
 * looked up in an event table. */
static bool edge_is_indexed(const struct relation *relation, const struct condition *edge)
{
    for (uint32_t side = 0; side < 2; side++) {
        const struct table_def *table = relation->sources[side].source.table;
        const uint16_t column = edge_end(edge, side).column;
        if (type_is_float(table->columns[column].type) || !(table->is_event || has_index_on(table, column)))
            return false;
    }
    return true;
}

static struct condition *choose_edge(const struct relation *relation)
{
    struct condition *chosen = NULL;
    for (uint32_t idx = 0; idx < relation->cross_count; idx++) {
        struct condition *edge = relation->cross[idx];
        if (!relation_is_edge(edge))
            continue;
        if (edge_is_indexed(relation, edge))
            return edge;
        if (chosen == NULL)
            chosen = edge;
    }
    return chosen;
}

static err refuse_unindexed(struct compiler *compiler, const struct relation *relation, const struct condition *edge)
{
    const struct table_def *left = relation->sources[0].source.table, *right = relation->sources[1].source.table;
    const uint16_t left_column = edge_end(edge, 0).column, right_column = edge_end(edge, 1).column;
    if (type_is_float(left->columns[left_column].type))
        return refuse(compiler, &compiler->statement.select.tables->next->join,
                      "Subscriptions require indexes on join columns, and those cannot be floats");
    const bool left_lacks = !left->is_event && !has_index_on(left, left_column);
    const struct table_def *table = left_lacks ? left : right;
    return sql_refuse(compiler->resolver.diag, compiler->resolver.sql, &compiler->statement.select.tables->next->join,
                      "Subscriptions require indexes on join columns: add one on `%.*s` of table `%.*s`",
                      BYTES_FORMAT(table->columns[left_lacks ? left_column : right_column].name),
                      BYTES_FORMAT(table->name));
}

/* A changed row of either side looks its partners up in the other. An event table holds no rows to be found: it may
 * only drive the join. */
static err check_subscription(struct compiler *compiler, const struct relation *relation, const struct condition *edge)
{
    const struct token *join = &compiler->statement.select.tables->next->join;
    if (!edge_is_indexed(relation, edge))
        return refuse_unindexed(compiler, relation, edge);
    if (relation->sources[1].source.table->is_event)
        return refuse(compiler, join, "an event table holds no rows to look up: put it in front of JOIN");
    return OK;
}

static struct query_node *make_pair(struct compiler *compiler, const struct relation *relation)
{
    struct condition all = { .kind = CONDITION_ALL, .part_count = relation->cross_count, .parts = relation->cross };
    bool never;
    struct query_node *pair = predicate_make(&compiler->query->arena, compiler->resolver.sources, &all, &never);
    compiler->query->never |= never;
    return pair;
}

static err compile_join(struct compiler *compiler, const struct relation *relation)
{
    struct query *query = compiler->query;
    const struct ast_select *select = &compiler->statement.select;
    const struct condition *edge = choose_edge(relation);
    struct query_join *join = query->join = ARENA_NEW(&query->arena, struct query_join);
    if (edge == NULL)
        return refuse(compiler, &select->tables->next->join,
                      compiler->use == QUERY_SUBSCRIBED
                          ? "Subscriptions require indexes on join columns: say with ON a.x = b.y what joins the tables"
                          : "the tables are joined by nothing: write ON a.x = b.y");
    if (compiler->use == QUERY_SUBSCRIBED)
        TRY(check_subscription(compiler, relation, edge));
    TRY(resolver_source(&compiler->resolver, &select->items->table, &join->output));
    for (uint32_t side = 0; side < 2; side++) {
        join->tables[side] = relation->sources[side].source.table;
        join->columns[side] = edge_end(edge, side).column;
        join->sides[side] = relation->sources[side].filter;
    }
    join->pair = make_pair(compiler, relation);
    query->table = join->tables[join->output];
    return OK;
}

/* ---- one table ---- */

static err compile_order(struct compiler *compiler, const struct ast_select *select)
{
    struct query *query = compiler->query;
    uint32_t count = 0;
    for (const struct ast_order *order = select->order; order != NULL; order = order->next)
        count++;
    query->order = ARENA_ARRAY(&query->arena, struct query_order, count);
    query->limit = select->limit.value;
    for (const struct ast_order *order = select->order; order != NULL; order = order->next) {
        struct column_ref column;
        TRY(resolver_column(&compiler->resolver, &order->column, &column));
        TRY(row_order_check(&compiler->resolver, &order->column, resolver_column_type(&compiler->resolver, column)));
        query->order[query->order_count++] = (struct query_order){ column.column, order->descending };
    }
    query->never |= query->order_count > 0 && query->limit == 0;
    return OK;
}

static err compile_single(struct compiler *compiler, const struct relation *relation)
{
    const struct ast_select *select = &compiler->statement.select;
    uint32_t source;
    if (select->items->kind == ITEM_TABLE)
        TRY(resolver_source(&compiler->resolver, &select->items->table, &source));
    compiler->query->table = relation->sources[0].source.table;
    compiler->query->filter = relation->sources[0].filter;
    return compile_order(compiler, select);
}

static err compile(struct compiler *compiler)
{
    struct query *query = compiler->query;
    const struct ast_select *select = &compiler->statement.select;
    TRY(sql_parse(compiler->resolver.scratch, compiler->resolver.sql, &compiler->statement, compiler->resolver.diag));
    TRY(check_grammar(compiler));
    TRY(relation_make(&compiler->resolver, select->tables, select->where, &query->relation));
    query->never = query->relation->never;
    query->depends_on_sender = compiler->resolver.depends_on_sender;
    return query->relation->source_count == 1 ? compile_single(compiler, query->relation)
                                              : compile_join(compiler, query->relation);
}

err query_compile(struct query **out, bytes text, const struct schema *schema, const struct query_caller *caller,
                  enum query_use use, struct diag *diag)
{
    *out = NULL;
    TRY(sql_check_text(text, diag));
    struct arena scratch;
    struct query *query = memory_new(sizeof *query);
    arena_init(&scratch);
    arena_init(&query->arena);
    struct compiler compiler = {
        .query = query,
        .resolver = { .arena = &query->arena,
                      .scratch = &scratch,
                      .sql = text,
                      .schema = schema,
                      .caller = caller,
                      .diag = diag },
        .use = use,
    };
    const err e = compile(&compiler);
    arena_deinit(&scratch);
    if (e == OK)
        *out = query;
    else
        query_free(query);
    return e;
}

void query_free(struct query *query)
{
    if (query == NULL)
        return;
    arena_deinit(&query->arena);
    memory_free(query);
}

bool query_matches(const struct query *query, const uint8_t *row)
{
    return query->filter.predicate == NULL || predicate_matches(query->filter.predicate, &row);
}

bool query_side_matches(const struct query *query, uint32_t side, const uint8_t *row)
{
    const uint8_t *const rows[2] = { row, row };
    return predicate_matches(query->join->sides[side].predicate, rows);
}

bool query_pair_matches(const struct query *query, const uint8_t *left, const uint8_t *right)
{
    const uint8_t *const rows[2] = { left, right };
    return predicate_matches(query->join->pair, rows);
}
