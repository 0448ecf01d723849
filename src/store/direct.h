/* direct — row references by value: an array over all numbers, of which only the used parts exist.
 *
 * For unique columns that count up from somewhere: 4 bytes a row when values are dense, and a find is two
 * or three loads. The array is cut into chunks of 64 places, chunks hang in a tree of 64 children a node
 * that is as high as the largest value needs. Values far apart cost a chunk and a few nodes each, up to
 * 4 KiB: a hash index suits them better.
 *
 * Rules
 *   R1  A node or chunk that holds nothing does not exist.
 *   R2  The tree is as high as its largest value needs, not higher than it ever was. */
#pragma once

#include "store/page.h"

struct direct {
    void *root;         /* owned: a node, or a chunk at height 0; NULL when empty */
    uint32_t height;    /* levels of nodes above the chunks */
    uint64_t count;
    uint64_t byte_count;
};

void direct_init(struct direct *direct);
void direct_deinit(struct direct *direct);
void direct_add(struct direct *direct, uint64_t value, rowref ref);
void direct_remove(struct direct *direct, uint64_t value);
rowref direct_find(const struct direct *direct, uint64_t value);
/* Values from `lower` to `upper`, both included. */
void direct_walk(const struct direct *direct, uint64_t lower, uint64_t upper, bool reverse,
                 bool (*each)(void *context, rowref ref), void *context);
void direct_check(const struct direct *direct);
