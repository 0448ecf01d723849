/* undo_plan — what has to be done to take back what some records changed, worked out from the log alone.
 *
 * Per row, told apart by its primary key, else by another unique index, else by all its bytes:
 *
 *     before     as the first of those records found it
 *     left       as the last of them left it
 *     now        as it is at the end of the log
 *
 * Undoing is going from `left` to `before`. Where `now` is not `left`, or where others changed the row between two of
 * those records, somebody has built on it: that is a conflict, and the row is named with who did it and when.
 *
 * Rows of event tables were never stored; sequences stay advanced (B2). */
#pragma once

#include "base/arena.h"
#include "engine/selection.h"

enum { UNDO_ROWS_MAX = 1 << 20, UNDO_BYTES_MAX = 64 << 20 };

/* Somebody's later change. */
struct undo_blame {
    uint64_t offset;
    int64_t timestamp_us;
    bool has_who;
    identity who;
    bytes what; /* the reducer's name, or the record's kind */
};

struct undo_row {
    uint32_t table_id;
    bool was_built_on;              /* between two of the records */
    bytes before, left, now;        /* at is NULL: no such row */
    const struct undo_blame *blame; /* the last change by others; NULL: none */
};

struct undo_plan {
    struct arena arena;    /* owns what rows point to */
    struct schema *schema; /* one holder: that of the end of the log */
    struct map rows;       /* table id and key -> struct undo_row * */
    struct buf order;      /* the same rows, struct undo_row *, in the order of their first change */
    size_t byte_count;
    uint64_t end;          /* records below it were read */
    uint32_t record_count; /* that were selected and changed something */
    uint64_t event_rows;   /* in tables that keep none */
};

void undo_plan_init(struct undo_plan *plan);
void undo_plan_deinit(struct undo_plan *plan);
/* ERR_NOT_FOUND outside of what is kept; ERR_MIGRATION when a table has changed its columns or its key since;
 * ERR_TOO_LARGE. */
err undo_plan_make(struct undo_plan *plan, struct history *history, struct selection *selection, struct diag *diag);

static inline uint32_t undo_plan_count(const struct undo_plan *plan)
{
    return (uint32_t)(plan->order.size / sizeof(struct undo_row *));
}
const struct undo_row *undo_plan_row(const struct undo_plan *plan, uint32_t idx);
/* Whether undoing it does anything, and whether it is in the way. */
bool undo_row_matters(const struct undo_row *row);
bool undo_row_conflicts(const struct undo_row *row);
