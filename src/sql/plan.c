#include "sql/plan.h"

#include "sql/bounds.h"
#include "sql/predicate.h"

/* What is left of a table's rows, where nothing is known but the shape of the condition. */
static const double LEFT_BY_EQUALITY = 0.1, LEFT_BY_RANGE = 0.3;
/* The cost of one row: walked in a page, the first and each further one found through an index, one put into a hash
 * table. */
static const double COST_WALK = 1, COST_PROBE = 1, COST_STEP = 2, COST_HASH = 2;

struct planner {
    struct arena *arena;
    const struct relation *relation;
    const struct table *tables[SQL_SOURCES_MAX];
    struct source sources[SQL_SOURCES_MAX]; /* for predicate_make() */
};

/* A way to read the next table, and what it would cost. */
struct candidate {
    struct plan_step step;
    double cost;   /* of all its rows, for all rows before */
    double looked; /* rows looked at, for all rows before */
    double rows;   /* that come out for each row before */
};

/* The equality that binds a column of `source` to one of the sources in `bound`: its end there. An index or hash
 * compares bytes, and two spellings of zero are equal: floats are left to the predicate. */
static bool edge_read(const struct planner *planner, const struct condition *edge, uint32_t source, uint32_t bound,
                      struct plan_key *key)
{
    if (!relation_is_edge(edge))
        return false;
    const bool is_left = edge->column.source == source;
    const struct column_ref here = is_left ? edge->column : edge->other, there = is_left ? edge->other : edge->column;
    if (here.source != source || !(bound >> there.source & 1) ||
        type_is_float(planner->sources[source].table->columns[here.column].type))
        return false;
    *key = (struct plan_key){ .column = here.column, .from = there };
    return true;
}

static bool find_key(const struct planner *planner, uint32_t source, uint32_t bound, uint16_t column,
                     struct plan_key *key)
{
    const struct relation *relation = planner->relation;
    const struct query_equality *equality = bounds_equality(&relation->sources[source].filter, column);
    if (equality != NULL) {
        *key = (struct plan_key){ .column = column, .is_value = true, .value = equality->value };
        return true;
    }
    for (uint32_t idx = 0; idx < relation->cross_count; idx++)
        if (edge_read(planner, relation->cross[idx], source, bound, key) && key->column == column)
            return true;
    return false;
}

static double rows_of(const struct table *table)
{
    return table->pages.row_count > 0 ? (double)table->pages.row_count : 1;
}

static double at_least_one(double rows)
{
    return rows < 1 ? 1 : rows;
}

/* What the conditions on the table alone leave of it. */
static double rows_left(const struct planner *planner, uint32_t source)
{
    const struct query_filter *filter = &planner->relation->sources[source].filter;
    double rows = rows_of(planner->tables[source]);
    for (uint32_t idx = 0; idx < filter->equality_count; idx++)
        rows *= LEFT_BY_EQUALITY;
    for (uint32_t idx = 0; idx < filter->range_count; idx++)
        rows *= LEFT_BY_RANGE;
    return at_least_one(rows);
}

static bool index_serves(const struct planner *planner, const struct index *index, uint32_t source, uint32_t bound,
                         struct plan_step *step)
{
    const struct index_def *def = index_def(index);
    step->access = STEP_INDEX;
    step->index = index;
    step->key_count = 0;
    step->range = NULL;
    while (step->key_count < def->column_count &&
           find_key(planner, source, bound, def->columns[step->key_count], &step->keys[step->key_count]))
        step->key_count++;
    if (step->key_count == def->column_count)
        return true;
    if (def->kind == INDEX_HASH)
        return false;
    step->range = bounds_range(&planner->relation->sources[source].filter, def->columns[step->key_count]);
    return step->key_count > 0 || step->range != NULL;
}

static double index_rows(const struct plan_step *step)
{
    const struct index_def *def = index_def(step->index);
    if (def->unique && step->key_count == def->column_count)
        return 1;
    double rows = rows_of(step->table);
    for (uint32_t idx = 0; idx < step->key_count; idx++)
        rows *= LEFT_BY_EQUALITY;
    return at_least_one(step->range != NULL ? rows * LEFT_BY_RANGE : rows);
}

static void consider(struct candidate *best, const struct candidate *other)
{
    if (best->cost < 0 || other->cost < best->cost)
        *best = *other;
}

static void consider_indexes(const struct planner *planner, uint32_t source, uint32_t bound, double before,
                             struct candidate *best)
{
    const struct table *table = planner->tables[source];
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        struct candidate candidate = { .step = best->step };
        if (!index_serves(planner, table->indexes[idx], source, bound, &candidate.step))
            continue;
        candidate.rows = index_rows(&candidate.step);
        candidate.cost = before * (COST_PROBE + COST_STEP * (candidate.rows - 1));
        candidate.looked = before * candidate.rows;
        if (candidate.rows > rows_left(planner, source))
            candidate.rows = rows_left(planner, source);
        consider(best, &candidate);
    }
}

