#include "sub/table_watch.h"

#include "sql/gates.h"
#include "sub/intervals.h"

/* One gate of a watcher. */
struct post {
    struct watcher *watcher;
    struct spot *spot;
    uint32_t place;
    const struct query_range *gate;       /* of the spot's watch; NULL: its whole */
    const struct query_range *outer_gate; /* of the watch that the edge starts in; likewise */
};

struct edge {
    struct spot *spot; /* it starts at */
    uint16_t column, other_column;
    struct table_watch *watch; /* owned: it leads to */
};

struct watched_column {
    uint16_t column;
    struct map points;          /* the value's bytes -> struct spot */
    struct intervals intervals; /* of struct spot */
};

/* Beyond so many posts a query stands at its own gates alone. */
enum { POSTS_MAX = 4096 };

struct table_watch *table_watch_new(const struct table_def *table)
{
    struct table_watch *watch = memory_new(sizeof *watch);
    watch->table = table;
    watch->whole.watch = watch;
    return watch;
}

bool table_watch_looks_up(const struct table_watch *watch)
{
    return watch->column_count > 0 || watch->whole.edge_count > 0;
}

bool table_watch_is_empty(const struct table_watch *watch)
{
    return watch->whole.post_count == 0 && !table_watch_looks_up(watch);
}

/* Taking apart -------------------------------------------------------------------------------------------------- */

/* A post that is left marks its watcher as standing nowhere; the last one of it frees them all. */
static void forget_post(struct post *post)
{
    struct watcher *watcher = post->watcher;
    if (--watcher->post_count > 0)
        return;
    memory_free(watcher->posts);
    watcher->posts = NULL;
}

static void spot_deinit(struct spot *spot)
{
    for (uint32_t idx = 0; idx < spot->post_count; idx++)
        forget_post(spot->posts[idx]);
    for (uint32_t idx = 0; idx < spot->edge_count; idx++) {
        table_watch_free(spot->edges[idx]->watch);
        memory_free(spot->edges[idx]);
    }
    memory_free(spot->posts);
    memory_free(spot->edges);
}

static void spot_free(void *context, void *spot)
{
    spot_deinit(spot);
    memory_free(spot);
}

static void column_deinit(struct watched_column *column)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&column->points, &place)) != NULL;)
        spot_free(NULL, entry->value);
    map_deinit(&column->points);
    intervals_each(&column->intervals, spot_free, NULL);
    intervals_deinit(&column->intervals);
}

void table_watch_free(struct table_watch *watch)
{
    spot_deinit(&watch->whole);
    for (uint32_t idx = 0; idx < watch->column_count; idx++)
        column_deinit(&watch->columns[idx]);
    memory_free(watch->columns);
    memory_free(watch);
}

/* Spots --------------------------------------------------------------------------------------------------------- */

static struct watched_column *find_column(const struct table_watch *watch, uint16_t column)
{
    for (uint32_t idx = 0; idx < watch->column_count; idx++) {
        if (watch->columns[idx].column == column)
            return &watch->columns[idx];
    }
    return NULL;
}

static struct watched_column *add_column(struct table_watch *watch, uint16_t column)
{
    watch->columns = memory_resize(watch->columns, sizeof *watch->columns * (watch->column_count + 1));
    struct watched_column *added = &watch->columns[watch->column_count++];
    added->column = column;
    map_init(&added->points);
    intervals_init(&added->intervals, watch->table->columns[column].type);
    return added;
}

static struct spot *spot_new(struct table_watch *watch)
{
    struct spot *spot = memory_new(sizeof *spot);
    spot->watch = watch;
    return spot;
}

static struct spot *add_spot(struct table_watch *watch, const struct query_range *gate)
{
    if (gate == NULL)
        return &watch->whole;
    struct watched_column *column = find_column(watch, gate->column);
    if (column == NULL)
        column = add_column(watch, gate->column);
    if (!gate_is_point(gate)) {
        struct interval *interval = intervals_add(&column->intervals, gate);
        if (interval->item == NULL)
            interval->item = spot_new(watch);
        return interval->item;
    }
    struct spot *spot = map_find(&column->points, gate->lower);
    if (spot == NULL) {
        spot = spot_new(watch);
        map_put(&column->points, gate->lower, spot);
    }
    return spot;
}

