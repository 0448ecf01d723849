#include "sql/relation.h"

#include "sql/bounds.h"
#include "sql/gates.h"
#include "sql/predicate.h"

struct splitter {
    struct resolver *resolver;
    struct buf conditions; /* struct condition *, in the order they were written */
    struct relation *relation;
};

static void take_apart(struct splitter *splitter, struct condition *condition)
{
    if (condition->kind != CONDITION_ALL) {
        buf_put(&splitter->conditions, &condition, sizeof condition);
        return;
    }
    for (uint32_t idx = 0; idx < condition->part_count; idx++)
        take_apart(splitter, condition->parts[idx]);
}

static err read_condition(struct splitter *splitter, const struct ast_expr *expr)
{
    struct condition *condition;
    if (expr == NULL)
        return OK;
    TRY(resolver_condition(splitter->resolver, expr, &condition));
    take_apart(splitter, condition);
    return OK;
}

static err read_conditions(struct splitter *splitter, const struct ast_table *tables, const struct ast_expr *where)
{
    uint32_t seen = 0;
    for (const struct ast_table *table = tables; table != NULL; table = table->next) {
        splitter->resolver->scope_count = ++seen; /* ON sees the tables up to its own */
        TRY(read_condition(splitter, table->on));
    }
    return read_condition(splitter, where);
}

/* All conditions that look at this source or at none as one, in the arena. */
static struct condition *gather(const struct splitter *splitter, uint32_t source)
{
    struct condition *const *all = (struct condition *const *)splitter->conditions.data;
    const uint32_t count = (uint32_t)(splitter->conditions.size / sizeof *all);
    struct condition *gathered = ARENA_NEW(splitter->resolver->arena, struct condition);
    gathered->kind = CONDITION_ALL;
    gathered->parts = ARENA_ARRAY(splitter->resolver->arena, struct condition *, count);
    for (uint32_t idx = 0; idx < count; idx++)
        if ((condition_sources(all[idx]) & ~(1u << source)) == 0)
            gathered->parts[gathered->part_count++] = all[idx];
    return gathered;
}

static void make_filter(struct splitter *splitter, uint32_t source)
{
    struct resolver *resolver = splitter->resolver;
    struct query_filter *filter = &splitter->relation->sources[source].filter;
    const struct condition *condition = gather(splitter, source);
    filter->predicate = predicate_make(resolver->arena, resolver->sources, condition, &filter->never);
    bounds_make(filter, resolver->arena, resolver->scratch, resolver->sources[source].table, condition);
    filter->gates = gates_make(resolver->arena, resolver->sources[source].table, condition);
    splitter->relation->never |= filter->never;
}

static void make_cross(struct splitter *splitter)
{
    struct condition **all = (struct condition **)splitter->conditions.data;
    const uint32_t count = (uint32_t)(splitter->conditions.size / sizeof *all);
    struct relation *relation = splitter->relation;
    relation->cross = ARENA_ARRAY(splitter->resolver->arena, struct condition *, count);
    for (uint32_t idx = 0; idx < count; idx++) {
        const uint32_t sources = condition_sources(all[idx]);
        if ((sources & (sources - 1)) != 0)
            relation->cross[relation->cross_count++] = all[idx];
    }
}

static void make_parts(struct splitter *splitter)
{
    struct resolver *resolver = splitter->resolver;
    struct relation *relation = splitter->relation;
    relation->source_count = resolver->source_count;
    relation->sources = ARENA_ARRAY(resolver->arena, struct relation_source, resolver->source_count);
    for (uint32_t idx = 0; idx < relation->source_count; idx++) {
        relation->sources[idx].source = resolver->sources[idx];
        make_filter(splitter, idx);
    }
    make_cross(splitter);
}

err relation_make(struct resolver *resolver, const struct ast_table *tables, const struct ast_expr *where,
                  struct relation **relation)
{
    TRY(resolver_tables(resolver, tables));
    struct splitter splitter = { .resolver = resolver, .relation = ARENA_NEW(resolver->arena, struct relation) };
    const err code = read_conditions(&splitter, tables, where);
    if (code == OK)
        make_parts(&splitter);
    buf_deinit(&splitter.conditions);
    *relation = splitter.relation;
    return code;
}

bool relation_is_edge(const struct condition *condition)
{
    return condition->kind == CONDITION_COLUMNS && condition->op == OP_EQ &&
           condition->column.source != condition->other.source;
}
