#include "sql/budget.h"

#include "base/clock.h"

void budget_begin(struct budget *budget)
{
    budget->start_us = clock_monotonic_us();
    budget->code = OK;
}

bool budget_look(struct budget *budget)
{
    if (budget->code != OK)
        return false;
    if (budget->rows > budget->rows_max) {
        budget->code =
            diag_set(budget->diag, ERR_OUT_OF_TIME,
                     "the statement looked at more than %llu rows and was stopped: narrow it by columns that "
                     "have an index",
                     (unsigned long long)budget->rows_max);
    } else if (clock_monotonic_us() - budget->start_us > budget->time_max_us) {
        budget->code = diag_set(budget->diag, ERR_OUT_OF_TIME,
                                "the statement ran longer than %lld ms and was stopped after %llu rows: narrow it by "
                                "columns that have an index",
                                (long long)budget->time_max_us / 1000, (unsigned long long)budget->rows);
    }
    return budget->code == OK;
}

bool budget_take_bytes(struct budget *budget, size_t size)
{
    if (budget == NULL)
        return true;
    budget->bytes += size;
    if (budget->code == OK && budget->bytes > budget->bytes_max)
        budget->code = diag_set(budget->diag, ERR_OUT_OF_MEMORY,
                                "the statement needs more than %llu MiB of memory and was stopped: take fewer rows at "
                                "once, by WHERE or LIMIT, or fewer columns",
                                (unsigned long long)budget->bytes_max >> 20);
    return budget->code == OK;
}

err budget_check_estimate(struct budget *budget, double rows)
{
    if (budget == NULL || budget->estimate_max == 0 || rows <= (double)budget->estimate_max)
        return OK;
    budget->code =
        diag_set(budget->diag, ERR_TOO_LARGE,
                 "the statement would look at about %.0f rows, and the database's row_limit is %llu: narrow it "
                 "by columns that have an index",
                 rows, (unsigned long long)budget->estimate_max);
    return budget->code;
}
