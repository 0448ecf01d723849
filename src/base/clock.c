/* The kernel's clocks and its random source, or what a spec put in their place. */
#include "base/clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static int64_t clock_read_us(clockid_t id)
{
    struct timespec now;
    check(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t real_wall_us(void)
{
    return clock_read_us(CLOCK_REALTIME);
}

static int64_t real_monotonic_us(void)
{
    return clock_read_us(CLOCK_MONOTONIC);
}

static void real_random_fill(void *out, size_t size)
{
    uint8_t *at = out;
    while (size > 0) {
        const ssize_t got = getrandom(at, size, 0);
        check(got > 0 || (got < 0 && errno == EINTR));
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
}

static int64_t (*wall_source)(void) = real_wall_us;
static int64_t (*monotonic_source)(void) = real_monotonic_us;
static void (*random_source)(void *out, size_t size) = real_random_fill;

int64_t clock_wall_us(void)
{
    return wall_source();
}

int64_t clock_monotonic_us(void)
{
    return monotonic_source();
}

void random_bytes(void *out, size_t size)
{
    random_source(out, size);
}

void clock_override(int64_t (*wall_us)(void), int64_t (*monotonic_us)(void))
{
    wall_source = wall_us != NULL ? wall_us : real_wall_us;
    monotonic_source = monotonic_us != NULL ? monotonic_us : real_monotonic_us;
}

void random_override(void (*fill)(void *out, size_t size))
{
    random_source = fill != NULL ? fill : real_random_fill;
}
