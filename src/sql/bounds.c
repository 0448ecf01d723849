#include "sql/bounds.h"

#include "sats/bsatn.h"

struct column_bounds {
    bool has_lower, has_upper, lower_inclusive, upper_inclusive;
    bytes lower, upper;
};

struct gatherer {
    struct query_filter *filter;
    struct arena *arena;
    const struct table_def *table;
    struct column_bounds *columns; /* one a column of the table */
};

static const struct type *column_type(const struct gatherer *gatherer, uint16_t column)
{
    return gatherer->table->columns[column].type;
}

static void raise_lower(struct column_bounds *bounds, const struct type *type, bytes value, bool inclusive)
{
    const int order = bounds->has_lower ? bsatn_compare(type, value.at, bounds->lower.at) : 1;
    if (order < 0 || (order == 0 && inclusive))
        return;
    bounds->has_lower = true;
    bounds->lower = value;
    bounds->lower_inclusive = inclusive;
}

static void reduce_upper(struct column_bounds *bounds, const struct type *type, bytes value, bool inclusive)
{
    const int order = bounds->has_upper ? bsatn_compare(type, value.at, bounds->upper.at) : -1;
    if (order > 0 || (order == 0 && inclusive))
        return;
    bounds->has_upper = true;
    bounds->upper = value;
    bounds->upper_inclusive = inclusive;
}

static void gather_value(struct gatherer *gatherer, const struct condition *condition)
{
    const struct type *type = column_type(gatherer, condition->column.column);
    struct column_bounds *bounds = &gatherer->columns[condition->column.column];
    const bytes low = condition_spell_zero(gatherer->arena, type, condition->value, true); /* the outer ones */
    const bytes high = condition_spell_zero(gatherer->arena, type, condition->value, false);

    switch (condition->op) {
    case OP_EQ:
        raise_lower(bounds, type, low, true);
        reduce_upper(bounds, type, high, true);
        return;
    case OP_NE: return;
    case OP_LT: reduce_upper(bounds, type, low, false); return;
    case OP_LE: reduce_upper(bounds, type, high, true); return;
    case OP_GT: raise_lower(bounds, type, high, false); return;
    case OP_GE: raise_lower(bounds, type, low, true); return;
    }
}

static void gather(struct gatherer *gatherer, const struct condition *condition)
{
    switch (condition->kind) {
    case CONDITION_CONSTANT: gatherer->filter->never |= !condition->constant; return;
    case CONDITION_VALUE: gather_value(gatherer, condition); return;
    case CONDITION_ALL:
        for (uint32_t idx = 0; idx < condition->part_count; idx++)
            gather(gatherer, condition->parts[idx]);
        return;
    case CONDITION_COLUMNS:
    case CONDITION_ANY: return;
    }
}

static void put_column(struct gatherer *gatherer, uint16_t column)
{
    struct query_filter *filter = gatherer->filter;
    const struct column_bounds *bounds = &gatherer->columns[column];
    if (!bounds->has_lower && !bounds->has_upper)
        return;
    const bool closed = bounds->has_lower && bounds->has_upper;
    const int order = closed ? bsatn_compare(column_type(gatherer, column), bounds->lower.at, bounds->upper.at) : -1;
    if (order > 0 || (order == 0 && !(bounds->lower_inclusive && bounds->upper_inclusive))) {
        filter->never = true;
        return;
    }
    if (order == 0)
        filter->equalities[filter->equality_count++] = (struct query_equality){ column, bounds->lower };
    else
        filter->ranges[filter->range_count++] = (struct query_range){
            .column = column,
            .has_lower = bounds->has_lower,
            .has_upper = bounds->has_upper,
            .lower_inclusive = bounds->lower_inclusive,
            .upper_inclusive = bounds->upper_inclusive,
            .lower = bounds->lower,
            .upper = bounds->upper,
        };
}

void bounds_make(struct query_filter *filter, struct arena *arena, struct arena *scratch, const struct table_def *table,
                 const struct condition *where)
{
    const uint32_t count = table->column_count;
    struct gatherer gatherer = { filter, arena, table, ARENA_ARRAY(scratch, struct column_bounds, count) };
    gather(&gatherer, where);

    uint32_t bounded = 0;
    for (uint32_t idx = 0; idx < count; idx++)
        bounded += gatherer.columns[idx].has_lower || gatherer.columns[idx].has_upper;
    filter->equalities = ARENA_ARRAY(arena, struct query_equality, bounded);
    filter->ranges = ARENA_ARRAY(arena, struct query_range, bounded);
    for (uint32_t idx = 0; idx < count; idx++)
        put_column(&gatherer, (uint16_t)idx);
}

const struct query_equality *bounds_equality(const struct query_filter *filter, uint16_t column)
{
    for (uint32_t idx = 0; idx < filter->equality_count; idx++)
        if (filter->equalities[idx].column == column)
            return &filter->equalities[idx];
    return NULL;
}

const struct query_range *bounds_range(const struct query_filter *filter, uint16_t column)
{
    for (uint32_t idx = 0; idx < filter->range_count; idx++)
        if (filter->ranges[idx].column == column)
            return &filter->ranges[idx];
    return NULL;
}
