#include "base/background.h"

#include "base/clock.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* On Linux a thread's priority is its own. What is refused stays as it was. */
void background_begin(void)
{
    enum { NICE = 10, IOPRIO_WHO_PROCESS = 1, IOPRIO_BEST_EFFORT_LAST = 2 << 13 | 7 };
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_BEST_EFFORT_LAST);
}

/* Who wakes up for microseconds is let by every time. Somebody that computes without end gets a slice of milliseconds
 * for each yield; so as long as one took, there is no other. */
void background_stand_back(void)
{
    static __thread int64_t not_before_us;
    const int64_t begin_us = clock_monotonic_us();
    if (begin_us < not_before_us)
        return;
    sched_yield();
    const int64_t end_us = clock_monotonic_us();
    not_before_us = end_us + (end_us - begin_us);
}
