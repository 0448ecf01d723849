/* key — where in a row an index finds its columns, and how it compares them.
 *
 * A key is never copied out of its row. A struct key_at points at its columns, wherever they come from: a
 * row, or a probe (the BSATN of the leading columns, one after the other). BSATN is canonical, so keys are
 * equal exactly when their bytes are.
 *
 * Keys whose columns lie side by side at a constant offset, all of fixed size, are one block of bytes: they
 * are hashed and compared without looking at types.
 *
 * Hashes are seeded per index: who chooses keys cannot choose collisions. */
#pragma once

#include "base/hash.h"
#include "schema/schema.h"

enum key_shape {
    KEY_FOUR,  /* a block of 4 bytes */
    KEY_EIGHT, /* a block of 8 bytes */
    KEY_BLOCK, /* a block of `size` bytes */
    KEY_WALKED,
};

struct key {
    enum key_shape shape;
    uint32_t offset; /* of the block in the row */
    uint32_t size;   /* of the block */
    uint32_t column_count;
    const struct table_def *table; /* borrowed: the schema in force */
    uint16_t columns[SCHEMA_KEY_COLUMNS_MAX];
    const struct type *types[SCHEMA_KEY_COLUMNS_MAX];
    uint64_t seed;
};

struct key_at {
    const uint8_t *column[SCHEMA_KEY_COLUMNS_MAX];
    uint32_t count; /* leading columns that are there */
};

void key_init(struct key *key, const struct index_def *def, const struct table_def *table, uint64_t seed);

/* The value of any column inside a row. */
const uint8_t *key_row_column(const struct table_def *table, const uint8_t *row, uint32_t column);
struct key_at key_in_row(const struct key *key, const uint8_t *row);
struct key_at key_in_probe(const struct key *key, const uint8_t *probe, uint32_t column_count);

/* For people, on one line: "row, place" and "[1,2]"; of one column its name and its value alone. Of a long value only the
 * beginning: `"Once upon a ti" and 999986 bytes more`. */
void key_print_columns(struct buf *out, const struct table_def *table, const struct index_def *def);
void key_print(struct buf *out, const struct table_def *table, const struct index_def *def, const uint8_t *row);

/* Orders the columns from `first` on that both have. */
int key_compare(const struct key *key, const struct key_at *left, const struct key_at *right, uint32_t first);
/* Whether the whole keys are the same. */
bool key_equal(const struct key *key, const struct key_at *left, const struct key_at *right);
uint64_t key_hash(const struct key *key, const struct key_at *at);
uint64_t key_hash_block(uint64_t seed, const uint8_t *at, size_t size);

static inline uint64_t key_hash_four(uint64_t seed, const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return hash_mix(value ^ seed, 0x8ebc6af09c88c6e3ull);
}

static inline uint64_t key_hash_eight(uint64_t seed, const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return hash_mix(value ^ seed, 0x8ebc6af09c88c6e3ull);
}
