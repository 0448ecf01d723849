/* map — from bytes to a pointer or number; open addressing, keys copied in.
 *
 * For the cold and the warm: names, plans, clients. Tables have their own indexes in store/. */
#pragma once

#include "base/base.h"

struct map_entry {
    uint8_t *key; /* owned; NULL when the place is free */
    uint32_t key_size;
    uint32_t hash;
    void *value;
};

struct map {
    struct map_entry *entries; /* owned */
    uint32_t capacity;         /* a power of two, or 0 */
    uint32_t count;
};

void map_init(struct map *map);
void map_deinit(struct map *map);
void *map_find(const struct map *map, bytes key);           /* NULL when absent */
void *map_put(struct map *map, bytes key, void *value);     /* value not NULL; returns the old one */
void *map_remove(struct map *map, bytes key);               /* returns what was there */
/* Walks all entries: start with *place = 0, until it returns NULL. No change while walking. */
struct map_entry *map_next(const struct map *map, uint32_t *place);

static inline bytes map_u32_key(const uint32_t *key) { return bytes_of(key, 4); }
static inline bytes map_u64_key(const uint64_t *key) { return bytes_of(key, 8); }
