#include "store/btree.h"

#include "sats/bsatn.h"

/* 64 entries: twelve cache lines a leaf, of which a search touches about three. */
enum { NODE_MAX = 64, NODE_MIN = NODE_MAX / 4, NODE_MERGED_MAX = NODE_MAX * 3 / 4, HEIGHT_MAX = 16 };
enum { LINE_PREFIXES = 8 }; /* of a cache line */
enum { STEP_MAX = 16 };     /* from a key to the next, for who goes through them in order */
_Static_assert(NODE_MAX == LINE_PREFIXES * LINE_PREFIXES, "a search looks at every line once and at one line whole");

struct btree_node {
    uint32_t count;
    rowref refs[NODE_MAX];
    uint64_t prefixes[NODE_MAX];
};

struct leaf {
    struct btree_node node;
    struct leaf *previous;
    struct leaf *next;
};

struct inner {
    struct btree_node node;
    struct btree_node *children[NODE_MAX]; /* owned */
};

/* What a search looks for: an entry, or a place before or after all entries of a key. */
struct target {
    int side; /* -1 or 1: before or behind all entries, by their stem; nothing else matters then */
    uint64_t prefix;
    rowref ref;
    enum { TARGET_ENTRY, TARGET_BEFORE, TARGET_AFTER } tie;
    struct key_at at;
};

/* The way from the root to a leaf; level 0 is the leaf. */
struct path {
    struct btree_node *nodes[HEIGHT_MAX];
    uint32_t places[HEIGHT_MAX];
};

static inline struct leaf *as_leaf(const struct btree_node *node)
{
    return (struct leaf *)node;
}

static inline struct inner *as_inner(const struct btree_node *node)
{
    return (struct inner *)node;
}

static struct btree_node *node_new(struct btree *tree, uint32_t level)
{
    const size_t size = level == 0 ? sizeof(struct leaf) : sizeof(struct inner);
    tree->byte_count += size;
    return memory_new(size);
}

static void node_free(struct btree *tree, struct btree_node *node, uint32_t level)
{
    if (tree->finger == node)
        tree->finger = NULL;
    tree->byte_count -= level == 0 ? sizeof(struct leaf) : sizeof(struct inner);
    memory_free(node);
}

static void node_free_all(struct btree *tree, struct btree_node *node, uint32_t level)
{
    for (uint32_t place = 0; level > 0 && place < node->count; place++)
        node_free_all(tree, as_inner(node)->children[place], level - 1);
    node_free(tree, node, level);
}

void btree_init(struct btree *tree, const struct key *key, const struct pages *pages, bool is_hashed)
{
    *tree = (struct btree){ .key = key, .pages = pages, .is_hashed = is_hashed };
    btree_rebind(tree);
    tree->root = node_new(tree, 0);
}

void btree_deinit(struct btree *tree)
{
    node_free_all(tree, tree->root, tree->height);
    *tree = (struct btree){ 0 };
}

void btree_rebind(struct btree *tree)
{
    stem_init(&tree->stem, tree->key->types[0]);
    tree->tied_from = tree->is_hashed ? tree->key->column_count : bsatn_prefix_is_exact(tree->key->types[0]) ? 1 : 0;
}

/* --- Searching --- */

static struct key_at key_of_ref(const struct btree *tree, rowref ref)
{
    return key_in_row(tree->key, pages_row(tree->pages, ref)->data);
}

static uint64_t prefix_of(const struct btree *tree, const struct key_at *at)
{
    if (tree->is_hashed)
        return key_hash(tree->key, at);
    return tree->stem.applies ? stem_prefix(&tree->stem, at->column[0]) : bsatn_prefix(tree->key->types[0], at->column[0]);
}

static struct target target_of_ref(const struct btree *tree, rowref ref)
{
    struct target target = { .ref = ref, .tie = TARGET_ENTRY, .at = key_of_ref(tree, ref) };
    target.prefix = prefix_of(tree, &target.at);
    return target;
}

