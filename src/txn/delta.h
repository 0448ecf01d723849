/* delta — what one committed transaction changed, and nothing else.
 *
 * A delta is the only thing that leaves a transaction. The log stores it, subscriptions are worked out
 * from it, recovery applies it. None of them asks the tables what happened, so no two of them can come
 * to different answers.
 *
 *     delta
 *     ├── table player     − (3, "ann", 10)
 *     │                    + (3, "ann", 11)
 *     └── table message    + (51, 3, "hi")
 *
 * Rules
 *   D1  Net effect: see N2.
 *   D2  Tables ascend by id. Within a table, deletes and inserts are lists of whole rows; a row stands in
 *       one of them, once.
 *   D3  Rows of event tables are inserts that were never stored.
 *   D4  Rows are views into pages and the transaction's memory: nothing is copied. They hold until
 *       txn_end(); who needs them longer encodes them. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct table;

struct delta_table {
    const struct table *table;
    uint32_t table_id;
    uint32_t delete_count;
    uint32_t insert_count;
    const bytes *deletes;
    const bytes *inserts;
};

struct delta {
    uint32_t table_count;
    const struct delta_table *tables;
};

/* The log's form: u32 tables; per table: u32 id, u32 deletes, u32 inserts, rows back to back (BSATN tells
 * where each ends). */
void delta_encode(struct buf *out, const struct delta *delta);

/* Told of each row that has come or gone, event rows excepted. */
typedef void delta_row_fn(void *context, const struct table *table, bytes row, bool has_come);

/* Applies an encoded delta to the tables, for replay. Event rows are skipped. `told` may be NULL. ERR_CORRUPT when a
 * row does not decode, a table is unknown, or a row to delete is not there. */
struct store;
err delta_apply(struct store *store, bytes encoded, delta_row_fn *told, void *context, struct diag *diag);
