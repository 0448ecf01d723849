/* btree — row references in the order of their keys.
 *
 * A B+tree of (prefix, reference) entries, 12 bytes each. The prefix is a number that orders like the
 * key's first column, so that a search looks at a row only where prefixes are equal and do not tell all. Of strings it
 * is made behind what all of them begin with (stem.h).
 * Entries of one key are ordered by reference: no two are equal, and taking one out of a million that
 * share a key is a search like any other.
 *
 * The other use is a hash index whose keys repeat: there the prefix is the key's 64-bit hash, nothing else
 * is compared, and who walks the entries of one hash looks at the rows' keys.
 *
 *     inner   entries: the smallest entry of each child        children
 *     leaf    entries                                          previous, next leaf
 *
 * Rules
 *   T1  Entries ascend strictly, within a node and along the leaves.
 *   T2  Entry i of an inner node is the smallest entry under child i. So every entry in the tree belongs to
 *       a live row, and comparing with it may read that row.
 *   T3  Only an empty tree has an empty node: its root, a leaf. */
#pragma once

#include "store/key.h"
#include "store/page.h"
#include "store/stem.h"

struct btree_node;

struct btree {
    const struct key *key;     /* borrowed: the index */
    const struct pages *pages; /* borrowed: the table */
    bool is_hashed;
    struct stem stem;          /* of the first column */
    uint32_t tied_from;        /* the first column that equal prefixes say nothing of */
    uint32_t height;           /* inner levels above the leaves */
    struct btree_node *root;   /* owned */
    struct btree_node *finger; /* borrowed: the leaf of the last exact find, or NULL; who finds keys in order stays in it */
    uint64_t last_prefix;      /* of btree_find_next() */
    uint64_t count;
    uint64_t byte_count;
};

/* One end of a walk: before or after all entries that begin with these columns. */
struct btree_bound {
    const struct key_at *at; /* NULL: the end of the tree */
    bool after;
};

void btree_init(struct btree *tree, const struct key *key, const struct pages *pages, bool is_hashed);
void btree_deinit(struct btree *tree);
/* The types behind the key have moved to a new schema; they order as before. */
void btree_rebind(struct btree *tree);

/* The row's bytes must be those it has in the tree: remove before a change, add after it. */
void btree_add(struct btree *tree, rowref ref);
void btree_remove(struct btree *tree, rowref ref);
/* Any entry with this whole key. */
rowref btree_find(const struct btree *tree, const struct key_at *at);
/* The same for the value of an only column, when it follows closely upon the last one that was asked for here. False
 * when it does not, or a prefix does not tell all: nothing was looked for. */
bool btree_find_next(const struct btree *tree, const uint8_t *column, rowref *found);
/* Calls `each` for the entries between the bounds until it returns false. A hashed tree is walked for one
 * whole key, given as both bounds. */
void btree_walk(const struct btree *tree, struct btree_bound lower, struct btree_bound upper, bool reverse,
                bool (*each)(void *context, rowref ref), void *context);
void btree_check(const struct btree *tree);
