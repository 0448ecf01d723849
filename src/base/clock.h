/* Time and chance, the only sources of either. Specs may stand in for them. */
#pragma once

#include "base/base.h"

int64_t clock_wall_us(void);      /* microseconds since 1970, may jump */
int64_t clock_monotonic_us(void); /* microseconds, never goes back */
void random_bytes(void *out, size_t size); /* from the kernel; fit for secrets */

/* NULL restores the real one. */
void clock_override(int64_t (*wall_us)(void), int64_t (*monotonic_us)(void));
void random_override(void (*fill)(void *out, size_t size));
