/* index — one face for the kinds of index: a switch, not pointers.
 *
 * An index maps a key (the values of its columns) to row references. What stands behind it:
 *
 *     B-tree                btree.h      in order; by value, by leading columns, by range
 *     B-tree, unique        also a       whole keys are found by their hash: most calls ask for a row by its key
 *                           hashindex.h
 *     hash, unique          hashindex.h  by whole key; 9 bytes a row
 *     hash, keys repeat     btree.h      over the hashes: taking one of many equal keys out stays cheap
 *     direct, unique        direct.h     in order; an array by value (unsigned integers up to u64, enums)
 *     direct, keys repeat   btree.h
 *
 * A probe is the BSATN of the leading columns, one after the other, as in a row.
 *
 * Rules
 *   X1  Every live row of the table that is not ROW_GONE is in every index once.
 *   X2  A unique index never holds two rows of one key: the table asks before it adds.
 *   X3  add and remove cannot fail. */
#pragma once

#include "base/buf.h"
#include "schema/schema.h"
#include "store/page.h"

struct index;

struct index_bound {
    bytes key;             /* BSATN of `column_count` leading columns; ignored when column_count is 0 */
    uint32_t column_count; /* 0: unbounded */
    bool inclusive;
};

struct index *index_new(const struct index_def *def, const struct table_def *table, const struct pages *pages);
void index_free(struct index *index); /* NULL is fine */
const struct index_def *index_def(const struct index *index);
/* Whether two definitions make the same index: kind, uniqueness and columns. */
bool index_def_equal(const struct index_def *left, const struct index_def *right);
/* Replaces the definitions by equal ones of another schema. */
void index_rebind(struct index *index, const struct index_def *def, const struct table_def *table);

/* The row's bytes must be the indexed ones: remove before they change, add after it. */
void index_add(struct index *index, rowref ref);
void index_remove(struct index *index, rowref ref);
/* Any row with this full key, or ROWREF_NONE. For unique indexes: the row. An index remembers what it found last, so it
 * is asked on one thread only, that of who changes it. */
rowref index_find(const struct index *index, bytes key);
/* For who knows a key some time before it needs the row: brings into the cache what index_find() will look at first,
 * and later, when that has come, the row. Only where index_foresees(): hash indexes whose keys have one size. */
bool index_foresees(const struct index *index);
void index_ask_entry(const struct index *index, const uint8_t *key);
void index_ask_row(const struct index *index, const uint8_t *key);
/* The row that would collide with `row` (bytes of a whole row) in a unique index; ROWREF_NONE if none. */
rowref index_find_row(const struct index *index, const uint8_t *row);
/* The same, for who has mostly just found that row by index_find(). */
rowref index_find_again(const struct index *index, const uint8_t *row);
/* The key of a whole row, appended to `out` (BSATN of the index's columns). */
void index_key(const struct index *index, const uint8_t *row, struct buf *out);
/* Whether two whole rows have the same key here. */
bool index_same_key(const struct index *index, const uint8_t *left, const uint8_t *right);

/* Calls `each` with the references between the bounds: in key order (B-tree, direct) or in no order
 * (hash: full equality only, both bounds the same full key). `reverse` walks downwards. Stops when
 * `each` returns false; `each` changes nothing in the table. ERR_WRONG_INDEX when this kind cannot answer. */
err index_walk(const struct index *index, struct index_bound lower, struct index_bound upper, bool reverse,
               bool (*each)(void *context, rowref ref), void *context, struct diag *diag);
/* The same, appending each reference (4 bytes) to `out`: for who changes rows on the way. */
err index_collect(const struct index *index, struct index_bound lower, struct index_bound upper, bool reverse,
                  struct buf *out, struct diag *diag);
uint64_t index_count(const struct index *index);
uint64_t index_memory(const struct index *index);
/* Verifies X1, X2 and the structure's own rules; check() on failure. */
void index_check(const struct index *index);
