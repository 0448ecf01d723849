/* row_list — many rows in one block: BsatnRowList.
 *
 * The hint is chosen by the rows' actual sizes: none: offsets, empty; all of one size from 1 to 65535:
 * FixedSize; else the offset of each row. */
#pragma once

#include "base/buf.h"

struct row_list {
    struct buf rows;      /* the rows back to back */
    struct buf offsets;   /* u64 start of each row; made only once sizes differ */
    uint32_t count;
    uint32_t size;        /* of every row so far, while they are equal */
    bool mixed;
};

void row_list_init(struct row_list *list);
void row_list_deinit(struct row_list *list);
void row_list_clear(struct row_list *list);
void row_list_add(struct row_list *list, bytes row);
/* Appends all of the BsatnRowList but the rows: they follow as they are in list->rows. */
void row_list_encode_head(struct buf *out, const struct row_list *list);
/* Appends the BsatnRowList. */
void row_list_encode(struct buf *out, const struct row_list *list);
size_t row_list_encoded_size(const struct row_list *list);

/* A TableUpdateRows: PersistentTable { inserts, deletes } or, for event tables, EventTable { events }. */
void row_list_update(struct buf *out, const struct row_list *inserts, const struct row_list *deletes);
void row_list_events(struct buf *out, const struct row_list *events);

/* A BsatnRowList as it stands: for the protocols that say the same in other words. */
struct row_list_view {
    bytes whole;      /* the list itself */
    uint32_t count;
    uint32_t size;    /* of every row; 0: `offsets` tell */
    const uint8_t *offsets;
    bytes rows;
};

/* Takes one list that this program has written. */
struct row_list_view row_list_view_take(struct reader *from);
bytes row_list_view_row(const struct row_list_view *view, uint32_t place);
/* Takes a TableUpdateRows. An event table's rows are inserts. */
void row_list_view_take_update(struct reader *from, struct row_list_view *inserts, struct row_list_view *deletes);
