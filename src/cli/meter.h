/* meter — shows on stderr how far a command has come: a bar on a terminal, elsewhere a line now and then. Nothing
 * of what takes less than a moment. */
#pragma once

#include "base/base.h"

struct meter {
    bool is_terminal;
    bool is_shown;     /* a bar stands in the terminal's last line */
    int64_t begun_us;  /* the step at hand; 0: none yet */
    int64_t told_us;
    char what[64];     /* the step */
};

struct meter meter_new(void);
/* `meter` is the context, so that it fits the callbacks. `all` 0: nobody knows. */
void meter_tell(void *meter, const char *what, uint64_t done, uint64_t all);
/* Before anything else is printed. */
void meter_wipe(struct meter *meter);
