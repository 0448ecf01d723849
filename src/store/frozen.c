#include "store/frozen.h"

struct frozen_table {
    struct pages pages;  /* a view */
    __int128 *sequences; /* owned: how far each was reserved */
};

struct frozen {
    struct schema *schema; /* shared */
    uint32_t table_count;
    struct frozen_table *tables; /* owned */
};

static void table_freeze(struct table *table, struct frozen_table *frozen)
{
    check(table->writes == NULL); /* F1 */
    pages_freeze(&table->pages, &frozen->pages);
    frozen->sequences = memory_new(table->sequence_count * sizeof *frozen->sequences);
    for (uint32_t idx = 0; idx < table->sequence_count; idx++)
        frozen->sequences[idx] = table->sequences[idx].reserved;
}

static struct frozen *frozen_new(const struct store *store)
{
    struct frozen *frozen = memory_new(sizeof *frozen);
    block_view_begins();
    frozen->schema = schema_ref(store->schema); /* F3 */
    frozen->table_count = store->table_count;
    frozen->tables = memory_new(store->table_count * sizeof *frozen->tables);
    return frozen;
}

struct frozen *store_freeze_some(struct store *store, const uint32_t *table_ids, uint32_t count)
{
    struct frozen *frozen = frozen_new(store);
    for (uint32_t idx = 0; idx < store->table_count; idx++) {
        bool is_meant = false;
        for (uint32_t place = 0; place < count; place++)
            is_meant |= store->tables[idx]->def->id == table_ids[place];
        if (is_meant)
            table_freeze(store->tables[idx], &frozen->tables[idx]);
    }
    return frozen;
}

struct frozen *store_freeze(struct store *store)
{
    struct frozen *frozen = frozen_new(store);
    for (uint32_t idx = 0; idx < store->table_count; idx++)
        table_freeze(store->tables[idx], &frozen->tables[idx]);
    return frozen;
}

void frozen_drop(struct frozen *frozen)
{
    if (frozen == NULL)
        return;
    for (uint32_t idx = 0; idx < frozen->table_count; idx++) {
        pages_drop(&frozen->tables[idx].pages); /* F2 */
        memory_free(frozen->tables[idx].sequences);
    }
    block_view_ends();
    memory_free(frozen->tables);
    schema_free(frozen->schema);
    memory_free(frozen);
}

const struct schema *frozen_schema(const struct frozen *frozen)
{
    return frozen->schema;
}

uint32_t frozen_table_count(const struct frozen *frozen)
{
    return frozen->table_count;
}

static const struct frozen_table *table_at(const struct frozen *frozen, uint32_t table)
{
    check(table < frozen->table_count);
    return &frozen->tables[table];
}

uint64_t frozen_row_count(const struct frozen *frozen, uint32_t table)
{
    return table_at(frozen, table)->pages.row_count;
}

const struct row *frozen_next(const struct frozen *frozen, uint32_t table, rowref *ref)
{
    return pages_next(&table_at(frozen, table)->pages, ref);
}

const struct row *frozen_pass(struct frozen *frozen, uint32_t table, rowref *ref)
{
    check(table < frozen->table_count);
    return pages_pass(&frozen->tables[table].pages, ref);
}

__int128 frozen_sequence(const struct frozen *frozen, uint32_t table, uint32_t place)
{
    check(place < frozen->schema->tables[table].sequence_count);
    return table_at(frozen, table)->sequences[place];
}

uint64_t frozen_memory(const struct frozen *frozen)
{
    uint64_t size = 0;
    for (uint32_t idx = 0; idx < frozen->table_count; idx++)
        size += pages_left_behind(&frozen->tables[idx].pages);
    return size;
}
