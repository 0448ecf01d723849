/* writes — what the running transaction has done to one table, one entry a row.
 *
 * The row's flags and its entry together tell where it stands:
 *
 *     ROW_FRESH               inserted; the slot holds what it has become
 *     ROW_FRESH | ROW_GONE    came and went
 *     ROW_CHANGED             updated in place; the entry holds what it was
 *     ROW_CHANGED | ROW_GONE  updated, then deleted; likewise
 *     ROW_GONE                deleted; the slot holds what it was
 *
 * So going back needs no order: first every new key leaves the indexes, then every old one returns.
 *
 * Rules
 *   L1  A row has one entry, made by its first change.
 *   L2  Old bytes are kept by place, not by pointer: the buffer they lie in may move until commit. */
#pragma once

#include "base/buf.h"
#include "store/table.h"
#include "txn/delta.h"

#define WRITES_NO_OLD UINT32_MAX

struct writes_entry {
    rowref ref;
    uint32_t old_size; /* WRITES_NO_OLD when there are no old bytes */
    uint64_t old_place;
};

struct writes {
    struct table *table; /* borrowed */
    struct writes_entry *entries; /* owned */
    uint32_t count;
    uint32_t capacity;
    uint32_t peak_count;  /* the most entries there have been since writes_trim() */
    uint32_t fresh_count; /* rows that came */
    uint32_t gone_count;  /* rows that went, also of those that came */
    const struct index *updated_by; /* borrowed: the index of updates in place */
    bool is_mixed;        /* they went through several, or changed the key itself */
    bool is_repeated;     /* they met a row twice: it may be again what it was */
    bytes *deletes;       /* owned: the delta's lists */
    bytes *inserts;       /* owned */
    uint32_t list_capacity;
    struct buf scratch;   /* owned */
};

struct writes *writes_new(void);
void writes_free(struct writes *writes);
/* Readies the list for the next table. */
void writes_reset(struct writes *writes);
/* Gives back the memory that no table has needed since the last call; between transactions. */
void writes_trim(struct writes *writes);

/* Rows coming and going, with their index entries. False when the table is full. */
bool writes_insert(struct writes *writes, bytes row, rowref *ref);
void writes_delete(struct writes *writes, rowref ref);
/* A row goes and comes as another in a slot of its own. False when the table is full, and then the row is as it was. */
bool writes_move(struct writes *writes, rowref from, bytes row, rowref *to);
/* Replaces the bytes in place by others; `same` is the index that found the row and in which it keeps its key, NULL if it does
 * not. */
void writes_overwrite(struct writes *writes, rowref ref, bytes row, const struct index *same, struct buf *old_rows);

/* Brings everything back as it was. */
void writes_undo(struct writes *writes, const struct buf *old_rows);
/* The net effect, as lists over slots and old bytes; flags but ROW_GONE are cleared. Rows of event tables
 * leave the table here (D3). False when there is none. */
bool writes_settle(struct writes *writes, const struct buf *old_rows, struct delta_table *net);
/* Frees the slots of rows that went. */
void writes_sweep(struct writes *writes);
