/* foresight — which rows a call will look up, told from its arguments before it runs.
 *
 * A call that finds a row by its key waits twice for memory: for the index's entry, then for the row. With many rows
 * that is most of a small call's time. But keys tend to be arguments, and the calls of a frame are known before the
 * first of them runs. So now and then a call is watched: when it looks for a key that stands in its arguments, the
 * place is remembered, and for later calls of that reducer the memory is asked for ahead of time.
 *
 * A hint that is wrong costs a few cycles and changes nothing. */
#pragma once

#include "store/index.h"

enum { FORESIGHT_HINTS_MAX = 4 };

/* "The bytes at this place of the arguments are looked for in that index." */
struct foresight_hint {
    const struct index *index; /* borrowed */
    uint32_t offset, size;
};

/* Of one reducer. */
struct foresight {
    uint32_t call_count;
    uint32_t hint_count;
    struct foresight_hint hints[FORESIGHT_HINTS_MAX];
};

/* Whether this call is one to watch. */
bool foresight_watches(struct foresight *foresight);
/* The watched call looks for `key`. */
void foresight_learn(struct foresight *foresight, const struct index *index, bytes key, bytes args);

/* First the entries of the index, and some calls later the rows that they lead to. */
void foresight_ask_entries(const struct foresight *foresight, bytes args);
void foresight_ask_rows(const struct foresight *foresight, bytes args);