static struct target target_of_bound(const struct btree *tree, const struct btree_bound *bound)
{
    return (struct target){ .side = tree->stem.applies && !tree->is_hashed
                                        ? stem_side(&tree->stem, bound->at->column[0]) : 0,
                            .prefix = prefix_of(tree, bound->at),
                            .tie = bound->after ? TARGET_AFTER : TARGET_BEFORE,
                            .at = *bound->at };
}

/* Whether an entry of the target's prefix stands before the target. Reads the entry's row where needed (T2). */
static bool tied_is_before(const struct btree *tree, rowref ref, const struct target *target)
{
    if (tree->tied_from < target->at.count) {
        const struct key_at at = key_of_ref(tree, ref);
        const int order = key_compare(tree->key, &at, &target->at, tree->tied_from);
        if (order != 0)
            return order < 0;
    }
    return target->tie == TARGET_ENTRY ? ref < target->ref : target->tie == TARGET_AFTER;
}

/* How many of eight places from `first` on, `step` apart, hold this prefix or a lower one. */
static inline uint32_t prefix_count(const struct btree_node *node, uint32_t first, uint32_t step, uint64_t prefix)
{
    uint32_t count = 0;
    for (uint32_t idx = 0; idx < LINE_PREFIXES; idx++, first += step)
        count += (first < node->count) & (node->prefixes[first] <= prefix);
    return count;
}

/* How many entries have this prefix or a lower one. First the lines, then in the line: loads that do not wait for each
 * other, and no branch, since which way a search goes cannot be predicted. */
static inline uint32_t prefix_rank(const struct btree_node *node, uint64_t prefix)
{
    const uint32_t lines = prefix_count(node, 0, LINE_PREFIXES, prefix);
    if (lines == 0)
        return 0;
    const uint32_t first = (lines - 1) * LINE_PREFIXES;
    return first + prefix_count(node, first, 1, prefix);
}

