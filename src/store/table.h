/* table — the rows of one table, their indexes and sequences.
 *
 * Changes come from txn/ and from replay only. This layer keeps rows and indexes consistent; it knows
 * nothing of undo.
 *
 * Rules
 *   B1  Tables are sets: no two live rows have the same bytes. Where no unique index gives that, a
 *       hidden hash index over whole rows does.
 *   B2  A sequence's reservation is never handed out twice, whatever is rolled back or crashes. */
#pragma once

#include "store/index.h"

enum { SEQUENCE_BATCH = 4096 };

struct sequence {
    const struct sequence_def *def;
    __int128 next;      /* the value that comes next */
    __int128 reserved;  /* values up to here (exclusive, in the direction of increment) are logged as taken */
    bool exhausted;
};

struct table {
    const struct table_def *def;  /* borrowed: the schema in force */
    struct pages pages;
    uint32_t index_count;
    struct index **indexes;       /* owned; same order as def->indexes */
    struct index *row_set;        /* owned; NULL when a unique index keeps rows apart (B1) */
    uint32_t sequence_count;
    struct sequence *sequences;   /* owned */
    void *writes;                 /* the running transaction's list for this table, or NULL; txn's */
};

/* All tables of one database, by id. */
struct store {
    struct schema *schema;        /* owned: the one in force, NULL before the first publish */
    uint32_t table_count;
    struct table **tables;        /* owned; same order as schema->tables */
};

void store_init(struct store *store);
void store_deinit(struct store *store);
struct table *store_find(const struct store *store, uint32_t table_id); /* NULL when absent */
struct table *store_find_named(const struct store *store, bytes name);  /* NULL when absent */
struct index *store_find_index(const struct store *store, uint32_t index_id, struct table **table);

/* Puts a new schema in force: takes `schema` over and frees the old one. The migration was planned from
 * store->schema to `schema`. Refused as a whole (ERR_MIGRATION) when data stands against it: a table to
 * be removed holds rows, a unique index would have duplicates, a sequence's range holds values. Nothing
 * has changed then, and `schema` stays the caller's. Rows get defaults for added columns here. */
struct migration;
err store_migrate(struct store *store, struct schema *schema, const struct migration *plan, struct diag *diag);

struct table *table_new(const struct table_def *def);
void table_free(struct table *table);
/* The value of a column inside a row. */
const uint8_t *table_column(const struct table *table, const uint8_t *row, uint32_t column);

/* A live row equal to `row`, ROWREF_NONE if none. */
rowref table_find_equal(const struct table *table, bytes row);
/* Adds to / removes from all indexes; slot and rules are the caller's. */
void table_link(struct table *table, rowref ref);
void table_unlink(struct table *table, rowref ref);
/* Replay and snapshot loading: no checks, no undo. The row to erase must be there (ERR_CORRUPT). */
void table_restore(struct table *table, bytes row);
err table_erase(struct table *table, bytes row, struct diag *diag);
/* Verifies B1, indexes and pages; check() on failure. */
void table_check(const struct table *table);
