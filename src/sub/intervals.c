#include "sub/intervals.h"

#include "base/hash.h"
#include "sats/bsatn.h"

void intervals_init(struct intervals *intervals, const struct type *type)
{
    *intervals = (struct intervals){ .type = type, .prefix_is_exact = bsatn_prefix_is_exact(type) };
}

static void node_free(struct interval *node)
{
    memory_free((void *)node->lower.value.at);
    memory_free((void *)node->upper.value.at);
    memory_free(node);
}

static void free_all(struct interval *node)
{
    if (node == NULL)
        return;
    free_all(node->left);
    free_all(node->right);
    node_free(node);
}

void intervals_deinit(struct intervals *intervals)
{
    free_all(intervals->root);
    memset(intervals, 0, sizeof *intervals);
}

static int compare_values(const struct intervals *intervals, const uint8_t *left, uint64_t left_prefix,
                          const uint8_t *right, uint64_t right_prefix)
{
    if (left_prefix != right_prefix)
        return left_prefix < right_prefix ? -1 : 1;
    return intervals->prefix_is_exact ? 0 : bsatn_compare(intervals->type, left, right);
}

/* Orders ends by the first value they let in (lower) or the last (upper). */
static int compare_ends(const struct intervals *intervals, const struct interval_end *left,
                        const struct interval_end *right, bool are_lower)
{
    const int outer = are_lower ? -1 : 1; /* where an open end and an included value lie */
    if (left->is_open || right->is_open)
        return outer * (left->is_open - right->is_open);
    const int order = compare_values(intervals, left->value.at, left->prefix, right->value.at, right->prefix);
    return order != 0 ? order : outer * (left->is_included - right->is_included);
}

static int compare_nodes(const struct intervals *intervals, const struct interval *left, const struct interval *right)
{
    const int order = compare_ends(intervals, &left->lower, &right->lower, true);
    return order != 0 ? order : compare_ends(intervals, &left->upper, &right->upper, false);
}

static struct interval_end end_of(const struct intervals *intervals, bool is_bound, bytes value, bool is_included)
{
    if (!is_bound)
        return (struct interval_end){ .is_open = true };
    return (struct interval_end){ value, bsatn_prefix(intervals->type, value.at), false, is_included };
}

/* A node that views the range's values: to look for it. */
static struct interval node_of(const struct intervals *intervals, const struct query_range *range)
{
    return (struct interval){
        .lower = end_of(intervals, range->has_lower, range->lower, range->lower_inclusive),
        .upper = end_of(intervals, range->has_upper, range->upper, range->upper_inclusive),
    };
}

static void note_highest(const struct intervals *intervals, struct interval *node)
{
    node->highest = node;
    for (int side = 0; side < 2; side++) {
        const struct interval *child = side == 0 ? node->left : node->right;
        if (child != NULL && compare_ends(intervals, &child->highest->upper, &node->highest->upper, false) > 0)
            node->highest = child->highest;
    }
}

struct interval *intervals_find(const struct intervals *intervals, const struct query_range *range)
{
    const struct interval wanted = node_of(intervals, range);
    for (struct interval *node = intervals->root; node != NULL;) {
        const int order = compare_nodes(intervals, &wanted, node);
        if (order == 0)
            return node;
        node = order < 0 ? node->left : node->right;
    }
    return NULL;
}

/* Parts a tree into the nodes before and behind `at`. */
static void split(const struct intervals *intervals, struct interval *tree, const struct interval *at,
                  struct interval **before, struct interval **behind)
{
    if (tree == NULL) {
        *before = *behind = NULL;
        return;
    }
    if (compare_nodes(intervals, tree, at) < 0) {
        split(intervals, tree->right, at, &tree->right, behind);
        *before = tree;
    } else {
        split(intervals, tree->left, at, before, &tree->left);
        *behind = tree;
    }
    note_highest(intervals, tree);
}

static struct interval *join(const struct intervals *intervals, struct interval *before, struct interval *behind)
{
    if (before == NULL || behind == NULL)
        return before != NULL ? before : behind;
    if (before->priority >= behind->priority) {
        before->right = join(intervals, before->right, behind);
        note_highest(intervals, before);
        return before;
    }
    behind->left = join(intervals, before, behind->left);
    note_highest(intervals, behind);
    return behind;
}

