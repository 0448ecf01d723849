#include "sql/row_hash.h"

enum { SLOTS_MIN = 64 };

void row_hash_deinit(struct row_hash *hash)
{
    memory_free(hash->slots);
    memory_free(hash->entries);
    *hash = (struct row_hash){ 0 };
}

static void link_entry(struct row_hash *hash, uint32_t place)
{
    struct row_hash_entry *entry = &hash->entries[place];
    uint32_t *slot = &hash->slots[entry->hash & (hash->slot_count - 1)];
    entry->next = *slot;
    *slot = place;
}

static void grow(struct row_hash *hash)
{
    hash->slot_count = hash->slot_count == 0 ? SLOTS_MIN : hash->slot_count * 2;
    hash->capacity = hash->slot_count;
    hash->slots = memory_resize(hash->slots, sizeof *hash->slots * hash->slot_count);
    hash->entries = memory_resize(hash->entries, sizeof *hash->entries * hash->capacity);
    memset(hash->slots, 0xff, sizeof *hash->slots * hash->slot_count); /* ROW_HASH_END */
    for (uint32_t place = 0; place < hash->count; place++)
        link_entry(hash, place);
}

void row_hash_add(struct row_hash *hash, uint64_t key, const uint8_t *row)
{
    if (hash->count == hash->capacity)
        grow(hash);
    hash->entries[hash->count] = (struct row_hash_entry){ .hash = key, .row = row };
    link_entry(hash, hash->count++);
}

static const struct row_hash_entry *find_from(const struct row_hash *hash, uint64_t key, uint32_t place)
{
    for (; place != ROW_HASH_END; place = hash->entries[place].next)
        if (hash->entries[place].hash == key)
            return &hash->entries[place];
    return NULL;
}

const struct row_hash_entry *row_hash_find(const struct row_hash *hash, uint64_t key)
{
    return hash->count == 0 ? NULL : find_from(hash, key, hash->slots[key & (hash->slot_count - 1)]);
}

const struct row_hash_entry *row_hash_next(const struct row_hash *hash, const struct row_hash_entry *entry)
{
    return find_from(hash, entry->hash, entry->next);
}
