/* recovery — reading the log once, from the first record that is needed: every header, sum and link is verified
 * before its records are believed, and what the log ends with is made durable before anything follows it. */
#pragma once

#include "wal/folder.h"
#include "wal/segment.h"
#include "wal/wal.h"

/* Where the log goes on. */
struct recovery_end {
    struct segment segment; /* owned: open, at its end */
    struct folder folder;   /* owned: what was there at the beginning */
    uint64_t next_offset;
    uint32_t chain;
    bool marked; /* something behind the last record vouches for it (W2) */
};

err recovery_run(const struct wal_options *options,
                 err (*replay)(void *context, uint64_t offset, bytes record, struct diag *diag), void *context,
                 struct recovery_end *end, struct wal_report *report, struct diag *diag);
