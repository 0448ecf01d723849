/* row_index — rows by a value, for the length of one piece of work. */
#pragma once

#include "base/base.h"

struct row_entry {
    bytes row, value; /* views */
    bool mark;        /* the user's */
    uint32_t next;    /* place + 1 of the next one in the same slot; 0 ends */
};

struct row_index {
    struct row_entry *entries; /* owned */
    uint32_t count, capacity;
    uint32_t *slots;           /* owned: place + 1 of the newest; as many as entries have room */
};

void row_index_deinit(struct row_index *index);
void row_index_add(struct row_index *index, bytes row, bytes value, bool mark);
/* The rows that have the value, the newest first; NULL at the end. */
const struct row_entry *row_index_find(const struct row_index *index, bytes value);
const struct row_entry *row_index_next(const struct row_index *index, const struct row_entry *entry);
