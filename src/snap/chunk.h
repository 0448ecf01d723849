/* chunk — a run of a table's rows in one value: u32 count, then the rows, one after the other.
 *
 * Rows lie there as they lie in pages, without sizes: their type tells where each ends. */
#pragma once

#include "store/frozen.h"

/* Eight pages of LMDB's, where those have 4 KiB, with room for its header and for the row that crosses the size. */
enum { CHUNK_SIZE = (32 << 10) - 512 };

/* Appends the rows that follow *ref, up to CHUNK_SIZE and the row that crosses it, and lets go of what is
 * behind them (frozen_pass); returns how many. At the end it may begin anew: the caller counts. */
uint32_t chunk_fill(struct buf *out, struct frozen *frozen, uint32_t table, rowref *ref);

/* Checks every row by its type and its place in the table, and stores it; with `table` NULL it checks the types only.
 * *rows gets their number. ERR_CORRUPT, and some rows may be stored then. */
err chunk_load(bytes chunk, const struct table_def *def, struct table *table, uint32_t *rows, struct diag *diag);
