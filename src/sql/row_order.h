/* row_order — ORDER BY: how values compare, and the first n of many. */
#pragma once

#include "sql/resolver.h"

/* Like bsatn_compare(), but the two zeros of a float are level. */
int row_order_compare(const struct type *type, const uint8_t *left, const uint8_t *right);
/* Refuses types that have no order to speak of. ERR_BAD_SQL with the place. */
err row_order_check(struct resolver *resolver, const struct ast_operand *operand, const struct type *type);

/* The first `limit` of what is offered, in a heap with the last of them on top; all of it where there is no limit. */
typedef int top_compare_fn(const void *left, const void *right, void *context);

struct top {
    uint64_t limit;
    top_compare_fn *compare;
    void *context;
    const void **items; /* owned; what they point to is not */
    size_t count, capacity;
};

void top_deinit(struct top *top);
/* Takes the item and returns the one that is out for it: perhaps the item itself, or NULL while there is room. */
const void *top_offer(struct top *top, const void *item);
/* Puts the items in order. Nothing is offered afterwards. */
void top_sort(struct top *top);
