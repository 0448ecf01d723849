/* watchdog — the thread that looks at the clock, so that calls need not.
 *
 * Each thread that runs guest code has a watch: a number that is odd while a call runs. The watchdog looks
 * at all of them, rarely while nothing takes long, often while something does. A call seen twice is timed
 * by the processor time of its thread, so a busy machine does not shorten anyone's limit. */
#pragma once

#include "base/err.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

struct watch {
    atomic_uint_fast64_t number;   /* odd while a call runs; written by the thread alone */
    atomic_int_fast64_t limit_us;  /* of that call */
    atomic_uint_fast64_t overdue;  /* the number of a call that is over its limit; the watchdog's */
    atomic_bool out_of_grace;      /* ... and has not ended since */
    /* the watchdog's own */
    pthread_t thread;
    uint64_t seen;
    int64_t seen_at_us;
    struct watch *next;
};

/* Starts the thread. It sends `signal` to the threads of overdue calls, again and again until they end. */
err watchdog_start(int signal, struct diag *diag);
void watchdog_add(struct watch *watch); /* the calling thread's */
void watchdog_remove(struct watch *watch);