static struct interval *insert(const struct intervals *intervals, struct interval *tree, struct interval *node)
{
    if (tree == NULL || node->priority > tree->priority) {
        split(intervals, tree, node, &node->left, &node->right);
        note_highest(intervals, node);
        return node;
    }
    if (compare_nodes(intervals, node, tree) < 0)
        tree->left = insert(intervals, tree->left, node);
    else
        tree->right = insert(intervals, tree->right, node);
    note_highest(intervals, tree);
    return tree;
}

static void own_value(struct interval_end *end)
{
    if (!end->is_open)
        end->value.at = memory_copy(end->value.at, end->value.size);
}

struct interval *intervals_add(struct intervals *intervals, const struct query_range *range)
{
    struct interval *node = intervals_find(intervals, range);
    if (node != NULL)
        return node;
    node = memory_new(sizeof *node);
    *node = node_of(intervals, range);
    own_value(&node->lower);
    own_value(&node->upper);
    node->priority = hash_mix((uint64_t)(uintptr_t)node, ++intervals->seed);
    intervals->root = insert(intervals, intervals->root, node);
    intervals->count++;
    return node;
}

static struct interval *take_out(const struct intervals *intervals, struct interval *tree, struct interval *node)
{
    check(tree != NULL);
    if (tree == node)
        return join(intervals, node->left, node->right);
    if (compare_nodes(intervals, node, tree) < 0)
        tree->left = take_out(intervals, tree->left, node);
    else
        tree->right = take_out(intervals, tree->right, node);
    note_highest(intervals, tree);
    return tree;
}

void intervals_remove(struct intervals *intervals, const struct query_range *range)
{
    struct interval *node = intervals_find(intervals, range);
    check(node != NULL);
    intervals->root = take_out(intervals, intervals->root, node);
    intervals->count--;
    node_free(node);
}

struct stab {
    const struct intervals *intervals;
    const uint8_t *value;
    uint64_t prefix;
    void (*each)(void *context, void *item);
    void *context;
};

static bool begins_behind(const struct stab *stab, const struct interval_end *lower)
{
    if (lower->is_open)
        return false;
    const int order = compare_values(stab->intervals, stab->value, stab->prefix, lower->value.at, lower->prefix);
    return order < 0 || (order == 0 && !lower->is_included);
}

static bool ends_before(const struct stab *stab, const struct interval_end *upper)
{
    if (upper->is_open)
        return false;
    const int order = compare_values(stab->intervals, stab->value, stab->prefix, upper->value.at, upper->prefix);
    return order > 0 || (order == 0 && !upper->is_included);
}

static void stab_tree(const struct stab *stab, const struct interval *node)
{
    while (node != NULL && !ends_before(stab, &node->highest->upper)) {
        stab_tree(stab, node->left);
        if (begins_behind(stab, &node->lower))
            return;
        if (!ends_before(stab, &node->upper))
            stab->each(stab->context, node->item);
        node = node->right;
    }
}

void intervals_stab(const struct intervals *intervals, const uint8_t *value, void (*each)(void *context, void *item),
                    void *context)
{
    const struct stab stab = { intervals, value, bsatn_prefix(intervals->type, value), each, context };
    stab_tree(&stab, intervals->root);
}

static void visit_tree(const struct interval *node, void (*each)(void *context, void *item), void *context)
{
    for (; node != NULL; node = node->right) {
        visit_tree(node->left, each, context);
        each(context, node->item);
    }
}

void intervals_each(const struct intervals *intervals, void (*each)(void *context, void *item), void *context)
{
    visit_tree(intervals->root, each, context);
}

static uint32_t check_tree(const struct intervals *intervals, struct interval *node, const struct interval **previous)
{
    if (node == NULL)
        return 0;
    uint32_t count = check_tree(intervals, node->left, previous);
    check(*previous == NULL || compare_nodes(intervals, *previous, node) < 0); /* V1 */
    *previous = node;
    count += check_tree(intervals, node->right, previous);
    check(node->left == NULL || node->left->priority <= node->priority); /* V3 */
    check(node->right == NULL || node->right->priority <= node->priority);
    const struct interval_end highest = node->highest->upper;
    note_highest(intervals, node);
    check(compare_ends(intervals, &highest, &node->highest->upper, false) == 0); /* V2 */
    return count + 1;
}

void intervals_check(const struct intervals *intervals)
{
    const struct interval *previous = NULL;
    check(check_tree(intervals, intervals->root, &previous) == intervals->count);
}
