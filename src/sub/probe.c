#include "sub/probe.h"

#include "sats/bsatn.h"
#include "store/key.h"

static bool serves(const struct index_def *index, uint16_t column)
{
    return index->columns[0] == column && (index->column_count == 1 || index->kind == INDEX_BTREE);
}

/* An index over the column alone is better than one that goes on: a hash finds it faster. */
static const struct index_def *choose(const struct table_def *table, uint16_t column)
{
    const struct index_def *chosen = NULL;
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct index_def *index = &table->indexes[idx];
        if (serves(index, column) && (chosen == NULL || index->column_count < chosen->column_count))
            chosen = index;
    }
    return chosen;
}

bool probe_is_indexed(const struct table_def *table, uint16_t column)
{
    return choose(table, column) != NULL;
}

struct probe {
    const struct table *table;
    bool (*each)(void *context, bytes row);
    void *context;
};

static bool give_row(void *context, rowref ref)
{
    const struct probe *probe = context;
    return probe->each(probe->context, row_bytes(pages_row(&probe->table->pages, ref)));
}

void probe_rows(const struct table *table, uint16_t column, bytes value, bool (*each)(void *context, bytes row),
                void *context)
{
    const struct index_def *index = choose(table->def, column);
    check(index != NULL);
    struct probe probe = { table, each, context };
    const struct index_bound bound = { .key = value, .column_count = 1, .inclusive = true };
    struct diag diag;
    check(index_walk(table->indexes[index - table->def->indexes], bound, bound, false, give_row, &probe, &diag) == OK);
}

bytes probe_value(const struct table_def *table, const uint8_t *row, uint16_t column)
{
    const struct type *type = table->columns[column].type;
    const uint8_t *at = key_row_column(table, row, column);
    return bytes_of(at, type->fixed_size != TYPE_VARIABLE ? (size_t)type->fixed_size : bsatn_size(type, at));
}
