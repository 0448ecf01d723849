/* hashindex — from a 32-bit hash to row references, 8 bytes an entry.
 *
 * Open addressing where the home of a hash is hash * capacity / 2^32, so homes ascend with hashes and the
 * whole array can be kept in order of hash. That makes a miss as short as a hit, lets the table grow in
 * small steps by one pass from front to back, and leaves no tombstones: a removed entry's followers move
 * down. Nothing wraps around; a margin behind the last home takes what overflows.
 *
 * Made for hashes that seldom repeat: many entries of one hash are a run to walk.
 *
 * Rules
 *   H1  Entries ascend by hash. Every place from an entry's home up to the entry is taken.
 *   H2  Between three eighths and nine tenths of the capacity are taken, unless the table is very small. */
#pragma once

#include "store/page.h"

struct hashindex_entry {
    uint32_t hash; /* HASH_FREE in a free place: above every hash */
    rowref ref;
};

struct hashindex {
    struct hashindex_entry *entries; /* owned: capacity + margin, and free ones to look ahead to */
    uint32_t capacity;
    uint32_t margin;
    uint32_t count;
};

#define HASH_FREE UINT32_MAX
enum { HASHINDEX_LOOKAHEAD = 8 };

void hashindex_init(struct hashindex *index);
void hashindex_deinit(struct hashindex *index);
void hashindex_add(struct hashindex *index, uint32_t hash, rowref ref);
void hashindex_remove(struct hashindex *index, uint32_t hash, rowref ref);
uint64_t hashindex_memory(const struct hashindex *index);
void hashindex_check(const struct hashindex *index);

/* The 32 bits used here of a 64-bit hash. */
static inline uint32_t hashindex_part(uint64_t hash)
{
    const uint32_t part = (uint32_t)(hash >> 32);
    return part == HASH_FREE ? part - 1 : part;
}

/* Where the search for a hash begins. */
static inline const struct hashindex_entry *hashindex_home(const struct hashindex *index, uint32_t hash)
{
    return &index->entries[(uint64_t)hash * index->capacity >> 32];
}

/* The first entry of this hash or above; all entries of the hash follow one another. Looks at a cache line's
 * worth at once, without branches: how far an entry is from home cannot be predicted. */
static inline const struct hashindex_entry *hashindex_seek(const struct hashindex *index, uint32_t hash)
{
    const struct hashindex_entry *entry = hashindex_home(index, hash);
    for (;;) {
        uint32_t lower = 0; /* a free place is not lower, and nothing behind it is (H1) */
        for (uint32_t idx = 0; idx < HASHINDEX_LOOKAHEAD; idx++)
            lower += entry[idx].hash < hash;
        entry += lower;
        if (lower < HASHINDEX_LOOKAHEAD)
            return entry;
    }
}
