#include "host/watchdog.h"

#include "host/guard.h"

#include <linux/membarrier.h>
#include <semaphore.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Between looks while a call is being timed: what a limit may be overrun by, beyond the first look. */
enum { BUSY_LOOK_US = 2000 };
/* So many looks in a row without a call, and it falls asleep. */
enum { IDLE_LOOKS = 10 };

static struct {
    pthread_mutex_t lock; /* held while looking, so that no watch goes away under the look */
    struct watch *first;
    int signal;
    sem_t called;   /* posted by who finds it asleep */
    bool can_sleep; /* the system has the barrier that it takes */
} watchdog = { .lock = PTHREAD_MUTEX_INITIALIZER };

atomic_bool watchdog_sleeps;

static int64_t thread_time_us(pthread_t thread)
{
    clockid_t clock;
    struct timespec time = { 0, 0 };
    if (pthread_getcpuclockid(thread, &clock) == 0)
        clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

enum look { LOOK_IDLE, LOOK_ACTIVE, LOOK_BUSY }; /* no call, calls that have ended, a call to be timed */

static enum look look_at(struct watch *watch)
{
    const uint64_t number = atomic_load(&watch->number), last = watch->last;
    watch->last = number;
    if (number % 2 == 0)
        return number == last ? LOOK_IDLE : LOOK_ACTIVE;
    const int64_t now_us = thread_time_us(watch->thread);
    if (number != watch->seen) {
        watch->seen = number;
        watch->seen_at_us = now_us;
        return LOOK_BUSY;
    }
    const int64_t overrun_us = now_us - watch->seen_at_us - atomic_load(&watch->limit_us);
    if (overrun_us < 0)
        return LOOK_BUSY;
    atomic_store(&watch->out_of_grace, overrun_us > GUARD_GRACE_US);
    atomic_store(&watch->overdue, number);
    if (!atomic_exchange(&watch->is_signalled, true) && pthread_kill(watch->thread, watchdog.signal) != 0)
        atomic_store(&watch->is_signalled, false);
    return LOOK_BUSY;
}

static enum look look_at_all(void)
{
    enum look most = LOOK_IDLE;
    pthread_mutex_lock(&watchdog.lock);
    for (struct watch *watch = watchdog.first; watch != NULL; watch = watch->next) {
        const enum look look = look_at(watch);
        most = look > most ? look : most;
    }
    pthread_mutex_unlock(&watchdog.lock);
    return most;
}

static bool barrier(int command)
{
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

/* A call stores its number and then reads the flag, here it is the other way round: one of the two sees the other,
 * if both stores are seen by all before the reads. The barrier does that for every thread of the process, so that
 * calls need none. */
static void fall_asleep(void)
{
    atomic_store(&watchdog_sleeps, true);
    if (barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) && look_at_all() == LOOK_IDLE)
        while (sem_wait(&watchdog.called) != 0) {
        }
    atomic_store(&watchdog_sleeps, false);
}

/* Several threads may call at once: those who come later find it awake, or post once too often. */
void watchdog_wake(void)
{
    if (atomic_exchange(&watchdog_sleeps, false))
        sem_post(&watchdog.called);
}

static void *watch_all(void *unused)
{
    for (uint32_t idle = 0;;) {
        const enum look look = look_at_all();
        idle = look == LOOK_IDLE ? idle + 1 : 0;
        if (idle > IDLE_LOOKS && watchdog.can_sleep) {
            fall_asleep();
            idle = 0;
        }
        const struct timespec pause = { 0, (look == LOOK_BUSY ? BUSY_LOOK_US : GUARD_LOOK_US) * 1000L };
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    return unused;
}

err watchdog_start(int signal, struct diag *diag)
{
    watchdog.signal = signal;
    watchdog.can_sleep = barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
    check(sem_init(&watchdog.called, 0, 0) == 0);
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
