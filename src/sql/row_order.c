#include "sql/row_order.h"

#include "sats/bsatn.h"
#include "sql/literal.h"

#include <stdlib.h>

static bool is_zero(const struct type *type, const uint8_t *at)
{
    uint64_t bits = 0;
    memcpy(&bits, at, (size_t)type->fixed_size);
    return (bits & ~((uint64_t)1 << ((unsigned)type->fixed_size * 8 - 1))) == 0;
}

int row_order_compare(const struct type *type, const uint8_t *left, const uint8_t *right)
{
    if (type_is_float(type) && is_zero(type, left) && is_zero(type, right))
        return 0;
    return bsatn_compare(type, left, right);
}

err row_order_check(struct resolver *resolver, const struct ast_operand *operand, const struct type *type)
{
    if (literal_type_is_comparable(type))
        return OK;
    return sql_refuse(resolver->diag, resolver->sql, &operand->token, "a column of type `%.*s` has no order",
                      BYTES_FORMAT(resolver_type_text(resolver, type)));
}

void top_deinit(struct top *top)
{
    memory_free(top->items);
}

static int compare_at(const struct top *top, size_t left, size_t right)
{
    return top->compare(top->items[left], top->items[right], top->context);
}

static void swap(struct top *top, size_t left, size_t right)
{
    const void *item = top->items[left];
    top->items[left] = top->items[right];
    top->items[right] = item;
}

static void rise(struct top *top, size_t place)
{
    while (place > 0 && compare_at(top, place, (place - 1) / 2) > 0) {
        swap(top, place, (place - 1) / 2);
        place = (place - 1) / 2;
    }
}

static void sink(struct top *top)
{
    for (size_t place = 0, child; (child = 2 * place + 1) < top->count; place = child) {
        if (child + 1 < top->count && compare_at(top, child + 1, child) > 0)
            child++;
        if (compare_at(top, place, child) >= 0)
            return;
        swap(top, place, child);
    }
}

static void append(struct top *top, const void *item)
{
    if (top->count == top->capacity) {
        top->capacity = top->capacity == 0 ? 16 : top->capacity * 2;
        top->items = memory_resize(top->items, sizeof *top->items * top->capacity);
    }
    top->items[top->count++] = item;
}

const void *top_offer(struct top *top, const void *item)
{
    if (top->count < top->limit) {
        append(top, item);
        if (top->limit != UINT64_MAX) /* without one there is nothing to put out */
            rise(top, top->count - 1);
        return NULL;
    }
    if (top->count == 0 || top->compare(item, top->items[0], top->context) >= 0)
        return item;
    const void *out = top->items[0];
    top->items[0] = item;
    sink(top);
    return out;
}

static int compare_items(const void *left, const void *right, void *context)
{
    const struct top *top = context;
    return top->compare(*(const void *const *)left, *(const void *const *)right, top->context);
}

void top_sort(struct top *top)
{
    if (top->count > 1)
        qsort_r(top->items, top->count, sizeof *top->items, compare_items, top);
}
