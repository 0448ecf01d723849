/* grouping — GROUP BY: rows of equal columns gathered into one, with its functions. */
#pragma once

#include "sql/select.h"

struct group;

struct grouping {
    const struct select *select;
    struct budget *budget;
    struct map groups; /* by the bytes of their columns */
    struct buf order;  /* struct group *, owned, in the order of their first rows */
    struct buf key;
};

void grouping_init(struct grouping *grouping, const struct select *select, struct budget *budget);
void grouping_deinit(struct grouping *grouping);
/* Takes a row of every source. False when the budget is used up. */
bool grouping_add(struct grouping *grouping, const uint8_t *const *rows);

uint32_t grouping_count(const struct grouping *grouping);
/* Appends what the select gives for a group, and the values of the order's columns. */
err grouping_put_row(const struct grouping *grouping, uint32_t place, struct buf *out);
void grouping_put_column(const struct grouping *grouping, uint32_t place, struct column_ref column, struct buf *out);
