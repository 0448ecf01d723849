/* watchdog — the thread that looks at the clock, so that calls need not.
 *
 * Each thread that runs guest code has a watch: a number that is odd while a call runs. The watchdog looks
 * at all of them, rarely while nothing takes long, often while something does. A call seen twice is timed
 * by the processor time of its thread, so a busy machine does not shorten anyone's limit.
 *
 * When no call has been made for a while it sleeps until the next one. A call sees that in a flag, so only the
 * first one after a pause costs a system call. */
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
    atomic_bool is_signalled;      /* a signal is on its way; who gets it takes that back when it is done with it */
    /* the watchdog's own */
    pthread_t thread;
    uint64_t seen;       /* an odd number that is timed */
    int64_t seen_at_us;
    uint64_t last;       /* the number at the last look */
    struct watch *next;
};

/* Starts the thread. It sends `signal` to the threads of overdue calls, again and again until they end, and never a second
 * one before the first was taken: a thread that does not get to run would find many, one on top of the other. */
err watchdog_start(int signal, struct diag *diag);
void watchdog_add(struct watch *watch); /* the calling thread's */
void watchdog_remove(struct watch *watch);

extern atomic_bool watchdog_sleeps;
void watchdog_wake(void);

/* The call of this number begins. */
static inline void watchdog_begin(struct watch *watch, uint64_t number, int64_t limit_us)
{
    atomic_store_explicit(&watch->limit_us, limit_us, memory_order_relaxed);
    atomic_store_explicit(&watch->number, number, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst); /* the watchdog fences for both: see fall_asleep() */
    if (__builtin_expect(atomic_load_explicit(&watchdog_sleeps, memory_order_relaxed), false))
        watchdog_wake();
}