/* The equalities with tables before, as the key of a hash table. */
static void hash_keys(const struct planner *planner, uint32_t source, uint32_t bound, struct plan_step *step)
{
    const struct relation *relation = planner->relation;
    step->access = STEP_HASH;
    step->key_count = 0;
    for (uint32_t idx = 0; idx < relation->cross_count && step->key_count < SCHEMA_KEY_COLUMNS_MAX; idx++)
        if (edge_read(planner, relation->cross[idx], source, bound, &step->keys[step->key_count]))
            step->key_count++;
}

static void consider_hash(const struct planner *planner, uint32_t source, uint32_t bound, double before,
                          struct candidate *best)
{
    struct candidate candidate = { .step = best->step };
    const double rows = rows_of(planner->tables[source]), left = rows_left(planner, source);
    hash_keys(planner, source, bound, &candidate.step);
    if (candidate.step.key_count == 0)
        return;
    candidate.rows = at_least_one(left * LEFT_BY_EQUALITY);
    candidate.cost = rows * COST_WALK + left * COST_HASH + before * (COST_STEP + candidate.rows);
    candidate.looked = rows + before * candidate.rows;
    consider(best, &candidate);
}

static struct candidate step_choose(const struct planner *planner, uint32_t source, uint32_t bound, double before)
{
    struct candidate best = { .cost = -1 };
    best.step.source = source;
    best.step.what = &planner->relation->sources[source].source;
    best.step.table = planner->tables[source];
    best.step.filter = planner->relation->sources[source].filter.predicate;
    consider_indexes(planner, source, bound, before, &best);
    consider_hash(planner, source, bound, before, &best);

    struct candidate walk = { .step = best.step };
    walk.step.access = STEP_PAGES;
    walk.step.index = NULL;
    walk.step.key_count = 0;
    walk.step.range = NULL;
    walk.rows = rows_left(planner, source);
    walk.looked = before * rows_of(walk.step.table);
    walk.cost = walk.looked * COST_WALK;
    consider(&best, &walk);
    return best;
}

/* A whole order, beginning with `first`; returns its cost. */
static double order_try(const struct planner *planner, uint32_t first, struct plan *plan)
{
    const uint32_t count = planner->relation->source_count;
    double before = 1, cost = 0;
    uint32_t bound = 0;
    for (plan->step_count = 0; plan->step_count < count; plan->step_count++) {
        struct candidate best = { .cost = -1 };
        for (uint32_t source = 0; source < count; source++) {
            if (bound >> source & 1 || (bound == 0 && source != first))
                continue;
            const struct candidate candidate = step_choose(planner, source, bound, before);
            consider(&best, &candidate);
        }
        cost += best.cost;
        plan->rows += best.looked;
        before *= best.rows;
        best.step.rows = before;
        bound |= 1u << best.step.source;
        plan->steps[plan->step_count] = best.step;
    }
    return cost;
}

/* Each condition across tables goes to the step that brings the last of them. */
static void steps_complete(const struct planner *planner, struct plan *plan)
{
    const struct relation *relation = planner->relation;
    uint32_t bound = 0;
    for (uint32_t idx = 0; idx < plan->step_count; idx++) {
        struct plan_step *step = &plan->steps[idx];
        const uint32_t own = 1u << step->source;
        struct condition all = { .kind = CONDITION_ALL };
        all.parts = ARENA_ARRAY(planner->arena, struct condition *, relation->cross_count);
        bound |= own;
        for (uint32_t cross = 0; cross < relation->cross_count; cross++) {
            const uint32_t sources = condition_sources(relation->cross[cross]);
            if (sources & own && (sources & ~bound) == 0)
                all.parts[all.part_count++] = relation->cross[cross];
        }
        bool never;
        step->cross = predicate_make(planner->arena, planner->sources, &all, &never);
        plan->never |= never;
    }
}

static void find_tables(struct planner *planner, const struct store *store)
{
    const struct relation *relation = planner->relation;
    for (uint32_t idx = 0; idx < relation->source_count; idx++) {
        const struct source *source = &relation->sources[idx].source;
        planner->sources[idx] = *source;
        planner->tables[idx] = source->made != NULL ? source->made : store_find(store, source->table->id);
        check(planner->tables[idx] != NULL);
    }
}

/* Where very many conditions go across tables, looking for the best order must not cost more than the worst one. */
static uint32_t starts_count(const struct relation *relation)
{
    enum { CROSS_MANY = 64 };
    return relation->cross_count > CROSS_MANY ? 1 : relation->source_count;
}

void plan_make(struct plan *plan, struct arena *arena, const struct relation *relation, const struct store *store)
{
    struct planner planner = { .arena = arena, .relation = relation };
    find_tables(&planner, store);
    double lowest = -1;
    for (uint32_t first = 0; first < starts_count(relation); first++) {
        struct plan tried = { .never = relation->never };
        const double cost = order_try(&planner, first, &tried);
        if (lowest >= 0 && cost >= lowest)
            continue;
        lowest = tried.cost = cost;
        *plan = tried;
    }
    steps_complete(&planner, plan);
}
