#include "cli/meter.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { QUIET_US = 200000, BAR_EVERY_US = 100000, LINE_EVERY_US = 5000000, BAR_WIDTH = 30 };

struct meter meter_new(void)
{
    return (struct meter){ .is_terminal = isatty(STDERR_FILENO) };
}

void meter_wipe(struct meter *meter)
{
    if (meter->is_shown)
        fputs("\r\033[K", stderr);
    meter->is_shown = false;
}

static void show_bar(struct meter *meter, uint64_t done, uint64_t all)
{
    char bar[BAR_WIDTH + 1];
    const uint64_t hundredths = done >= all ? 100 : (uint64_t)((double)done / (double)all * 100);
    for (uint64_t place = 0; place < BAR_WIDTH; place++)
        bar[place] = place * 100 < hundredths * BAR_WIDTH ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r\033[K%s [%s] %" PRIu64 " %%", meter->what, bar, hundredths);
}

static void show(struct meter *meter, uint64_t done, uint64_t all)
{
    if (meter->is_terminal && all > 0)
        show_bar(meter, done, all);
    else if (meter->is_terminal)
        fprintf(stderr, "\r\033[K%s: %" PRIu64, meter->what, done);
    else if (all > 0)
        fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64 "\n", meter->what, done, all);
    else
        fprintf(stderr, "%s: %" PRIu64 "\n", meter->what, done);
    meter->is_shown = meter->is_terminal;
}

void meter_tell(void *context, const char *what, uint64_t done, uint64_t all)
{
    struct meter *meter = context;
    const int64_t now_us = clock_monotonic_us();
    if (strcmp(meter->what, what) != 0) {
        meter_wipe(meter);
        snprintf(meter->what, sizeof meter->what, "%s", what);
        meter->begun_us = meter->told_us = now_us;
    }
    const bool is_quiet = what[0] == '\0' || (meter->is_terminal && now_us - meter->begun_us < QUIET_US);
    if (is_quiet || now_us - meter->told_us < (meter->is_terminal ? BAR_EVERY_US : LINE_EVERY_US))
        return;
    meter->told_us = now_us;
    show(meter, done, all);
}
