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

bytes condition_spell_zero(struct arena *arena, const struct type *type, bytes value, bool is_negative)
{
    if (!type_is_float(type))
        return value;
    uint64_t bits = 0;
    memcpy(&bits, value.at, value.size);
    const uint64_t sign = (uint64_t)1 << (value.size * 8 - 1);
    if ((bits & ~sign) != 0)
        return value;
    bits = is_negative ? sign : 0;
    return arena_copy(arena, bytes_of(&bits, value.size));
}
