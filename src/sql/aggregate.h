/* aggregate — COUNT, SUM, MIN, MAX, AVG: many values into one. */
#pragma once

#include "sql/resolver.h"

/* Five words hold 2^64 values of 256 bits without loss. */
enum { AGGREGATE_WORDS = 5 };

struct aggregate {
    uint64_t count;
    uint64_t sum[AGGREGATE_WORDS]; /* integers, in two's complement */
    double float_sum;
    struct buf extreme;            /* MIN, MAX: the value so far */
};

/* What an item gives for a column of `type`; ITEM_COLUMN: that type. ERR_BAD_SQL when the function does not take it. */
err aggregate_type(struct resolver *resolver, const struct ast_item *item, const struct type *type,
                   const struct type **result);
/* Whether it has no value where there are no rows. */
bool aggregate_may_be_none(enum item_kind kind);

/* `at` is a value of `type`; both are NULL for COUNT(*). False when a MIN or MAX needs more memory than the budget has. */
bool aggregate_add(struct aggregate *aggregate, enum item_kind kind, const struct type *type, const uint8_t *at,
                   struct budget *budget);
/* Appends the result in BSATN. ERR_BAD_VALUE when a sum does not fit 256 bits. */
err aggregate_put(const struct aggregate *aggregate, enum item_kind kind, const struct type *type, bool is_option,
                  struct buf *out, struct diag *diag);
void aggregate_deinit(struct aggregate *aggregate);
