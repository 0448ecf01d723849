/* budget — what one statement may cost, so that none holds the engine: rows looked at, memory, time.
 *
 * Whoever loops over rows spends here and stops when told. What ran out is said in a sentence. */
#pragma once

#include "base/base.h"
#include "base/err.h"

struct budget {
    uint64_t rows_max, bytes_max; /* given */
    int64_t time_max_us;          /* given */
    uint64_t estimate_max;        /* given: rows that a plan may expect to look at; 0: any number */
    struct diag *diag;            /* given */
    uint64_t rows, bytes;         /* spent */
    int64_t start_us;
    err code;                     /* OK, or what stopped it */
};

/* With the three limits and the diag set: the clock starts. */
void budget_begin(struct budget *budget);
/* The rare part of budget_row(). */
bool budget_look(struct budget *budget);
/* Before the first row: whether the plan expects too much. The error, or OK. */
err budget_check_estimate(struct budget *budget, double rows);
/* False when the memory is used up. NULL is fine, and endless. */
bool budget_take_bytes(struct budget *budget, size_t size);

/* One more row looked at. False when it was one too many, or the time is over. NULL is fine, and endless. */
static inline bool budget_take_row(struct budget *budget)
{
    enum { LOOK_EVERY = 256 };
    if (budget == NULL || ++budget->rows % LOOK_EVERY != 0)
        return true;
    return budget_look(budget);
}