static void drop_edge(struct edge *edge)
{
    struct spot *spot = edge->spot;
    uint32_t place = 0;
    while (spot->edges[place] != edge)
        place++;
    spot->edges[place] = spot->edges[--spot->edge_count];
    table_watch_free(edge->watch);
    memory_free(edge);
}

/* K3, from a post that has gone up to where something is left. */
static void drop_if_empty(struct spot *spot, const struct query_range *gate, const struct query_range *outer_gate)
{
    struct table_watch *watch = spot->watch;
    if (spot->post_count > 0 || spot->edge_count > 0)
        return;
    if (gate != NULL) {
        struct watched_column *column = find_column(watch, gate->column);
        if (gate_is_point(gate))
            check(map_remove(&column->points, gate->lower) == spot);
        else
            intervals_remove(&column->intervals, gate);
        spot_free(NULL, spot);
        if (column->points.count == 0 && column->intervals.count == 0) {
            column_deinit(column);
            *column = watch->columns[--watch->column_count];
        }
    }
    if (watch->edge == NULL || !table_watch_is_empty(watch))
        return;
    struct spot *outer = watch->edge->spot;
    drop_edge(watch->edge);
    drop_if_empty(outer, outer_gate, NULL);
}

/* Posts --------------------------------------------------------------------------------------------------------- */

static void put_post(struct spot *spot, struct post *post)
{
    if (spot->post_count == spot->post_capacity) {
        spot->post_capacity = spot->post_capacity == 0 ? 1 : spot->post_capacity * 2;
        spot->posts = memory_resize(spot->posts, sizeof *spot->posts * spot->post_capacity);
    }
    post->spot = spot;
    post->place = spot->post_count;
    spot->posts[spot->post_count++] = post;
}

static struct edge *add_edge(struct spot *spot, const struct join_step *step)
{
    for (uint32_t idx = 0; idx < spot->edge_count; idx++) {
        struct edge *edge = spot->edges[idx];
        if (edge->column == step->column && edge->other_column == step->other_column &&
            edge->watch->table == step->other)
            return edge;
    }
    struct edge *edge = memory_new(sizeof *edge);
    *edge = (struct edge){ spot, step->column, step->other_column, table_watch_new(step->other) };
    edge->watch->edge = edge;
    spot->edges = memory_resize(spot->edges, sizeof *spot->edges * (spot->edge_count + 1));
    spot->edges[spot->edge_count++] = edge;
    return edge;
}

static uint32_t gate_count(const struct query_gates *gates)
{
    return gates->count > 0 ? gates->count : 1;
}

static const struct query_range *gate_at(const struct query_gates *gates, uint32_t place)
{
    return gates->count > 0 ? &gates->ranges[place] : NULL;
}

/* Whether the watcher's posts stand behind edges. */
static bool stands_behind(const struct watcher *watcher)
{
    const struct join_step *step = watcher->step;
    return step != NULL && step->gates->count > 0 &&
           (uint64_t)gate_count(watcher->gates) * step->gates->count <= POSTS_MAX;
}

static void add_behind(struct watcher *watcher, struct spot *spot, const struct query_range *outer_gate,
                       struct post *posts)
{
    struct edge *edge = add_edge(spot, watcher->step);
    for (uint32_t idx = 0; idx < watcher->step->gates->count; idx++) {
        const struct query_range *gate = &watcher->step->gates->ranges[idx];
        posts[idx] = (struct post){ .watcher = watcher, .gate = gate, .outer_gate = outer_gate };
        put_post(add_spot(edge->watch, gate), &posts[idx]);
    }
}

void table_watch_add(struct table_watch *watch, struct watcher *watcher)
{
    check(watcher->posts == NULL);
    const bool behind = stands_behind(watcher);
    const uint32_t posts_a_gate = behind ? watcher->step->gates->count : 1;
    watcher->post_count = gate_count(watcher->gates) * posts_a_gate;
    watcher->posts = memory_new(sizeof *watcher->posts * watcher->post_count);
    for (uint32_t idx = 0; idx < gate_count(watcher->gates); idx++) {
        const struct query_range *gate = gate_at(watcher->gates, idx);
        struct spot *spot = add_spot(watch, gate);
        struct post *posts = &watcher->posts[idx * posts_a_gate];
        if (behind) {
            add_behind(watcher, spot, gate, posts);
            continue;
        }
        posts[0] = (struct post){ .watcher = watcher, .gate = gate };
        put_post(spot, &posts[0]);
    }
}

