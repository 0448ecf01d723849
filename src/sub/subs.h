/* subs — who is to be told what when a commit changes rows.
 *
 * Equal queries are one: one plan, one evaluation a commit, one encoded update, however many clients hold
 * it. A commit finds the queries it may concern through a lookup, not by asking all: by table, and within a
 * table by the values and ranges of a column that a query demands (table_watch.h). What cannot be looked up so is
 * asked row by row.
 *
 * What a row means to a query depends on the query: over one table it is told as it is (collect.h); in a join its
 * partners are looked up (join.h); where rows are ordered and counted it may move others (window.h).
 *
 *     delta row ──> table ──> column = value, or in a range ──> shared queries ──> holders (client, query set)
 *
 * Rules
 *   Q1  A commit does not look at a query that its rows cannot touch: other tables, other constants.
 *   Q2  Rows of a query that a commit changed are encoded once and shared.
 *   Q3  Nothing is merged across queries: two overlapping queries of one client deliver a row twice.
 *   Q4  Per client, query sets ascend by id and tables by name.
 *   Q5  A client that is told by table hears of one set, numbered 0, with all that its sets bring of a table under that
 *       table's name once. So clients whose sets bring the same are told the same, whatever their sets are called. */
#pragma once

#include "proto/row_list.h"
#include "sql/query.h"
#include "txn/delta.h"

struct subs;
struct shared_query;

/* One client's subscriptions; embedded in the engine's client. */
struct subscriber {
    uint32_t set_count, set_capacity;
    struct query_set **sets;         /* owned; ascending by id */
    uint32_t query_count;            /* in all sets */
    bool by_table;                   /* Q5; whoever embeds it says so before the first set */
    struct holding **items;          /* owned; what the running commit brings it, empty between commits */
    uint32_t item_count, item_capacity;
};

struct subs *subs_new(void);
void subs_free(struct subs *subs);
void subscriber_init(struct subscriber *subscriber);

/* Bounds on one client. The rows of one answer end below what the sizes on the wire can say. */
enum { SUBS_QUERIES_MAX = 10000, SUBS_SETS_MAX = 10000, SUBS_ROWS_SIZE_MAX = 1 << 30 };

/* Compiles and registers a whole set, or nothing: ERR_BUSY when the id is in use, ERR_TOO_LARGE beyond the bounds
 * above and the caller's row limit, ERR_OUT_OF_TIME when its rows take too long, errors of query_compile. Byte-equal
 * texts (trimmed) in one set count once; `SELECT * FROM *` is a query for each table that the caller may read and that
 * keeps rows.
 * `store` is the tables' state now; the initial rows are appended to `out` as QueryRows (u32 tables; per
 * table: name, row list): one entry a query in request order, but none for a query on an empty table. */
struct store;
struct opening;
err subs_subscribe(struct subs *subs, struct subscriber *subscriber, const struct query_caller *caller, const struct store *store,
                   uint32_t query_set_id, struct reader queries, uint32_t query_count, struct buf *out,
                   struct opening **opening, struct diag *diag);
/* Removes a set. With `out`, the current rows of its queries are appended as QueryRows. ERR_NOT_FOUND; ERR_TOO_LARGE
 * or ERR_OUT_OF_TIME when the rows are too many: the set stays then. */
err subs_unsubscribe(struct subs *subs, struct subscriber *subscriber, const struct store *store, uint32_t query_set_id,
                     struct buf *out, struct opening **opening, struct diag *diag);

/* Rows that take long. With `opening` in the two functions above (NULL: all is done on the spot), *opening may be set,
 * and nothing is appended: the rows, as they are now, are still to be worked out. The set is live all the same. The
 * caller takes the batch before anything changes, with what other calls have wanted until then, has it worked on
 * (first_rows.h), and holds back what the client is told until the opening is ready. */
