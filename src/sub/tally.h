/* tally — how often rows come and go, on balance.
 *
 * Rows are told apart by their bytes, which stay where they are: views. The order is that of first appearance. */
#pragma once

#include "base/base.h"

struct tally_entry {
    bytes row;
    uint64_t hash;
    int64_t count; /* more came than went */
};

struct tally {
    struct tally_entry *entries; /* owned */
    uint32_t count, capacity;
    uint32_t *places;            /* owned: by hash, the entry's place + 1; 0 is free */
    uint32_t place_count;        /* a power of two, or 0 */
};

void tally_deinit(struct tally *tally);
void tally_add(struct tally *tally, bytes row, int64_t count);
/* Forgets the rows; memory of an unusually large tally is given back. */
void tally_clear(struct tally *tally);
