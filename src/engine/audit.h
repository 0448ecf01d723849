/* audit — all that a database has on disk, verified: whether it is whole, and whether its parts agree.
 *
 *     identity     says whose the rest must be
 *     snapshots    each is read back whole
 *     log          each record from its beginning on is whole, in its place, and can be understood
 *     replay       what the log amounts to is what each snapshot says, row by row, and indexes hold
 *
 * Replaying from a snapshot needs no pass of its own: once its content equals what was replayed up to it, what
 * follows is the same replay. After a fault the log is read on behind it, and the next whole snapshot is where the
 * replay begins again: so one fault is told once, with the records that are lost by it, and does not hide others.
 *
 * It changes nothing, and a server may run on the directory meanwhile. */
#pragma once

#include "base/disk.h"
#include "store/frozen.h"

struct audit_options {
    const struct disk *disk;
    const char *dir; /* the database's folder */
    /* One line about one thing. */
    void (*say)(void *context, bool is_fault, const char *line);
    /* The tables of a running database at one offset, up to which its log is durable; or NULL. They must be what the
     * log amounts to there. */
    const struct frozen *live;
    uint64_t live_offset;
    /* Told now and then; `all` is 0 where it is not known. False stops it. */
    bool (*progress)(void *context, const char *what, uint64_t done, uint64_t all);
    void *context;
};

/* The number of faults. */
uint32_t audit_run(const struct audit_options *options);
