#include "sql/condition.h"

uint32_t condition_sources(const struct condition *condition)
{
    uint32_t sources = 0;
    if (condition->kind == CONDITION_VALUE || condition->kind == CONDITION_COLUMNS)
        sources |= 1u << condition->column.source;
    if (condition->kind == CONDITION_COLUMNS)
        sources |= 1u << condition->other.source;
    for (uint32_t idx = 0; idx < condition->part_count; idx++)
        sources |= condition_sources(condition->parts[idx]);
    return sources;
}
