/* moment — a place in the past as people say it: an offset or a time. It means the state after one record. */
#pragma once

#include "base/err.h"

struct moment {
    bool is_time;
    uint64_t offset; /* after the record at this offset */
    int64_t time_us; /* or before the first record later than this */
};

/* The end of the log. */
#define MOMENT_NOW ((struct moment){ .is_time = true, .time_us = INT64_MAX })

/* "1200" or "2026-11-20T08:15:30Z". ERR_BAD_USAGE. */
err moment_parse(bytes text, struct moment *moment, struct diag *diag);
/* "1200" alone. */
bool offset_parse(bytes text, uint64_t *offset);
