#include "sql/grouping.h"

#include "sats/bsatn.h"
#include "sql/aggregate.h"
#include "store/key.h"

struct group {
    bytes key;                     /* owned: the values of the columns, one behind the other */
    struct aggregate aggregates[]; /* one an output */
};

static struct group *group_new(struct grouping *grouping, bytes key)
{
    const size_t size = sizeof(struct group) + sizeof(struct aggregate) * grouping->select->output_count;
    struct group *group = memory_new(size);
    group->key = bytes_of(memory_copy(key.at, key.size), key.size);
    buf_put(&grouping->order, &group, sizeof group);
    return group;
}

void grouping_init(struct grouping *grouping, const struct select *select, struct budget *budget)
{
    *grouping = (struct grouping){ .select = select, .budget = budget };
    map_init(&grouping->groups);
    if (select->group_count == 0)
        group_new(grouping, bytes_of("", 0)); /* all rows, also none, make one */
}

uint32_t grouping_count(const struct grouping *grouping)
{
    return (uint32_t)(grouping->order.size / sizeof(struct group *));
}

static struct group *group_at(const struct grouping *grouping, uint32_t place)
{
    return ((struct group **)grouping->order.data)[place];
}

void grouping_deinit(struct grouping *grouping)
{
    for (uint32_t place = 0; place < grouping_count(grouping); place++) {
        struct group *group = group_at(grouping, place);
        for (uint32_t idx = 0; idx < grouping->select->output_count; idx++)
            aggregate_deinit(&group->aggregates[idx]);
        memory_free((void *)group->key.at);
        memory_free(group);
    }
    map_deinit(&grouping->groups);
    buf_deinit(&grouping->order);
    buf_deinit(&grouping->key);
}

static const struct table_def *table_of(const struct grouping *grouping, struct column_ref column)
{
    return grouping->select->relation->sources[column.source].source.table;
}

static const struct type *type_of(const struct grouping *grouping, struct column_ref column)
{
    return table_of(grouping, column)->columns[column.column].type;
}

static const uint8_t *column_at(const struct grouping *grouping, const uint8_t *const *rows, struct column_ref column)
{
    return key_row_column(table_of(grouping, column), rows[column.source], column.column);
}

/* The two zeros of a float are one value. */
static void put_key(struct buf *key, const struct type *type, const uint8_t *at)
{
    static const uint8_t zeros[2][8] = { { 0 }, { [7] = 0x80 } };
    const size_t size = bsatn_size(type, at);
    const bool is_negative_zero = type_is_float(type) && memcmp(at, zeros[1] + 8 - size, size) == 0;
    buf_put(key, is_negative_zero ? zeros[0] : at, size);
}

static struct group *find_group(struct grouping *grouping, const uint8_t *const *rows)
{
    const struct select *select = grouping->select;
    if (select->group_count == 0)
        return group_at(grouping, 0);
    buf_clear(&grouping->key);
    for (uint32_t idx = 0; idx < select->group_count; idx++)
        put_key(&grouping->key, type_of(grouping, select->groups[idx]), column_at(grouping, rows, select->groups[idx]));
    const bytes key = buf_bytes(&grouping->key);
    struct group *group = map_find(&grouping->groups, key);
    if (group != NULL)
        return group;
    const size_t size = sizeof *group + sizeof(struct aggregate) * select->output_count;
    if (!budget_take_bytes(grouping->budget, size + 2 * key.size + 2 * sizeof(struct map_entry)))
        return NULL;
    group = group_new(grouping, key);
    map_put(&grouping->groups, key, group);
    return group;
}

bool grouping_add(struct grouping *grouping, const uint8_t *const *rows)
{
    struct group *group = find_group(grouping, rows);
    if (group == NULL)
        return false;
    for (uint32_t idx = 0; idx < grouping->select->output_count; idx++) {
        const struct select_output *output = &grouping->select->outputs[idx];
        if (output->kind == ITEM_COLUMN)
            continue;
        const uint8_t *at = output->has_column ? column_at(grouping, rows, output->column) : NULL;
        if (!aggregate_add(&group->aggregates[idx], output->kind, output->type, at, grouping->budget))
            return false;
    }
    return true;
}

void grouping_put_column(const struct grouping *grouping, uint32_t place, struct column_ref column, struct buf *out)
{
    const struct select *select = grouping->select;
    const uint8_t *at = group_at(grouping, place)->key.at;
    for (uint32_t idx = 0;; idx++) { /* the resolver has seen that it is among them */
        const struct column_ref group = select->groups[idx];
        const size_t size = bsatn_size(type_of(grouping, group), at);
        if (group.source == column.source && group.column == column.column) {
            buf_put(out, at, size);
            return;
        }
        at += size;
    }
}

err grouping_put_row(const struct grouping *grouping, uint32_t place, struct buf *out)
{
    const struct select *select = grouping->select;
    for (uint32_t idx = 0; idx < select->output_count; idx++) {
        const struct select_output *output = &select->outputs[idx];
        if (output->kind == ITEM_COLUMN)
            grouping_put_column(grouping, place, output->column, out);
        else
            TRY(aggregate_put(&group_at(grouping, place)->aggregates[idx], output->kind, output->type,
                              output->is_option, out, grouping->budget->diag));
    }
    return OK;
}
