/* ORDER BY with a LIMIT, by walking an index: who wants the ten newest of a million rows reads ten.
 *
 * The index begins with columns that have one value each, and goes on with those of the order, all in one direction.
 * What has one value may stand in the order, too, and says nothing there. Floats are left out: an index tells the two
 * zeros apart, an order does not. */
#include "sql/bounds.h"
#include "sql/plan.h"

struct ordered_walk {
    const struct table_def *table;
    const struct query_filter *filter;
    const struct plan_order *orders;
    uint32_t order_count;
};

static bool has_one_value(const struct ordered_walk *walk, uint16_t column)
{
    return bounds_equality(walk->filter, column) != NULL;
}

/* The next column of the order that is not settled, from `place` on. */
static uint32_t next_order(const struct ordered_walk *walk, uint32_t place)
{
    while (place < walk->order_count && has_one_value(walk, walk->orders[place].column))
        place++;
    return place;
}

static uint32_t count_fixed(const struct ordered_walk *walk, const struct index_def *index)
{
    uint32_t count = 0;
    while (count < index->column_count && has_one_value(walk, index->columns[count]))
        count++;
    return count;
}

static bool index_gives_order(const struct ordered_walk *walk, const struct index_def *index, bool *reverse)
{
    uint32_t place = next_order(walk, 0);
    if (index->kind == INDEX_HASH || place == walk->order_count)
        return false;
    *reverse = walk->orders[place].descending;
    for (uint32_t idx = count_fixed(walk, index); place < walk->order_count; place = next_order(walk, place + 1), idx++)
        if (idx >= index->column_count || index->columns[idx] != walk->orders[place].column ||
            walk->orders[place].descending != *reverse || type_is_float(walk->table->columns[index->columns[idx]].type))
            return false;
    return true;
}

static void take_index(const struct ordered_walk *walk, struct plan_step *step, const struct index *index, bool reverse)
{
    const struct index_def *def = index_def(index);
    step->access = STEP_INDEX;
    step->index = index;
    step->reverse = reverse;
    step->key_count = count_fixed(walk, def);
    for (uint32_t idx = 0; idx < step->key_count; idx++)
        step->keys[idx] = (struct plan_key){ .column = def->columns[idx],
                                             .is_value = true,
                                             .value = bounds_equality(walk->filter, def->columns[idx])->value };
    step->range =
        step->key_count < def->column_count ? bounds_range(walk->filter, def->columns[step->key_count]) : NULL;
}

/* How many rows are walked until `count` have passed the condition: as if those that do were spread evenly. */
static double rows_walked(const struct plan_step *step, uint64_t count)
{
    const double all = (double)step->table->pages.row_count;
    const double walked = (double)count * all / (step->rows < 1 ? 1 : step->rows);
    return walked < all ? walked : all;
}

bool plan_walk_in_order(struct plan *plan, const struct relation *relation, const struct plan_order *orders,
                        uint32_t order_count, uint64_t count)
{
    static const double COST_STEP = 2; /* a row through an index, by the measure of plan.c */
    struct plan_step *step = &plan->steps[0];
    const struct ordered_walk walk = { step->table->def, &relation->sources[0].filter, orders, order_count };
    const double rows = rows_walked(step, count);
    if (plan->step_count != 1 || plan->never || rows * COST_STEP >= plan->cost)
        return false;
    for (uint32_t idx = 0; idx < step->table->index_count; idx++) {
        bool reverse;
        if (!index_gives_order(&walk, index_def(step->table->indexes[idx]), &reverse))
            continue;
        take_index(&walk, step, step->table->indexes[idx], reverse);
        plan->rows = rows;
        step->rows = (double)count < step->rows ? (double)count : step->rows;
        return true;
    }
    return false;
}
