#include "sql/gates.h"

#include "sats/bsatn.h"

/* How much a range narrows, by its shape: nothing is counted about values. */
enum width { WIDTH_KEY, WIDTH_POINT, WIDTH_CLOSED, WIDTH_HALF, WIDTH_ANY };

struct gate_maker {
    struct arena *arena;
    const struct table_def *table;
};

static const struct query_gates any_row = { 0 };

bool gate_is_point(const struct query_range *range)
{
    return range->has_lower && range->has_upper && range->lower_inclusive && range->upper_inclusive &&
           bytes_equal(range->lower, range->upper);
}

static bool is_unique(const struct table_def *table, uint16_t column)
{
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct index_def *index = &table->indexes[idx];
        if (index->unique && index->column_count == 1 && index->columns[0] == column)
            return true;
    }
    return false;
}

static enum width width_of_range(const struct table_def *table, const struct query_range *range)
{
    if (gate_is_point(range))
        return is_unique(table, range->column) ? WIDTH_KEY : WIDTH_POINT;
    return range->has_lower && range->has_upper ? WIDTH_CLOSED : WIDTH_HALF;
}

/* The widest range decides. */
static enum width width_of(const struct gate_maker *maker, const struct query_gates *gates)
{
    enum width width = gates->count == 0 ? WIDTH_ANY : WIDTH_KEY;
    for (uint32_t idx = 0; idx < gates->count; idx++) {
        const enum width other = width_of_range(maker->table, &gates->ranges[idx]);
        width = other > width ? other : width;
    }
    return width;
}

static bool is_narrower(const struct gate_maker *maker, const struct query_gates *left, const struct query_gates *right)
{
    const enum width left_width = width_of(maker, left), right_width = width_of(maker, right);
    return left_width != right_width ? left_width < right_width : left->count < right->count;
}

/* False for <>, which bounds nothing. A bound at zero goes to the outer one of the two; an excluded zero excludes both:
 * the bound is the inner one then. */
static bool range_of(const struct gate_maker *maker, const struct condition *condition, struct query_range *range)
{
    const struct type *type = maker->table->columns[condition->column.column].type;
    const enum compare_op op = condition->op;
    *range = (struct query_range){
        .column = condition->column.column,
        .has_lower = op == OP_EQ || op == OP_GT || op == OP_GE,
        .has_upper = op == OP_EQ || op == OP_LT || op == OP_LE,
        .lower_inclusive = op != OP_GT,
        .upper_inclusive = op != OP_LT,
    };
    range->lower = condition_spell_zero(maker->arena, type, condition->value, op != OP_GT);
    range->upper = condition_spell_zero(maker->arena, type, condition->value, op == OP_LT);
    return op != OP_NE;
}

static void narrow(const struct type *type, struct query_range *range, const struct query_range *by)
{
    if (by->has_lower) {
        const int order = range->has_lower ? bsatn_compare(type, by->lower.at, range->lower.at) : 1;
        range->lower_inclusive = order > 0 ? by->lower_inclusive : range->lower_inclusive;
        if (order == 0)
            range->lower_inclusive &= by->lower_inclusive;
        range->lower = order > 0 ? by->lower : range->lower;
        range->has_lower = true;
    }
    if (by->has_upper) {
        const int order = range->has_upper ? bsatn_compare(type, by->upper.at, range->upper.at) : -1;
        range->upper_inclusive = order < 0 ? by->upper_inclusive : range->upper_inclusive;
        if (order == 0)
            range->upper_inclusive &= by->upper_inclusive;
        range->upper = order < 0 ? by->upper : range->upper;
        range->has_upper = true;
    }
}

static struct query_gates gates_of(const struct gate_maker *maker, const struct condition *condition);

/* Joins a range to those of other columns: what is said of one column narrows one range. */
static void put_range(const struct gate_maker *maker, struct query_gates *columns, const struct query_range *range)
{
    for (uint32_t idx = 0; idx < columns->count; idx++) {
        if (columns->ranges[idx].column != range->column)
            continue;
        narrow(maker->table->columns[range->column].type, &columns->ranges[idx], range);
        return;
    }
    columns->ranges[columns->count++] = *range;
}

static struct query_gates gates_of_all(const struct gate_maker *maker, const struct condition *all)
{
    struct query_gates columns = { .ranges = ARENA_ARRAY(maker->arena, struct query_range, all->part_count) };
    struct query_gates best = any_row;
    for (uint32_t idx = 0; idx < all->part_count; idx++) {
        const struct query_gates gates = gates_of(maker, all->parts[idx]);
        if (gates.count > 0 && all->parts[idx]->kind == CONDITION_VALUE)
            put_range(maker, &columns, gates.ranges);
        else if (is_narrower(maker, &gates, &best))
            best = gates;
    }
    for (uint32_t idx = 0; idx < columns.count; idx++) {
        const struct query_gates one = { 1, &columns.ranges[idx] };
        if (is_narrower(maker, &one, &best))
            best = one;
    }
    return best;
}

static struct query_gates gates_of_any(const struct gate_maker *maker, const struct condition *any)
{
    struct query_gates *parts = ARENA_ARRAY(maker->arena, struct query_gates, any->part_count);
    struct query_gates all = any_row;
    for (uint32_t idx = 0; idx < any->part_count; idx++) {
        parts[idx] = gates_of(maker, any->parts[idx]);
        if (parts[idx].count == 0)
            return any_row;
        all.count += parts[idx].count;
    }
    all.ranges = ARENA_ARRAY(maker->arena, struct query_range, all.count);
    struct query_range *to = all.ranges;
    for (uint32_t idx = 0; idx < any->part_count; idx++) {
        memcpy(to, parts[idx].ranges, sizeof *to * parts[idx].count);
        to += parts[idx].count;
    }
    return all;
}

static struct query_gates gates_of(const struct gate_maker *maker, const struct condition *condition)
{
    switch (condition->kind) {
    case CONDITION_CONSTANT:
    case CONDITION_COLUMNS: return any_row;
    case CONDITION_ALL: return gates_of_all(maker, condition);
    case CONDITION_ANY: return gates_of_any(maker, condition);
    case CONDITION_VALUE: break;
    }
    struct query_gates gates = { 1, ARENA_NEW(maker->arena, struct query_range) };
    return range_of(maker, condition, gates.ranges) ? gates : any_row;
}

struct query_gates gates_make(struct arena *arena, const struct table_def *table, const struct condition *where)
{
    const struct gate_maker maker = { arena, table };
    return where == NULL ? any_row : gates_of(&maker, where);
}
