#include "host/watchdog.h"

#include "host/guard.h"

#include <string.h>
#include <time.h>

/* Between looks while a call is being timed: what a limit may be overrun by, beyond the first look. */
enum { BUSY_LOOK_US = 2000 };

static struct {
    pthread_mutex_t lock; /* held while looking, so that no watch goes away under the look */
    struct watch *first;
    int signal;
} watchdog = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int64_t thread_time_us(pthread_t thread)
{
    clockid_t clock;
    struct timespec time = { 0, 0 };
    if (pthread_getcpuclockid(thread, &clock) == 0)
        clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* True while there is a call to be timed. */
static bool look_at(struct watch *watch)
{
    const uint64_t number = atomic_load(&watch->number);
    if (number % 2 == 0)
        return false;
    const int64_t now_us = thread_time_us(watch->thread);
    if (number != watch->seen) {
        watch->seen = number;
        watch->seen_at_us = now_us;
        return true;
    }
    const int64_t overrun_us = now_us - watch->seen_at_us - atomic_load(&watch->limit_us);
    if (overrun_us < 0)
        return true;
    atomic_store(&watch->out_of_grace, overrun_us > GUARD_GRACE_US);
    atomic_store(&watch->overdue, number);
    pthread_kill(watch->thread, watchdog.signal);
    return true;
}

static void *watch_all(void *unused)
{
    for (;;) {
        bool busy = false;
        pthread_mutex_lock(&watchdog.lock);
        for (struct watch *watch = watchdog.first; watch != NULL; watch = watch->next)
            busy |= look_at(watch);
        pthread_mutex_unlock(&watchdog.lock);
        const struct timespec pause = { 0, (busy ? BUSY_LOOK_US : GUARD_LOOK_US) * 1000L };
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    return unused;
}

err watchdog_start(int signal, struct diag *diag)
{
    watchdog.signal = signal;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    const int failure = pthread_create(&thread, NULL, watch_all, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0)
        return diag_set(diag, ERR_MODULE, "the watchdog's thread does not start: %s", strerror(failure));
    pthread_setname_np(thread, "stdb-watchdog");
    pthread_detach(thread);
    return OK;
}

void watchdog_add(struct watch *watch)
{
    watch->thread = pthread_self();
    pthread_mutex_lock(&watchdog.lock);
    watch->next = watchdog.first;
    watchdog.first = watch;
    pthread_mutex_unlock(&watchdog.lock);
}

void watchdog_remove(struct watch *watch)
{
    pthread_mutex_lock(&watchdog.lock);
    struct watch **link = &watchdog.first;
    while (*link != watch) {
        check(*link != NULL);
        link = &(*link)->next;
    }
    *link = watch->next;
    pthread_mutex_unlock(&watchdog.lock);
}
