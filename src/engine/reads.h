/* reads — what views have looked at, found again by the rows that change.
 *
 * A view that looked at one key is found by that key, one that looked at a range or at the rows of some leading columns
 * by an interval of the first column. So a thousand views that each look at rows of their own cost a commit one lookup.
 *
 *     changed row ──> index, key             ──> readers of the key
 *                 ──> index, first column in ──> readers of the range
 *                 ──> table                  ──> readers of the whole
 *
 * Rules
 *   E1  A view that looks at very many keys and ranges is taken to have looked at whole tables: what is remembered
 *       of a view is bounded. */
#pragma once

#include "base/map.h"
#include "host/module.h"
#include "txn/delta.h"

struct reads;
struct read_entry;

/* Somebody's reads; embedded in who reads. */
struct reader_set {
    struct read_entry *first; /* owned */
    uint32_t count;
    bool is_coarse;           /* E1: it has whole tables alone */
    uint64_t found;           /* the last commit that it was found in */
};

struct reads *reads_new(void);
void reads_free(struct reads *reads); /* all sets are empty by then */

enum { READS_MAX = 4096 }; /* E1 */

/* Remembers a look; one that has just been remembered, not again. */
void reads_add(struct reads *reads, struct reader_set *set, const struct schema *schema, const struct view_read *read);
void reads_clear(struct reads *reads, struct reader_set *set);

/* Calls `found` once for each set that a changed row concerns; it changes no set. */
void reads_find(struct reads *reads, const struct store *store, const struct delta *delta,
                void (*found)(void *context, struct reader_set *set), void *context);
