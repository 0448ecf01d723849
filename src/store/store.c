#include "store/table.h"

void store_init(struct store *store)
{
    *store = (struct store){ 0 };
}

void store_deinit(struct store *store)
{
    for (uint32_t idx = 0; idx < store->table_count; idx++)
        table_free(store->tables[idx]);
    memory_free(store->tables);
    memory_free(store->derived);
    schema_free(store->schema);
    store_init(store);
}

static uint32_t derived_place(uint32_t table_id)
{
    check(table_id & SCHEMA_DERIVED_ID);
    return table_id & ~SCHEMA_DERIVED_ID;
}

uint32_t store_derived_id(const struct store *store)
{
    uint32_t place = store->derived_free;
    while (place < store->derived_count && store->derived[place] != NULL)
        place++;
    return SCHEMA_DERIVED_ID | place;
}

void store_attach(struct store *store, struct table *table)
{
    const uint32_t place = derived_place(table->def->id);
    if (place >= store->derived_count) {
        store->derived = memory_resize(store->derived, (place + 1) * sizeof(struct table *));
        memset(store->derived + store->derived_count, 0, (place + 1 - store->derived_count) * sizeof(struct table *));
        store->derived_count = place + 1;
    }
    check(store->derived[place] == NULL);
    store->derived[place] = table;
    if (place == store->derived_free)
        store->derived_free++;
}

void store_detach(struct store *store, const struct table *table)
{
    const uint32_t place = derived_place(table->def->id);
    check(store->derived[place] == table);
    store->derived[place] = NULL;
    if (place < store->derived_free)
        store->derived_free = place;
}

struct table *store_find(const struct store *store, uint32_t table_id)
{
    if (table_id & SCHEMA_DERIVED_ID) {
        const uint32_t place = derived_place(table_id);
        return place < store->derived_count ? store->derived[place] : NULL;
    }
    for (uint32_t idx = 0; idx < store->table_count; idx++)
        if (store->tables[idx]->def->id == table_id)
            return store->tables[idx];
    return NULL;
}

struct table *store_find_named(const struct store *store, bytes name)
{
    for (uint32_t idx = 0; idx < store->table_count; idx++)
        if (bytes_equal(store->tables[idx]->def->name, name))
            return store->tables[idx];
    return NULL;
}

struct index *store_find_index(const struct store *store, uint32_t index_id, struct table **table)
{
    for (uint32_t idx = 0; idx < store->table_count; idx++) {
        struct table *owner = store->tables[idx];
        for (uint32_t place = 0; place < owner->index_count; place++) {
            if (index_def(owner->indexes[place])->id != index_id)
                continue;
            if (table != NULL)
                *table = owner;
            return owner->indexes[place];
        }
    }
    return NULL;
}

bool store_restore_sequence(struct store *store, uint32_t sequence_id, __int128 reserved)
{
    for (uint32_t idx = 0; idx < store->table_count; idx++)
        if (sequence_restore(store->tables[idx], sequence_id, reserved))
            return true;
    return false;
}
