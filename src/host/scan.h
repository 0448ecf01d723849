/* scan — the open walks of a call.
 *
 * A walk takes the references of its rows when it is opened; the table may change under it. The lists are
 * used again from call to call.
 *
 * Rules
 *   K1  All lists together hold no more than SCAN_REFS_MAX references: 4 bytes each, so a guest cannot
 *       inflate them.
 *   K2  A number names one walk. Kept after its end, it names none, also when its place is used again. */
#pragma once

#include "base/err.h"
#include "store/page.h"

struct bound_table;

enum { SCAN_REFS_MAX = 16 << 20, SCANS_MAX = 1 << 14 };

struct scan {
    const struct bound_table *table; /* NULL: closed */
    rowref *refs;                    /* owned */
    uint32_t count, capacity;
    uint32_t place;
    uint32_t uses;                   /* K2 */
};

struct scans {
    struct scan *items; /* owned */
    uint32_t count;     /* places ever used in this call */
    uint32_t capacity;
    uint32_t closed;    /* places below count that are free */
    uint64_t held;      /* K1: capacities of all lists */
};

void scans_deinit(struct scans *scans);
/* A free one, empty; NULL when too many are open. Good until the next is opened. */
struct scan *scans_open(struct scans *scans, const struct bound_table *table);
int32_t scans_number(const struct scans *scans, const struct scan *scan);
struct scan *scans_find(struct scans *scans, int32_t number); /* NULL: closed */
void scans_close(struct scans *scans, struct scan *scan);
void scans_close_all(struct scans *scans);
/* False when K1 forbids it. */
bool scans_add_ref(struct scans *scans, struct scan *scan, rowref ref);
