/* page — a block of 64 KiB with rows of one size.
 *
 * Rows are found by a 32-bit reference instead of a pointer: indexes are half as large, and a table's
 * pages may move or be copied behind a reader's back: readers on other threads hold views of the pages of one
 * moment, and the writer goes on with copies (P4). Pages are read through pages_row() and written through
 * pages_writable(), and the compiler tells them apart.
 *
 *     row     | u32 head | BSATN bytes …      |   slot sizes: multiples of 4 up to 128, then 16 steps an octave
 *     head    bits 0..27 size of the bytes, bits 28..31 flags
 *
 * A row IS its BSATN bytes. The log, the delta, the wire and equality take them as they are; a column
 * before the first variable-size one is a load at a constant offset.
 *
 * Rows over a quarter of a page have a block of their own, which may be longer than a page. A page that
 * becomes empty goes back to the system while its class has room elsewhere.
 *
 * Rules
 *   P1  A slot is live when its page's bit says so. A free slot's bytes mean nothing.
 *   P2  row.head's flags are zero between transactions.
 *   P3  References are given again only after the transaction that freed them has ended: it hides rows
 *       (ROW_GONE) and frees their slots at its end.
 *   P4  A page that a view holds is never written: before its first change the writer's list gets a copy of it,
 *       and pointers into it are stale from then on. Views are made between transactions, so a page that the
 *       running one has changed stays where it is until the end. */
#pragma once

#include "store/block.h"

typedef uint32_t rowref; /* page number << 14 | slot offset in 4-byte units; ROWREF_NONE for none */

#define ROWREF_NONE UINT32_MAX

enum { PAGE_SIZE_BYTES = BLOCK_SIZE, ROW_SIZE_MAX = 1 << 24, ROWREF_PAGE_SHIFT = 14 };

enum row_flag {
    ROW_FRESH = 1u << 28,   /* inserted by the running transaction */
    ROW_CHANGED = 1u << 29, /* updated in place by it; it holds the old bytes */
    ROW_GONE = 1u << 30,    /* deleted by it; in no index any more, the slot waits for the end */
};
#define ROW_SIZE_MASK ((1u << 28) - 1)

struct row {
    uint32_t head;
    uint8_t data[];
};

static inline bytes row_bytes(const struct row *row) { return bytes_of(row->data, row->head & ROW_SIZE_MASK); }

struct page;

/* What the writer notes about a page. It lies beside the page: a view that holds the page never sees it change,
 * and a look at it costs no miss in the cache. */
struct page_note {
    uint32_t previous, next; /* neighbours among the class's pages with room */
    bool shared;             /* a view may hold the page (P4) */
};

/* All pages of one table. */
struct pages {
    struct page **pages;   /* index = page number; NULL where a page was given back */
    uint32_t count;
    uint32_t capacity;
    uint32_t first_vacant; /* no page number below it is unused */
    uint32_t passed;       /* in a view: the pages below were let go of */
    uint64_t row_count;    /* rows that can be read: live slots less hidden ones */
    uint64_t byte_count;   /* memory taken */
    uint32_t *roomy;       /* owned: per size class, the first of its pages with a free slot */
    struct page_note *notes; /* owned: index = page number; NULL in a view */
};

void pages_init(struct pages *pages);
void pages_deinit(struct pages *pages);
/* A slot for `size` bytes, head set to size, live. ROWREF_NONE when all page numbers are in use: 16 GiB. */
rowref pages_take(struct pages *pages, size_t size);
void pages_free(struct pages *pages, rowref ref);
/* Whether a row of `size` bytes fits the slot of `ref`, so that it can be changed in place. A slot more
 * than twice too large does not fit: rows that shrink give their room back. */
bool pages_fits(const struct pages *pages, rowref ref, size_t size);
/* Sets and clears ROW_GONE: a hidden row is not counted and not met by pages_next(). */
void pages_hide(struct pages *pages, rowref ref);
void pages_show(struct pages *pages, rowref ref);
/* The next live row after *ref in page order that is not hidden; start with ROWREF_NONE; NULL at the end. */
const struct row *pages_next(const struct pages *pages, rowref *ref);
/* The same for the last reading of a view, which lets go of each page behind it: the writer need not copy that one any
 * more. A row is good until the next one is asked for. */
const struct row *pages_pass(struct pages *view, rowref *ref);
/* Verifies P1 and the pages' own counts; check() on failure. */
void pages_check(const struct pages *pages);

/* A view of all pages as they are: `view` is for pages_next() and pages_row(), on any one thread, and shares the
 * pages until pages_drop(). Its pages may go before or after those it was made from. */
void pages_freeze(struct pages *pages, struct pages *view);
void pages_drop(struct pages *view);
/* Memory of the view's pages that are no longer the writer's. */
uint64_t pages_left_behind(const struct pages *view);
/* Gives the list a page of its own in place of one that views hold. */
void pages_part(struct pages *pages, uint32_t number);

static inline struct row *pages_locate(const struct pages *pages, rowref ref)
{
    uint8_t *page = (uint8_t *)pages->pages[ref >> ROWREF_PAGE_SHIFT];
    return (struct row *)(page + ((ref & ((1u << ROWREF_PAGE_SHIFT) - 1)) << 2));
}

static inline const struct row *pages_row(const struct pages *pages, rowref ref)
{
    return pages_locate(pages, ref);
}

/* The row, to be changed (P4). */
static inline struct row *pages_writable(struct pages *pages, rowref ref)
{
    if (pages->notes[ref >> ROWREF_PAGE_SHIFT].shared)
        pages_part(pages, ref >> ROWREF_PAGE_SHIFT);
    return pages_locate(pages, ref);
}
