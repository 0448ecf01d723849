/* partners — rows that have a value in one column: those that are there after a commit, and those that it changed.
 *
 * What is there is found through an index of the table. What changed is looked through while it is little; a hash
 * table over it is made when it is much, once a commit for a table and column.
 *
 * What one commit may cost in rows looked at is bounded, whatever it changes and whoever watches. */
#pragma once

#include "store/table.h"
#include "txn/delta.h"

struct changed_index;

struct partners {
    const struct store *store; /* as it is after the commit */
    const struct delta *delta;
    struct changed_index **indexes; /* owned: of this commit */
    uint32_t index_count;
    uint64_t crossings_left; /* partners that may be looked at to find queries: table_watch's */
    uint64_t pairs_left;     /* ... and to work queries out: join's */
    uint64_t refills_left;   /* rows that may be looked at to fill windows: window's */
};

void partners_begin(struct partners *partners, const struct store *store, const struct delta *delta);
void partners_end(struct partners *partners);

/* The table must have an index that begins with the column: see query_compile(). Stops when `each` returns false. */
void partners_stored(const struct partners *partners, const struct table_def *table, uint16_t column, bytes value,
                     bool (*each)(void *context, bytes row), void *context);
void partners_changed(struct partners *partners, const struct table_def *table, uint16_t column, bytes value,
                      void (*each)(void *context, bytes row, bool is_insert), void *context);

/* The bytes of a column in a row. */
bytes partners_value(const struct table_def *table, const uint8_t *row, uint16_t column);
