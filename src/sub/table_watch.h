/* table_watch — finds, from a changed row of a table, the queries that it may concern.
 *
 *     watch over `item`
 *     ├── whole              posts of queries that any row may match
 *     ├── kind
 *     │   ├── = 17           posts of queries that demand kind = 17
 *     │   └── (20, 30]       ... and of those that demand a range
 *     └── owner = ann        ... edge ──> watch over `zone`
 *                                         └── name = 'north' ...
 *
 * A query stands at all of its gates (sql/gates.h), with a post at each. One that joins has a watcher for either
 * table; where the other table has gates too, its posts stand behind an edge: only a row whose partners come
 * through those gates concerns the query. So many joins that differ in what they demand of the other table cost one
 * probe of it, and not one each.
 *
 * Rules
 *   K1  A row that a query matches, or that stands in a pair of rows it matches, finds all its watchers of that
 *       table.
 *   K2  post->spot->posts[post->place] == post.
 *   K3  A spot, an edge or a watch behind an edge that holds nothing does not exist.
 *
 * Partners are those that are there after the commit and those that went with it. */
#pragma once

#include "base/map.h"
#include "sql/query.h"
#include "sub/partners.h"

struct shared_query;
struct post;
struct edge;
struct table_watch;
struct watched_column;

/* Where posts stand. */
struct spot {
    struct table_watch *watch;
    struct post **posts; /* owned: the list */
    uint32_t post_count, post_capacity;
    struct edge **edges; /* owned, with what they lead to */
    uint32_t edge_count;
};

struct table_watch {
    const struct table_def *table; /* borrowed: the schema in force */
    struct edge *edge;             /* that leads here, or NULL */
    struct spot whole;
    struct watched_column *columns; /* owned */
    uint32_t column_count;
};

/* The rows of the other table that a row has as partners. */
struct join_step {
    uint16_t column;                     /* of the watched table */
    const struct table_def *other;
    uint16_t other_column;
    const struct query_gates *gates;     /* of the other table */
};

/* One table of one query. */
struct watcher {
    struct shared_query *query;
    uint32_t side;
    const struct query_gates *gates; /* borrowed from the plan */
    const struct join_step *step;    /* borrowed; NULL: no other table */
    uint64_t found_by;               /* the last row that found it, so that it finds it once */
    struct post *posts;              /* owned; NULL: it stands nowhere */
    uint32_t post_count;
};

struct table_watch *table_watch_new(const struct table_def *table);
void table_watch_free(struct table_watch *watch); /* its watchers stand nowhere then */
bool table_watch_is_empty(const struct table_watch *watch);

void table_watch_add(struct table_watch *watch, struct watcher *watcher);
/* The watch itself stays. The watcher's plan must be the one it was added with. */
void table_watch_remove(struct watcher *watcher);

/* Calls `each` for the watchers that the row finds, except for those of watch->whole; for one it may be more than
 * once. */
typedef void table_watch_found_fn(void *context, struct watcher *watcher);
void table_watch_find(const struct table_watch *watch, struct partners *partners, const uint8_t *row, table_watch_found_fn *each,
                void *context);
struct watcher *table_watch_standing(const struct spot *spot, uint32_t place);
/* Whether table_watch_find() can find anything. */
bool table_watch_looks_up(const struct table_watch *watch);
