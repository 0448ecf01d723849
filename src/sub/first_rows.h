/* first_rows — the rows of queries as they are at one moment, worked out beside the engine.
 *
 * A subscription to much is not answered on the spot: its rows are read from a frozen view (store/frozen.h) on another
 * thread, while the engine goes on. The query is live from that moment on; what commits bring it goes out behind its
 * first rows.
 *
 * A view has no indexes. So all queries of a batch that read one table read it in one pass, and a row finds its
 * queries as a changed row does (table_watch.h); a join gets a hash table of its second side.
 *
 * Threads  made, held and let go of on the engine's thread; first_rows_work() runs on any one other. */
#pragma once

#include "proto/row_list.h"
#include "sql/query.h"
#include "store/frozen.h"
#include "sub/subs.h"

#include <stdatomic.h>

/* Of one query; shared by all who ask for it at that moment, or later while no commit has touched it. */
struct first_rows {
    uint32_t holders;
    struct first_rows **known; /* where the query knows it, not as a holder; NULL when it has forgotten it */
    bytes text; /* owned */
    struct query_caller caller;
    uint32_t table_ids[2]; /* it is read from; the same twice when it is one */
    struct first_rows *next; /* of the batch */
    struct row_list rows;    /* while it is worked on */
    err code;
    struct diag diag;        /* when the code is not OK */
    struct shared *encoded;  /* row list; NULL before, and when the code is not OK */
    struct translation translation; /* of it */
    bool is_done;            /* the engine's: both are good */
};

struct first_rows_batch {
    struct frozen *frozen;    /* owned until the work is done */
    struct first_rows *first; /* each held once by the batch */
};

struct first_rows *first_rows_new(const struct query *query, bytes text, const struct query_caller *caller);
struct first_rows *first_rows_hold(struct first_rows *rows);
void first_rows_let_go(struct first_rows *rows); /* NULL is fine */

/* Whether anybody still holds rows of the batch, which may be NULL. The engine's thread. */
bool first_rows_are_awaited(const struct first_rows_batch *batch);
/* Fills every member and drops the view. Ends early, with ERR_BUSY, once *stops is set. */
void first_rows_work(struct first_rows_batch *batch, const atomic_bool *stops);
/* On the engine's thread again: the members are good, and the batch is freed. Also for a batch never worked on. */
void first_rows_finish(struct first_rows_batch *batch);
