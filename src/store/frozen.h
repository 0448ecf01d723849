/* frozen — the tables of one moment, for readers that must not stop the writer.
 *
 * Freezing copies the lists of pages, not the pages. From then on a page that the frozen view holds is never
 * written: before its first change the writer puts a copy of it in its place and leaves the old one to the
 * view (pages_writable(), P4). Row references stay good, since they go through the list.
 *
 * What the writer may notice: one copy of 64 KiB at its first change to each page, or of the whole row where a
 * row has a block of its own; and that memory until the view has been passed. Readers that pass it also make memory
 * ready for such copies (block.h).
 *
 * Rules
 *   F1  A view shows exactly the rows that were live when it was made, between two transactions.
 *   F2  A page belongs to the writer's list, to views, or to both; the last that lets go of it frees it.
 *   F3  A view keeps the schema it was made under (schema_ref).
 *
 * Threads  made on the engine's thread; read and dropped on any one thread. */
#pragma once

#include "store/table.h"

struct frozen;

/* Between two transactions only (F1). */
struct frozen *store_freeze(struct store *store);
/* Of these tables only: the others are left empty, and cost their writer nothing. */
struct frozen *store_freeze_some(struct store *store, const uint32_t *table_ids, uint32_t count);
void frozen_drop(struct frozen *frozen); /* NULL is fine */

const struct schema *frozen_schema(const struct frozen *frozen);
uint32_t frozen_table_count(const struct frozen *frozen); /* as frozen_schema()->tables */
uint64_t frozen_row_count(const struct frozen *frozen, uint32_t table);
/* The rows of a table, in page order: start with *ref = ROWREF_NONE; NULL at the end. */
const struct row *frozen_next(const struct frozen *frozen, uint32_t table, rowref *ref);
/* The same for who reads a table for the last time: what is behind the row is let go of, and the writer need not copy
 * it any more. A row is good until the next one is asked for. */
const struct row *frozen_pass(struct frozen *frozen, uint32_t table, rowref *ref);
/* How far a sequence was reserved. `place` counts the table's sequences. */
__int128 frozen_sequence(const struct frozen *frozen, uint32_t table, uint32_t place);
/* Bytes of pages that the writer has left to views: what this one keeps from being freed. */
uint64_t frozen_memory(const struct frozen *frozen);
