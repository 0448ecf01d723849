/* table — the rows of one table, their indexes and sequences.
 *
 * Changes come from txn/ and from replay only. This layer keeps rows and indexes consistent; it knows
 * nothing of undo.
 *
 * Rules
 *   B1  Tables are sets: no two live rows have the same bytes. Where no unique index gives that, a
 *       hidden hash index over whole rows does.
 *   B2  A sequence's reservation is never handed out twice, whatever is rolled back or crashes: a batch is
 *       logged before its first value is used, and a restart goes on behind the last batch.
 *   B3  A float in a column of an index is neither NaN nor minus zero (store/float_key.h). */
#pragma once

#include "store/hashindex.h"
#include "store/index.h"

enum { SEQUENCE_BATCH = 4096 };

/* Exhausted when `next` is beyond the last value; nothing wraps and nothing is cut. */
struct sequence {
    const struct sequence_def *def; /* borrowed: the schema in force */
    __int128 next;                  /* the value that comes next */
    __int128 reserved;              /* values up to here (exclusive, in the direction of increment) are logged as taken */
};

struct table {
    const struct table_def *def; /* borrowed: the schema in force */
    struct pages pages;
    uint32_t index_count;
    struct index **indexes;      /* owned; same order as def->indexes */
    struct index *identity;      /* borrowed: the unique index that finds equal rows; NULL: row_set does (B1) */
    struct hashindex row_set;    /* by the hash of whole rows; entries only where identity is NULL */
    uint64_t row_seed;
    uint32_t sequence_count;
    struct sequence *sequences;  /* owned */
    void *writes;                /* the running transaction's list for this table, or NULL; txn's */
    uint32_t float_key_count;
    uint16_t *float_keys;        /* owned: columns that B3 is about */
};

/* All tables of one database, by id. */
struct store {
    struct schema *schema; /* owned: the one in force, NULL before the first publish */
    uint32_t table_count;
    struct table **tables; /* owned; same order as schema->tables */
    uint32_t derived_count;
    uint32_t derived_free;  /* no place before it is free */
    struct table **derived; /* the list is owned, its tables are not: place is the id without SCHEMA_DERIVED_ID; NULL: none */
};

void store_init(struct store *store);
void store_deinit(struct store *store);
struct table *store_find(const struct store *store, uint32_t table_id); /* NULL when absent */
/* An id that no derived table has. */
uint32_t store_derived_id(const struct store *store);
/* Puts a table that is worked out from others beside them: store_find() finds it. It is in no snapshot and in no log. */
void store_attach(struct store *store, struct table *table);
void store_detach(struct store *store, const struct table *table);
struct table *store_find_named(const struct store *store, bytes name);  /* NULL when absent */
struct index *store_find_index(const struct store *store, uint32_t index_id, struct table **table);
/* For replay: values up to `reserved` may have been handed out. False when no table has the sequence. */
bool store_restore_sequence(struct store *store, uint32_t sequence_id, __int128 reserved);

/* Puts a new schema in force: takes `schema` over and frees the old one. The migration was planned from
 * store->schema to `schema`. Refused as a whole (ERR_MIGRATION) when data stands against it: a table to
 * be removed holds rows, a unique index would have duplicates, a new sequence's range holds values. Nothing
 * has changed then, `schema` stays the caller's, and `fault` (may be NULL) says which table it is. Rows get defaults
 * for added columns here, at the cost of a second copy of such a table while it is made. */
struct migration;
err store_migrate(struct store *store, struct schema *schema, const struct migration *plan, struct schema_fault *fault,
                  struct diag *diag);

struct table *table_new(const struct table_def *def);
void table_free(struct table *table); /* NULL is fine */
/* The value of a column inside a row. */
const uint8_t *table_column(const struct table *table, const uint8_t *row, uint32_t column);
/* Bytes of rows and indexes. */
uint64_t table_memory(const struct table *table);

/* A live row equal to `row`, ROWREF_NONE if none. */
rowref table_find_equal(const struct table *table, bytes row);
/* Adds to / removes from all indexes; slot and rules are the caller's. */
void table_link(struct table *table, rowref ref);
void table_unlink(struct table *table, rowref ref);
/* The next value of the table's sequence at `place`, as the bytes of its column. `reserve` is told of a new
 * batch before any of its values is given. ERR_SEQUENCE when none is left. */
typedef void sequence_reserve_fn(void *context, uint32_t sequence_id, __int128 reserved);
err sequence_take(struct table *table, uint32_t place, sequence_reserve_fn *reserve, void *context, uint8_t *value,
                  struct diag *diag);
/* Goes on behind a logged batch; false when the table has no such sequence. */
bool sequence_restore(struct table *table, uint32_t sequence_id, __int128 reserved);
/* For running a logged call again: the sequence goes back to this value of its column, where that is one of the last
 * `count` before the end of the reservation, and goes on with it. The lowest of several (the highest of a descending
 * one) wins. */
void sequence_go_back(struct table *table, uint32_t place, const uint8_t *value, uint64_t count);
/* Whether the column's value is one that the sequence could hand out. */
bool sequence_covers(const struct sequence_def *def, const struct type *type, const uint8_t *value);

/* Stores and links a row that is known to be allowed. False when the table is full. */
bool table_put(struct table *table, bytes row);
/* Whether the definition makes a table with the same columns, indexes and sequences, in the same order. */
bool table_has_shape(const struct table *table, const struct table_def *def);
/* Replaces the definitions by those of another schema; table_has_shape() holds for them. */
void table_rebind(struct table *table, const struct table_def *def);

/* Whether a row that comes from a file may be put beside those that are there: B1, X2. ERR_CORRUPT. */
err table_admits(const struct table *table, bytes row, struct diag *diag);

/* Replay and snapshot loading: no checks, no undo. The row to erase must be there (ERR_CORRUPT). */
void table_restore(struct table *table, bytes row);
err table_erase(struct table *table, bytes row, struct diag *diag);
/* The same promises as far as rows go, for who tells of what is wrong instead of stopping: looks at up to `count`
 * rows behind *ref (ROWREF_NONE: from the first one on, and at the totals) and moves it. False when it has come to
 * the end. The table may change between two steps. */
typedef void table_fault_fn(void *context, const char *text);
bool table_inspect(const struct table *table, rowref *ref, uint32_t count, table_fault_fn *fault, void *context);
/* Verifies B1, indexes and pages; check() on failure. */
void table_check(const struct table *table);
