/* intervals — which of many intervals hold a value.
 *
 * A search tree by lower bound in which every node knows the highest upper bound below it: a part of the tree
 * that ends before the value, and one that begins behind it, is not entered. It is balanced by chance (a treap).
 *
 *     find     as many steps as intervals are found, times the height, which is about 2 log n
 *     add      the height
 *
 * Rules
 *   V1  In order, nodes ascend by lower bound, then by upper bound; no two intervals are equal.
 *   V2  node->highest is the node with the highest upper bound among it and its children.
 *   V3  A parent's priority is not below its children's. */
#pragma once

#include "sql/query.h"

/* One end of an interval; values are BSATN of one type. */
struct interval_end {
    bytes value;
    uint64_t prefix;  /* bsatn_prefix() of the value */
    bool is_open;     /* nothing bounds this side */
    bool is_included;
};

struct interval {
    struct interval_end lower, upper;
    struct interval *left, *right;
    const struct interval *highest; /* V2 */
    uint64_t priority;              /* V3 */
    void *item;                     /* the user's */
};

struct intervals {
    const struct type *type; /* borrowed: of all values */
    bool prefix_is_exact;
    struct interval *root;   /* owned: all nodes, which own copies of their values */
    uint32_t count;
    uint64_t seed;
};

void intervals_init(struct intervals *intervals, const struct type *type);
void intervals_deinit(struct intervals *intervals);

/* The interval, made with item == NULL when it was not there. */
struct interval *intervals_add(struct intervals *intervals, const struct query_range *range);
/* NULL when it is not there. */
struct interval *intervals_find(const struct intervals *intervals, const struct query_range *range);
void intervals_remove(struct intervals *intervals, const struct query_range *range);

/* Calls `each` with the item of every interval that holds the value, in order (V1). */
void intervals_stab(const struct intervals *intervals, const uint8_t *value, void (*each)(void *context, void *item),
                    void *context);
void intervals_each(const struct intervals *intervals, void (*each)(void *context, void *item), void *context);
/* Verifies V1 to V3; check() on failure. */
void intervals_check(const struct intervals *intervals);
