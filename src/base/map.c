/* Linear probing, at most three quarters full. Removal closes the gap, so there are no tombstones. */
#include "base/map.h"

#include "base/hash.h"

enum { MAP_CAPACITY_MIN = 16 };

void map_init(struct map *map)
{
    *map = (struct map){ 0 };
}

void map_deinit(struct map *map)
{
    for (uint32_t idx = 0; idx < map->capacity; idx++)
        memory_free(map->entries[idx].key);
    memory_free(map->entries);
    map_init(map);
}

/* The entry of the key, or the free place where it belongs. The map has at least one free place. */
static struct map_entry *entry_find(const struct map *map, bytes key, uint32_t hash)
{
    const uint32_t mask = map->capacity - 1;
    for (uint32_t idx = hash & mask;; idx = (idx + 1) & mask) {
        struct map_entry *entry = &map->entries[idx];
        if (entry->key == NULL)
            return entry;
        if (entry->hash == hash && bytes_equal(bytes_of(entry->key, entry->key_size), key))
            return entry;
    }
}

static uint32_t key_hash(bytes key)
{
    return (uint32_t)hash_bytes(key.at, key.size);
}

void *map_find(const struct map *map, bytes key)
{
    if (map->count == 0)
        return NULL;
    return entry_find(map, key, key_hash(key))->value;
}

static void map_grow(struct map *map)
{
    const struct map old = *map;
    check(old.capacity <= UINT32_MAX / 4);
    map->capacity = old.capacity > 0 ? old.capacity * 2 : MAP_CAPACITY_MIN;
    map->entries = memory_new(sizeof *map->entries * map->capacity);
    for (uint32_t idx = 0; idx < old.capacity; idx++) {
        const struct map_entry *entry = &old.entries[idx];
        if (entry->key != NULL)
            *entry_find(map, bytes_of(entry->key, entry->key_size), entry->hash) = *entry;
    }
    memory_free(old.entries);
}

void *map_put(struct map *map, bytes key, void *value)
{
    check(value != NULL);
    check(key.size <= UINT32_MAX);
    if (map->count >= map->capacity / 4 * 3)
        map_grow(map);

    const uint32_t hash = key_hash(key);
    struct map_entry *entry = entry_find(map, key, hash);
    void *const old = entry->value;
    if (entry->key == NULL) {
        entry->key = memory_copy(key.at, key.size);
        entry->key_size = (uint32_t)key.size;
        entry->hash = hash;
        map->count++;
    }
    entry->value = value;
    return old;
}

/* Moves back each entry behind the gap that its probing would no longer reach. */
static void gap_close(struct map *map, uint32_t gap)
{
    const uint32_t mask = map->capacity - 1;
    for (uint32_t idx = (gap + 1) & mask; map->entries[idx].key != NULL; idx = (idx + 1) & mask) {
        const uint32_t home = map->entries[idx].hash & mask;
        if (((idx - home) & mask) < ((idx - gap) & mask))
            continue; /* its home lies between the gap and itself */
        map->entries[gap] = map->entries[idx];
        gap = idx;
    }
    map->entries[gap] = (struct map_entry){ 0 };
}

void *map_remove(struct map *map, bytes key)
{
    if (map->count == 0)
        return NULL;
    struct map_entry *entry = entry_find(map, key, key_hash(key));
    if (entry->key == NULL)
        return NULL;

    void *const old = entry->value;
    memory_free(entry->key);
    gap_close(map, (uint32_t)(entry - map->entries));
    map->count--;
    return old;
}

struct map_entry *map_next(const struct map *map, uint32_t *place)
{
    while (*place < map->capacity) {
        struct map_entry *entry = &map->entries[(*place)++];
        if (entry->key != NULL)
            return entry;
    }
    return NULL;
}
