#include "store/direct.h"

enum { FANOUT_BITS = 6, FANOUT = 1 << FANOUT_BITS, HEIGHT_MAX = 10 }; /* 11 times 6 bits reach 64 */

struct chunk {
    uint32_t count;
    rowref refs[FANOUT]; /* ROWREF_NONE where there is no row */
};

struct node {
    uint32_t count;
    void *children[FANOUT]; /* owned; NULL where there is nothing */
};

static uint32_t shift_of(uint32_t level)
{
    return level * FANOUT_BITS;
}

static uint32_t place_of(uint64_t value, uint32_t level)
{
    return (uint32_t)(value >> shift_of(level)) & (FANOUT - 1);
}

/* Whether a tree of this height has a place for the value. */
static bool reaches(uint32_t height, uint64_t value)
{
    return height >= HEIGHT_MAX || value >> shift_of(height + 1) == 0;
}

static size_t size_of(uint32_t level)
{
    return level == 0 ? sizeof(struct chunk) : sizeof(struct node);
}

static void *node_new(struct direct *direct, uint32_t level)
{
    direct->byte_count += size_of(level);
    void *fresh = memory_new(size_of(level));
    if (level == 0)
        memset(((struct chunk *)fresh)->refs, 0xff, sizeof((struct chunk *)fresh)->refs);
    return fresh;
}

static void node_free(struct direct *direct, void *at, uint32_t level)
{
    direct->byte_count -= size_of(level);
    memory_free(at);
}

static void node_free_all(struct direct *direct, void *at, uint32_t level)
{
    for (uint32_t place = 0; level > 0 && place < FANOUT; place++)
        if (((struct node *)at)->children[place] != NULL)
            node_free_all(direct, ((struct node *)at)->children[place], level - 1);
    node_free(direct, at, level);
}

void direct_init(struct direct *direct)
{
    *direct = (struct direct){ 0 };
}

void direct_deinit(struct direct *direct)
{
    if (direct->root != NULL)
        node_free_all(direct, direct->root, direct->height);
    direct_init(direct);
}

/* Puts nodes above the root until the value has a place. */
static void grow(struct direct *direct, uint64_t value)
{
    if (direct->root == NULL) {
        direct->height = 0;
        while (!reaches(direct->height, value))
            direct->height++;
        direct->root = node_new(direct, direct->height);
    }
    while (!reaches(direct->height, value)) {
        struct node *above = node_new(direct, direct->height + 1);
        above->children[0] = direct->root;
        above->count = 1;
        direct->root = above;
        direct->height++;
    }
}

void direct_add(struct direct *direct, uint64_t value, rowref ref)
{
    grow(direct, value);
    void *at = direct->root;
    for (uint32_t level = direct->height; level > 0; level--) {
        struct node *node = at;
        void **child = &node->children[place_of(value, level)];
        if (*child == NULL) {
            *child = node_new(direct, level - 1);
            node->count++;
        }
        at = *child;
    }
    struct chunk *chunk = at;
    check(chunk->refs[place_of(value, 0)] == ROWREF_NONE);
    chunk->refs[place_of(value, 0)] = ref;
    chunk->count++;
    direct->count++;
}

/* Removes the value under `*at` and frees what becomes empty (R1). */
static void remove_under(struct direct *direct, void **at, uint32_t level, uint64_t value)
{
    check(*at != NULL);
    const uint32_t place = place_of(value, level);
    uint32_t left;
    if (level == 0) {
        struct chunk *chunk = *at;
        check(chunk->refs[place] != ROWREF_NONE);
        chunk->refs[place] = ROWREF_NONE;
        left = --chunk->count;
    } else {
        struct node *node = *at;
        remove_under(direct, &node->children[place], level - 1, value);
        left = node->children[place] == NULL ? --node->count : node->count;
    }
    if (left == 0) {
        node_free(direct, *at, level);
        *at = NULL;
    }
}

void direct_remove(struct direct *direct, uint64_t value)
{
    check(reaches(direct->height, value));
    remove_under(direct, &direct->root, direct->height, value);
    direct->count--;
}

rowref direct_find(const struct direct *direct, uint64_t value)
{
    if (!reaches(direct->height, value))
        return ROWREF_NONE;
    const void *at = direct->root;
    for (uint32_t level = direct->height; level > 0 && at != NULL; level--)
        at = ((const struct node *)at)->children[place_of(value, level)];
    return at == NULL ? ROWREF_NONE : ((const struct chunk *)at)->refs[place_of(value, 0)];
}

struct walk {
    uint64_t lower;
    uint64_t upper;
    bool reverse;
    bool (*each)(void *context, rowref ref);
    void *context;
};

/* `first` is the lowest value that has its place under `at`; only what overlaps the bounds is entered. */
static bool walk_under(const struct walk *walk, const void *at, uint32_t level, uint64_t first)
{
    for (uint32_t step = 0; step < FANOUT; step++) {
        const uint32_t place = walk->reverse ? FANOUT - 1 - step : step;
        const uint64_t low = first + ((uint64_t)place << shift_of(level));
        const uint64_t high = low + ((1ull << shift_of(level)) - 1);
        if (high < walk->lower || low > walk->upper)
            continue;
        if (level == 0) {
            const rowref ref = ((const struct chunk *)at)->refs[place];
            if (ref != ROWREF_NONE && !walk->each(walk->context, ref))
                return false;
        } else {
            const void *child = ((const struct node *)at)->children[place];
            if (child != NULL && !walk_under(walk, child, level - 1, low))
                return false;
        }
    }
    return true;
}

void direct_walk(const struct direct *direct, uint64_t lower, uint64_t upper, bool reverse,
                 bool (*each)(void *context, rowref ref), void *context)
{
    const struct walk walk = { lower, upper, reverse, each, context };
    if (direct->root != NULL && lower <= upper)
        walk_under(&walk, direct->root, direct->height, 0);
}

static uint64_t node_check(const void *at, uint32_t level)
{
    uint64_t rows = 0;
    uint32_t count = 0;
    for (uint32_t place = 0; place < FANOUT; place++) {
        if (level == 0 && ((const struct chunk *)at)->refs[place] != ROWREF_NONE) {
            count++;
            rows++;
        } else if (level > 0 && ((const struct node *)at)->children[place] != NULL) {
            count++;
            rows += node_check(((const struct node *)at)->children[place], level - 1);
        }
    }
    check(count > 0); /* R1 */
    check(count == (level == 0 ? ((const struct chunk *)at)->count : ((const struct node *)at)->count));
    return rows;
}

void direct_check(const struct direct *direct)
{
    check((direct->root == NULL) == (direct->count == 0));
    if (direct->root != NULL)
        check(node_check(direct->root, direct->height) == direct->count);
}
