/* txn — one change at a time: begin, change, commit or abort.
 *
 * There is one writer, so a transaction changes the tables at once and remembers how to go back. Reads
 * see its own writes because there is nothing else to see. What can be refused is refused when the
 * change is made (types, unique keys, sizes), so that commit cannot fail.
 *
 * An update whose key stays and whose new bytes fit is made in place: the old bytes are kept for the way
 * back and for the delta, and an index whose columns did not change is not touched.
 *
 * Rules
 *   N1  Abort brings back every row, every index entry and every reference as they were. Sequences stay
 *       advanced (B2).
 *   N2  Commit makes the net effect: a row that came and went, or went and came back the same, is not in
 *       the delta.
 *   N3  References freed by a transaction are not given again before it ends, so a walk that began inside
 *       it meets no strangers. txn_row_at() tells whether a reference still holds.
 *   N4  Rows in the delta stay readable until txn_end(). */
#pragma once

#include "store/table.h"
#include "txn/delta.h"

struct txn;

struct txn_limits {
    uint64_t rows_max;  /* changes a transaction may make */
    uint64_t bytes_max; /* bytes of rows it may bring and take away: what a record has to hold */
};

/* One transaction object lives as long as its database and is used again. */
struct txn *txn_new(struct store *store, const struct txn_limits *limits);
void txn_free(struct txn *txn);

/* Called when a sequence needs a new batch, before any of its values is used: logs the reservation. */
typedef void txn_reserve_fn(void *context, uint32_t sequence_id, __int128 reserved);
void txn_on_reserve(struct txn *txn, txn_reserve_fn *reserve, void *context);

void txn_begin(struct txn *txn);
bool txn_is_open(const struct txn *txn);
struct store *txn_store(const struct txn *txn);

/* `row` is any bytes: they are checked against the row type here. A zero in a sequence's column is replaced
 * by the next value. *stored is the row's reference: the new one, or that of an equal row already there.
 * ERR_BAD_VALUE, ERR_UNIQUE, ERR_SEQUENCE, ERR_TOO_LARGE; nothing has changed then. */
err txn_insert(struct txn *txn, struct table *table, bytes row, rowref *stored, struct diag *diag);
/* Replaces the row that has the same key in `index`, which must be unique (ERR_WRONG_INDEX); ERR_NO_ROW. */
err txn_update(struct txn *txn, struct table *table, struct index *index, bytes row, rowref *stored, struct diag *diag);
/* Deletes a live row. */
err txn_delete(struct txn *txn, struct table *table, rowref ref, struct diag *diag);
/* The row behind a reference, or NULL when this transaction has deleted it. */
const struct row *txn_row_at(const struct txn *txn, const struct table *table, rowref ref);

/* Makes the changes final. The delta is NULL when nothing changed on balance. It is good until txn_end(). */
const struct delta *txn_commit(struct txn *txn);
void txn_abort(struct txn *txn);
/* After commit: frees what the delta still showed. */
void txn_end(struct txn *txn);
/* Gives back the memory that no transaction has needed since the last call; not while one is open. What a large one has
 * used is kept until then: the next is often as large, and fresh memory costs more than all that is done with it. */
void txn_trim(struct txn *txn);