/* The number of entries before the target. Rows are looked at only among entries of its prefix. */
static uint32_t node_search(const struct btree *tree, const struct btree_node *node, const struct target *target)
{
    if (target->side != 0)
        return target->side < 0 ? 0 : node->count;
    uint32_t high = prefix_rank(node, target->prefix);
    if (high == 0 || node->prefixes[high - 1] != target->prefix)
        return high;
    uint32_t low = target->prefix > 0 ? prefix_rank(node, target->prefix - 1) : 0;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (tied_is_before(tree, node->refs[middle], target))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The child that holds the target, or its neighbour to the left when the target lies between two. */
static uint32_t child_search(const struct btree *tree, const struct btree_node *node, const struct target *target)
{
    const uint32_t place = node_search(tree, node, target);
    if (place < node->count && target->tie == TARGET_ENTRY && node->refs[place] == target->ref)
        return place;
    return place > 0 ? place - 1 : 0;
}

static void descend(const struct btree *tree, const struct target *target, struct path *path)
{
    struct btree_node *node = tree->root;
    for (uint32_t level = tree->height; level > 0; level--) {
        path->nodes[level] = node;
        path->places[level] = child_search(tree, node, target);
        node = as_inner(node)->children[path->places[level]];
    }
    path->nodes[0] = node;
    path->places[0] = node_search(tree, node, target);
}

static const struct leaf *edge_leaf(const struct btree *tree, bool last)
{
    const struct btree_node *node = tree->root;
    for (uint32_t level = tree->height; level > 0; level--)
        node = as_inner(node)->children[last ? node->count - 1 : 0];
    return as_leaf(node);
}

/* --- Moving entries --- */

static void entries_move(struct btree_node *to, uint32_t to_place, const struct btree_node *from, uint32_t place,
                         uint32_t count, uint32_t level)
{
    memmove(&to->prefixes[to_place], &from->prefixes[place], count * sizeof to->prefixes[0]);
    memmove(&to->refs[to_place], &from->refs[place], count * sizeof to->refs[0]);
    if (level > 0)
        memmove(&as_inner(to)->children[to_place], &as_inner(from)->children[place],
                count * sizeof(struct btree_node *));
}

static void entry_put(struct btree_node *node, uint32_t place, uint64_t prefix, rowref ref)
{
    node->prefixes[place] = prefix;
    node->refs[place] = ref;
}

static void entry_insert(struct btree_node *node, uint32_t place, uint64_t prefix, rowref ref, struct btree_node *child,
                         uint32_t level)
{
    check(node->count < NODE_MAX && place <= node->count);
    entries_move(node, place + 1, node, place, node->count - place, level);
    entry_put(node, place, prefix, ref);
    if (level > 0)
        as_inner(node)->children[place] = child;
    node->count++;
}

static void entry_erase(struct btree_node *node, uint32_t place, uint32_t level)
{
    check(place < node->count);
    entries_move(node, place, node, place + 1, node->count - place - 1, level);
    node->count--;
}

static void leaf_link_after(struct leaf *leaf, struct leaf *fresh)
{
    fresh->previous = leaf;
    fresh->next = leaf->next;
    if (leaf->next != NULL)
        leaf->next->previous = fresh;
    leaf->next = fresh;
}

static void leaf_unlink(struct leaf *leaf)
{
    if (leaf->previous != NULL)
        leaf->previous->next = leaf->next;
    if (leaf->next != NULL)
        leaf->next->previous = leaf->previous;
}

/* --- Adding --- */

/* Moves the upper part of a full node to a new right neighbour. A node that grows at its end keeps as much as
 * it may: rows that come in order leave full nodes behind. Inner nodes never fall under the least size. */
static struct btree_node *node_split(struct btree *tree, struct btree_node *node, uint32_t level, uint32_t place)
{
    struct btree_node *right = node_new(tree, level);
    const uint32_t at_end = level == 0 ? node->count : node->count - NODE_MIN;
    const uint32_t keep = place == node->count ? at_end : node->count / 2;
    entries_move(right, 0, node, keep, node->count - keep, level);
    right->count = node->count - keep;
    node->count = keep;
    if (level == 0)
        leaf_link_after(as_leaf(node), as_leaf(right));
    return right;
}

static void root_grow(struct btree *tree, struct btree_node *right)
{
    struct btree_node *left = tree->root;
    check(tree->height + 1 < HEIGHT_MAX);
    tree->root = node_new(tree, ++tree->height);
    entry_insert(tree->root, 0, left->prefixes[0], left->refs[0], left, tree->height);
    entry_insert(tree->root, 1, right->prefixes[0], right->refs[0], right, tree->height);
}

/* Inserts at path->places[level]; splits upwards as needed. */
static void insert_at(struct btree *tree, struct path *path, uint32_t level, uint64_t prefix, rowref ref,
                      struct btree_node *child)
{
    struct btree_node *node = path->nodes[level];
    const uint32_t place = path->places[level];
    if (node->count < NODE_MAX) {
        entry_insert(node, place, prefix, ref, child, level);
        return;
    }
    struct btree_node *right = node_split(tree, node, level, place);
    if (place > node->count || right->count == 0)
        entry_insert(right, place - node->count, prefix, ref, child, level);
    else
        entry_insert(node, place, prefix, ref, child, level);

    if (level == tree->height) {
        root_grow(tree, right);
        return;
    }
    path->places[level + 1]++;
    insert_at(tree, path, level + 1, right->prefixes[0], right->refs[0], right);
}

/* T2 after the smallest entry under a node has changed. */
static void lower_smallest(const struct btree *tree, struct path *path, uint64_t prefix, rowref ref)
{
    for (uint32_t level = 1; level <= tree->height; level++) {
        entry_put(path->nodes[level], path->places[level], prefix, ref);
        if (path->places[level] > 0)
            return;
    }
}

/* Prefixes of all entries under a node, after the stem has changed. Their order stays. */
static void renew_prefixes(const struct btree *tree, struct btree_node *node, uint32_t level)
{
    for (uint32_t place = 0; place < node->count; place++) {
        if (level > 0)
            renew_prefixes(tree, as_inner(node)->children[place], level - 1);
        const struct key_at at = key_of_ref(tree, node->refs[place]);
        node->prefixes[place] = prefix_of(tree, &at);
    }
}

/* Makes room for a key in the stem. */
static void stem_admit(struct btree *tree, rowref ref)
{
    const struct key_at at = key_of_ref(tree, ref);
    if (tree->count == 0)
        stem_start(&tree->stem, at.column[0]);
    else if (stem_shorten(&tree->stem, at.column[0]))
        renew_prefixes(tree, tree->root, tree->height);
}

void btree_add(struct btree *tree, rowref ref)
{
    if (tree->stem.applies && !tree->is_hashed)
        stem_admit(tree, ref);
    const struct target target = target_of_ref(tree, ref);
    struct path path;
    descend(tree, &target, &path);
    if (path.places[0] == 0)
        lower_smallest(tree, &path, target.prefix, ref);
    insert_at(tree, &path, 0, target.prefix, ref, NULL);
    tree->count++;
}

/* --- Removing --- */

/* Brings a small child and a neighbour to a good size: into one node, or half and half. */
static void balance(struct btree *tree, struct btree_node *parent, uint32_t place, uint32_t level)
{
    const uint32_t left_place = place + 1 < parent->count ? place : place - 1;
    struct btree_node *left = as_inner(parent)->children[left_place];
    struct btree_node *right = as_inner(parent)->children[left_place + 1];
    const uint32_t total = left->count + right->count;
    const uint32_t half = total <= NODE_MERGED_MAX ? total : total / 2;

    if (left->count < half) {
        const uint32_t moved = half - left->count;
        entries_move(left, left->count, right, 0, moved, level);
        entries_move(right, 0, right, moved, right->count - moved, level);
    } else {
        const uint32_t moved = left->count - half;
        entries_move(right, moved, right, 0, right->count, level);
        entries_move(right, 0, left, half, moved, level);
    }
    left->count = half;
    right->count = total - half;
    entry_put(parent, left_place, left->prefixes[0], left->refs[0]);
    if (right->count > 0) {
        entry_put(parent, left_place + 1, right->prefixes[0], right->refs[0]);
        return;
    }
    entry_erase(parent, left_place + 1, level + 1);
    if (level == 0)
        leaf_unlink(as_leaf(right));
    node_free(tree, right, level);
}

static void root_shrink(struct btree *tree)
{
    while (tree->height > 0 && tree->root->count == 1) {
        struct btree_node *child = as_inner(tree->root)->children[0];
        node_free(tree, tree->root, tree->height--);
        tree->root = child;
    }
}

/* After an entry has left the node at `level`: sizes and T2 up to the root. A node under the least size has
 * a neighbour: inner nodes have that many children, and a root with one gives way to it. */
static void settle(struct btree *tree, struct path *path)
{
    for (uint32_t level = 0; level < tree->height; level++) {
        struct btree_node *node = path->nodes[level];
        struct btree_node *parent = path->nodes[level + 1];
        const uint32_t place = path->places[level + 1];
        check(parent->count > 1);
        if (node->count < NODE_MIN)
            balance(tree, parent, place, level);
        else if (parent->refs[place] != node->refs[0])
            entry_put(parent, place, node->prefixes[0], node->refs[0]);
        else
            break;
    }
    root_shrink(tree);
}

void btree_remove(struct btree *tree, rowref ref)
{
    const struct target target = target_of_ref(tree, ref);
    struct path path;
    descend(tree, &target, &path);
    struct btree_node *leaf = path.nodes[0];
    check(path.places[0] < leaf->count && leaf->refs[path.places[0]] == ref);
    entry_erase(leaf, path.places[0], 0);
    tree->count--;
    if (leaf->count == 0 && tree->finger == leaf)
        tree->finger = NULL;
    settle(tree, &path);
}

/* --- Reading --- */

static bool has_key(const struct btree *tree, rowref ref, const struct key_at *at)
{
    const struct key_at found = key_of_ref(tree, ref);
    return key_equal(tree->key, &found, at);
}

/* The last entry with this prefix or a lower one; the first when all are higher. */
static uint32_t prefix_search(const struct btree_node *node, uint64_t prefix)
{
    const uint32_t rank = prefix_rank(node, prefix);
    return rank > 0 ? rank - 1 : 0;
}

static bool leaf_covers(const struct btree_node *leaf, uint64_t prefix)
{
    return leaf != NULL && leaf->prefixes[0] <= prefix && prefix <= leaf->prefixes[leaf->count - 1];
}

/* Where prefixes tell all, no row is looked at. The finger is a memory of the search, not of the tree. */
static rowref find_exact(const struct btree *tree, uint64_t prefix)
{
    const struct btree_node *node = tree->finger;
    if (!leaf_covers(node, prefix)) {
        node = tree->root;
        for (uint32_t level = tree->height; level > 0; level--)
            node = as_inner(node)->children[prefix_search(node, prefix)];
        if (node->count == 0)
            return ROWREF_NONE;
        ((struct btree *)tree)->finger = (struct btree_node *)node;
    }
    const uint32_t place = prefix_search(node, prefix);
    return node->prefixes[place] == prefix ? node->refs[place] : ROWREF_NONE;
}

/* The first entry not before the key, and in a hashed tree the others of its hash. */
static rowref find_tied(const struct btree *tree, const struct key_at *at)
{
    const struct target target = target_of_bound(tree, &(struct btree_bound){ at, false });
    struct path path;
    if (target.side != 0)
        return ROWREF_NONE;
    descend(tree, &target, &path);
    uint32_t place = path.places[0];
    for (const struct leaf *leaf = as_leaf(path.nodes[0]); leaf != NULL; leaf = leaf->next, place = 0) {
        for (; place < leaf->node.count; place++) {
            if (leaf->node.prefixes[place] != target.prefix)
                return ROWREF_NONE;
            if (has_key(tree, leaf->node.refs[place], at))
                return leaf->node.refs[place];
            if (!tree->is_hashed)
                return ROWREF_NONE;
        }
    }
    return ROWREF_NONE;
}

static bool is_exact(const struct btree *tree)
{
    return tree->tied_from == tree->key->column_count && !tree->is_hashed;
}

rowref btree_find(const struct btree *tree, const struct key_at *at)
{
    return is_exact(tree) ? find_exact(tree, prefix_of(tree, at)) : find_tied(tree, at);
}

/* An update asks for the key that has just been found; only if that was in this way it is worth following. */
bool btree_find_next(const struct btree *tree, const uint8_t *column, rowref *found)
{
    if (!is_exact(tree))
        return false;
    const uint64_t prefix = bsatn_prefix(tree->key->types[0], column), step = prefix - tree->last_prefix;
    ((struct btree *)tree)->last_prefix = prefix;
    if (step > STEP_MAX || (step == 0 && !leaf_covers(tree->finger, prefix)))
        return false;
    *found = find_exact(tree, prefix);
    return true;
}

struct walk {
    const struct btree *tree;
    const struct key_at *only; /* hashed: the key that rows must have */
    bool (*each)(void *context, rowref ref);
    void *context;
};

static bool walk_visit(const struct walk *walk, rowref ref)
{
    if (walk->only != NULL && !has_key(walk->tree, ref, walk->only))
        return true;
    return walk->each(walk->context, ref);
}

static void walk_up(const struct walk *walk, const struct leaf *leaf, uint32_t place, const struct target *end)
{
    for (; leaf != NULL; leaf = leaf->next, place = 0) {
        const uint32_t stop = end == NULL ? leaf->node.count : node_search(walk->tree, &leaf->node, end);
        for (; place < stop; place++)
            if (!walk_visit(walk, leaf->node.refs[place]))
                return;
        if (stop < leaf->node.count)
            return;
    }
}

static void walk_down(const struct walk *walk, const struct leaf *leaf, uint32_t place, const struct target *end)
{
    for (; leaf != NULL; leaf = leaf->previous, place = leaf == NULL ? 0 : leaf->node.count) {
        const uint32_t stop = end == NULL ? 0 : node_search(walk->tree, &leaf->node, end);
        for (; place > stop; place--)
            if (!walk_visit(walk, leaf->node.refs[place - 1]))
                return;
        if (stop > 0)
            return;
    }
}

void btree_walk(const struct btree *tree, struct btree_bound lower, struct btree_bound upper, bool reverse,
                bool (*each)(void *context, rowref ref), void *context)
{
    const struct walk walk = { tree, tree->is_hashed ? lower.at : NULL, each, context };
    const struct btree_bound begin = reverse ? upper : lower;
    const struct btree_bound end = reverse ? lower : upper;
    const struct leaf *leaf;
    uint32_t place;
    if (begin.at == NULL) {
        leaf = edge_leaf(tree, reverse);
        place = reverse ? leaf->node.count : 0;
    } else {
        const struct target target = target_of_bound(tree, &begin);
        struct path path;
        descend(tree, &target, &path);
        leaf = as_leaf(path.nodes[0]);
        place = path.places[0];
    }
    struct target stop;
    if (end.at != NULL)
        stop = target_of_bound(tree, &end);
    (reverse ? walk_down : walk_up)(&walk, leaf, place, end.at == NULL ? NULL : &stop);
}

/* --- Verifying --- */

static void entry_check_order(const struct btree *tree, const struct btree_node *left, uint32_t left_place,
                              const struct btree_node *right, uint32_t right_place)
{
    const struct target target = target_of_ref(tree, right->refs[right_place]);
    check(target.prefix == right->prefixes[right_place]);
    const uint64_t prefix = left->prefixes[left_place];
    check(prefix < target.prefix ||
          (prefix == target.prefix && tied_is_before(tree, left->refs[left_place], &target))); /* T1 */
}

static uint64_t node_check(const struct btree *tree, const struct btree_node *node, uint32_t level)
{
    check(node->count > 0 && node->count <= NODE_MAX); /* T3 */
    for (uint32_t place = 1; place < node->count; place++)
        entry_check_order(tree, node, place - 1, node, place);
    if (level == 0)
        return node->count;

    uint64_t count = 0;
    for (uint32_t place = 0; place < node->count; place++) {
        const struct btree_node *child = as_inner(node)->children[place];
        check(child->refs[0] == node->refs[place] && child->prefixes[0] == node->prefixes[place]); /* T2 */
        count += node_check(tree, child, level - 1);
    }
    return count;
}

void btree_check(const struct btree *tree)
{
    check(tree->finger == NULL || tree->finger->count > 0);
    if (tree->height == 0 && tree->root->count == 0) {
        check(tree->count == 0);
        return;
    }
    check(node_check(tree, tree->root, tree->height) == tree->count);
    uint64_t count = 0;
    const struct leaf *previous = NULL;
    for (const struct leaf *leaf = edge_leaf(tree, false); leaf != NULL; previous = leaf, leaf = leaf->next) {
        check(leaf->previous == previous);
        if (previous != NULL)
            entry_check_order(tree, &previous->node, previous->node.count - 1, &leaf->node, 0);
        count += leaf->node.count;
    }
    check(count == tree->count);
}
