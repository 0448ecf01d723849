/* reads — what views have looked at, found again by the rows that change.
 *
 * A view that looked at one key is found by that key, one that looked at a range or at a whole table is asked for each
 * changed table. So a thousand views that each look at a row of their own cost a commit one lookup.
 *
 *     changed row ──> index, key ──> readers
 *                 ──> table      ──> readers of ranges, readers of the whole */
#pragma once

#include "base/map.h"
#include "host/module.h"
#include "txn/delta.h"

struct reads;
struct read_entry;

/* Somebody's reads; embedded in who reads. */
struct reader_set {
    struct read_entry *first; /* owned */
    uint64_t found;           /* the last commit that it was found in */
};

struct reads *reads_new(void);
void reads_free(struct reads *reads); /* all sets are empty by then */

/* Remembers a look. One that was remembered before costs a lookup. */
void reads_add(struct reads *reads, struct reader_set *set, const struct schema *schema, const struct view_read *read);
void reads_clear(struct reads *reads, struct reader_set *set);

/* Calls `found` once for each set that a changed row concerns; it changes no set. */
void reads_find(struct reads *reads, const struct store *store, const struct delta *delta,
                void (*found)(void *context, struct reader_set *set), void *context);
