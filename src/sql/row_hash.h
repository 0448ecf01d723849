/* row_hash — rows of one table by the bytes of some columns, for the length of a statement. */
#pragma once

#include "base/base.h"
#include "base/hash.h"
#include "store/table.h"

struct row_hash_entry {
    uint64_t hash;
    const uint8_t *row;
    uint32_t next; /* of the same slot, ROW_HASH_END at the end */
};

#define ROW_HASH_END UINT32_MAX

struct row_hash {
    uint32_t *slots;                /* owned: first entries; NULL before the first row */
    struct row_hash_entry *entries; /* owned */
    uint32_t slot_count;            /* a power of two */
    uint32_t count, capacity;
};

void row_hash_deinit(struct row_hash *hash);
void row_hash_add(struct row_hash *hash, uint64_t key, const uint8_t *row);
/* The first entry of this key, or behind `entry` the next one; NULL at the end. Different columns may share a key. */
const struct row_hash_entry *row_hash_find(const struct row_hash *hash, uint64_t key);
const struct row_hash_entry *row_hash_next(const struct row_hash *hash, const struct row_hash_entry *entry);

/* The key of several columns: begin with 0 and add one by one. */
static inline uint64_t row_hash_key(uint64_t key, const uint8_t *at, size_t size)
{
    return hash_mix(key + 1, hash_bytes(at, size));
}
