/* progress — how far a long piece of work has come, for whoever shows it. */
#pragma once

#include "base/base.h"

struct progress {
    /* Told now and then. `all` is 0 where nobody knows. NULL: nobody listens. */
    void (*tell)(void *context, const char *what, uint64_t done, uint64_t all);
    void *context;
    const char *what; /* the step at hand: "copying the log"; "" when the work is over */
};

/* A callback for those that ask whether to go on (snap_options, wal_copy, disk_copy); always true. */
static inline bool progress_step(void *progress, uint64_t done, uint64_t all)
{
    const struct progress *told = progress;
    if (told->tell != NULL)
        told->tell(told->context, told->what, done, all);
    return true;
}
