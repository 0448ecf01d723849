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
    schema_free(store->schema);
    store_init(store);
}

struct table *store_find(const struct store *store, uint32_t table_id)
{
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
