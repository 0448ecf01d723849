/* fanout — one commit on its way to those who watch it.
 *
 * The rows have been handed to the queries. Now each touched query is encoded once (Q2), each holder gets it on its
 * list, and each client's list becomes the body of one TransactionUpdate (Q3, Q4, Q5). All memory is used again at the
 * next commit. */
#pragma once

#include "sub/shared_query.h"
#include "sub/subs.h"

struct fanout {
    struct query_list touched;
    struct subscriber **concerned; /* owned: the list */
    uint32_t concerned_count;
    uint32_t concerned_capacity;
    struct buf updates;        /* small updates of all touched queries, back to back */
    struct buf large;          /* a large one, before it is shared */
    struct buf body;           /* inline bytes of one client's parts */
    struct update_part *parts; /* owned */
    uint32_t part_capacity;
};

void fanout_init(struct fanout *fanout);
void fanout_deinit(struct fanout *fanout);

/* Delivers what the queries on fanout->touched have, and clears them. */
void fanout_deliver(struct fanout *fanout, subs_deliver_fn *deliver, void *context);