struct first_rows_batch *subs_take_batch(struct subs *subs, struct store *store); /* NULL: others work on all of it */
/* Instead, when a request that wanted rows by several calls is refused after all. */
void subs_leave_batch(struct subs *subs);
bool opening_is_ready(const struct opening *opening);
/* When it is ready: why there are no rows. */
err opening_check(const struct opening *opening, struct diag *diag);
size_t opening_size(const struct opening *opening); /* of all rows, once that is OK */
struct update_part;
uint32_t opening_part_count(const struct opening *opening);
/* The QueryRows. What was awaited is a shared part of its own, the row list of one query. */
void opening_parts(const struct opening *opening, struct update_part *parts);
/* Where they who work on awaited rows keep what they say for them in other words, for all who wait for the same; it goes
 * with the last of them. NULL for parts that were not awaited. */
struct translation {
    bool is_made;
    struct shared *rows; /* owned; NULL: there is no such thing */
};
struct translation *opening_translation(struct opening *opening, uint32_t part);
void opening_free(struct opening *opening); /* at any time; NULL is fine */
/* Instead, when there are no rows: ends the set if it is still there. True when commits have been told to it. */
bool subs_abandon(struct subs *subs, struct opening *opening);
/* Removes all sets of a client that goes. */
void subs_drop(struct subs *subs, struct subscriber *subscriber);

/* Works out one commit; `store` is the tables' state after it. Calls `deliver` once for each client that it concerns,
 * with the body of its TransactionUpdate (u32 query sets, ...) as parts: small bytes and, for large row lists, shared
 * buffers.
 * Order of clients is not defined. The one whose call made the commit is delivered to as well: its part goes into
 * its ReducerResult, which is for `deliver` to know. `deliver` keeps shared buffers by shared_ref(), copies inline
 * bytes, and changes no subscription. */
struct update_part { bytes inline_bytes; struct shared *shared; }; /* shared != NULL: its data instead */
/* Up to this size a copy per client costs less than counting holders of a shared buffer. */
enum { UPDATE_INLINE_MAX = 1024 };
typedef void subs_deliver_fn(void *context, struct subscriber *subscriber, const struct update_part *parts, uint32_t part_count);
/* Appends the body in one piece, for who has to read it again; without parts it is one of no query sets. */
void update_parts_put(struct buf *out, const struct update_part *parts, uint32_t count);
/* A query that cannot be kept up to date any longer ends the sets that hold it: `ended` is told before anything is
 * delivered, and changes no subscription. All else goes on. */
typedef void subs_ended_fn(void *context, struct subscriber *subscriber, uint32_t query_set_id, const struct diag *diag);
void subs_publish(struct subs *subs, const struct store *store, const struct delta *delta, subs_deliver_fn *deliver,
                  subs_ended_fn *ended, void *context);

/* The query of a set that has one alone, as it is compiled now; NULL for other sets. */
const struct query *subscriber_only_query(const struct subscriber *subscriber, uint32_t query_set_id);
/* Tells the id of every table that a query reads; some more than once. */
void subs_each_table(const struct subs *subs, void (*each)(void *context, uint32_t table_id), void *context);
/* The same of one client's queries: a table once for each query that reads it. */
void subscriber_each_table(const struct subscriber *subscriber, void (*each)(void *context, uint32_t table_id),
                           void *context);
/* Ends all sets with a query on this table, as one that cannot be kept up to date any longer. Not within a commit. */
void subs_end_table(struct subs *subs, uint32_t table_id, const struct diag *why, subs_ended_fn *ended, void *context);

/* After a migration: queries point at the schema, so all are compiled again. The old schema may be gone by then. A set
 * with a query that no longer compiles ends as a whole, others live on: `ended` is told the set and the reason, and
 * changes no subscription. */
void subs_recompile(struct subs *subs, const struct schema *schema, subs_ended_fn *ended, void *context);

uint32_t subs_query_count(const struct subs *subs); /* distinct */
/* How often a changed row was put to a query since the start: what Q1 keeps low. */
uint64_t subs_offer_count(const struct subs *subs);