void table_watch_remove(struct watcher *watcher)
{
    for (uint32_t idx = 0; idx < watcher->post_count; idx++) {
        struct post *post = &watcher->posts[idx];
        struct spot *spot = post->spot;
        check(spot->posts[post->place] == post); /* K2 */
        struct post *last = spot->posts[--spot->post_count];
        spot->posts[post->place] = last;
        last->place = post->place;
        drop_if_empty(spot, post->gate, post->outer_gate);
    }
    memory_free(watcher->posts);
    watcher->posts = NULL;
    watcher->post_count = 0;
}

struct watcher *table_watch_standing(const struct spot *spot, uint32_t place)
{
    return spot->posts[place]->watcher;
}

/* Finding ------------------------------------------------------------------------------------------------------- */

struct search {
    struct partners *partners;
    const uint8_t *row; /* of the outer watch */
    table_watch_found_fn *each;
    void *context;
};

static void visit_spot(const struct search *search, const struct spot *spot);

static void visit_item(void *context, void *item)
{
    visit_spot(context, item);
}

static void look_up(const struct search *search, const struct table_watch *watch, const uint8_t *row)
{
    for (uint32_t idx = 0; idx < watch->column_count; idx++) {
        const struct watched_column *column = &watch->columns[idx];
        const bytes value = partners_value(watch->table, row, column->column);
        const struct spot *spot = column->points.count > 0 ? map_find(&column->points, value) : NULL;
        if (spot != NULL)
            visit_spot(search, spot);
        intervals_stab(&column->intervals, value.at, visit_item, (void *)search);
    }
}

struct crossing {
    const struct search *search;
    const struct edge *edge;
};

static bool visit_partner(void *context, bytes row)
{
    const struct crossing *crossing = context;
    if (crossing->search->partners->crossings_left == 0)
        return false;
    crossing->search->partners->crossings_left--;
    look_up(crossing->search, crossing->edge->watch, row.at);
    return true;
}

static void visit_former_partner(void *context, bytes row, bool is_insert)
{
    if (!is_insert)
        (void)visit_partner(context, row);
}

/* Where partners are too many to be looked at, every query behind the edge is found. */
static void visit_all(const struct search *search, const struct table_watch *watch)
{
    for (uint32_t idx = 0; idx < watch->column_count; idx++) {
        uint32_t place = 0;
        for (struct map_entry *entry; (entry = map_next(&watch->columns[idx].points, &place)) != NULL;)
            visit_spot(search, entry->value);
        intervals_each(&watch->columns[idx].intervals, visit_item, (void *)search);
    }
}

static void cross_edge(const struct search *search, const struct table_watch *from, const struct edge *edge)
{
    struct crossing crossing = { search, edge };
    const struct table_def *other = edge->watch->table;
    const bytes value = partners_value(from->table, search->row, edge->column);
    partners_stored(search->partners, other, edge->other_column, value, visit_partner, &crossing);
    partners_changed(search->partners, other, edge->other_column, value, visit_former_partner, &crossing);
    if (search->partners->crossings_left == 0)
        visit_all(search, edge->watch);
}

static void visit_spot(const struct search *search, const struct spot *spot)
{
    for (uint32_t idx = 0; idx < spot->post_count; idx++)
        search->each(search->context, spot->posts[idx]->watcher);
    for (uint32_t idx = 0; idx < spot->edge_count; idx++)
        cross_edge(search, spot->watch, spot->edges[idx]);
}

void table_watch_find(const struct table_watch *watch, struct partners *partners, const uint8_t *row,
                      table_watch_found_fn *each, void *context)
{
    const struct search search = { partners, row, each, context };
    look_up(&search, watch, row);
    for (uint32_t idx = 0; idx < watch->whole.edge_count; idx++)
        cross_edge(&search, watch, watch->whole.edges[idx]);
}
