/* shared_query — one query, however many clients hold it.
 *
 *     subscriber ──> query set ──> holding ──> shared query
 *                                  ^______________| holders
 *
 * A holding is one query in one client's set. The shared query knows all its holdings and each holding knows its
 * place among them, so that letting go is one swap.
 *
 * Rules
 *   H1  query->holders[holding->place] == holding, for every holding of every set. */
#pragma once

#include "base/buf.h"
#include "proto/row_list.h"
#include "sql/query.h"
#include "sub/table_watch.h"

struct subscriber;

struct holding {
    struct shared_query *query;
    struct query_set *set;
    uint32_t place; /* in query->holders */
};

/* What a client subscribed with one request. */
struct query_set {
    uint32_t id;
    struct subscriber *subscriber;
    struct opening *opening; /* its first rows are on their way: not owned */
    bool was_told;           /* a commit has brought it something */
    uint32_t count;
    struct holding holdings[]; /* in request order */
};

struct query_list {
    struct shared_query **queries; /* owned; the queries are not */
    uint32_t count;
    uint32_t capacity;
};

/* Changed rows of one table, for a query that cannot judge a row by itself. */
struct change_list {
    struct row_change {
        bytes row; /* a view into the delta */
        bool is_insert;
    } *rows; /* owned */
    uint32_t count, capacity;
};

struct first_rows;
struct opening;
struct window;

struct shared_query {
    struct query *query; /* owned; NULL while it is broken: see registry_recompile() */
    struct query_caller caller;
    uint32_t table_id; /* of the rows it gives */
    bytes key;  /* owned; made by registry.c */
    bytes text; /* the end of the key */

    struct holding **holders; /* owned */
    uint32_t holder_count;
    uint32_t holder_capacity;
    struct first_rows *first_rows; /* being worked out, or done and not out of date; not held */
    uint64_t request; /* the last request that named it, to see a text twice in one */

    /* Where a changed row finds it. */
    struct watcher watchers[2]; /* of its table; of either table of a join */
    struct join_step steps[2];

    struct window *window; /* owned: of a query with an order, made for its first holder */
    struct query_gates window_gates; /* where the window ends, while the watcher stands there */
    struct query_range window_range;
    struct buf window_value;

    /* What the running commit brings: fanout's. */
    bool touched;
    struct row_list inserts;
    struct row_list deletes;
    struct change_list changes[2]; /* of either table; none where a row is judged at once */
    struct diag *failure;          /* owned: why it ends with this commit; NULL: it does not */
    size_t update_start; /* of the encoded update, when it is small */
    size_t update_size;
    struct shared *update; /* when it is large */
};

/* Takes `query` over and copies the key, whose last bytes are the text. */
struct shared_query *shared_query_new(struct query *query, const struct query_caller *caller, bytes key,
                                      size_t text_size);
void shared_query_free(struct shared_query *query);

/* Rows behind a full window change nothing: its end is a gate like any other, but one that moves. False where it has no
 * end, or the plan's gates are single values. */
bool shared_query_window_end(const struct shared_query *query, struct query_range *range);
/* Points the watchers at the plan's gates, or at the window's end where that says more. They stand nowhere. */
void shared_query_aim(struct shared_query *query);

/* First rows that are good until a commit touches the query. */
void shared_query_set_first_rows(struct shared_query *query, struct first_rows *rows);
void shared_query_forget_first_rows(struct shared_query *query);

/* Joins a holding to its query, and parts them. */
void shared_query_hold(struct shared_query *query, struct holding *holding);
void shared_query_let_go(struct holding *holding);

/* Adds a row to what the commit brings. ERR_TOO_LARGE beyond what one message may hold. */
err shared_query_put(struct shared_query *query, struct row_list *list, bytes row, struct diag *diag);
void change_list_add(struct change_list *list, bytes row, bool is_insert);

/* Whether a row is judged by itself, and not by what else there is. */
bool shared_query_is_plain(const struct shared_query *query);

/* The first changed row of a commit puts the query on `touched`. */
void shared_query_touch(struct shared_query *query, struct query_list *touched);

void query_list_init(struct query_list *list);
void query_list_deinit(struct query_list *list);
void query_list_add(struct query_list *list, struct shared_query *query);
