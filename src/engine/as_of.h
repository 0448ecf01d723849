/* as_of — answers from the past: `SELECT * FROM player AS OF 1234`, `... AS OF '2026-11-20T08:15:30Z'`.
 *
 * The clause stands at the end of a request's text and holds for all of it. The tables of that moment are made anew,
 * from a snapshot and the log behind it; the last few are kept, since who looks at a moment looks again.
 *
 * Threads  one at a time, any. */
#pragma once

#include "engine/history.h"

/* Cuts the clause off; *when is what it says, without quotes. False when there is none. A text that is no SQL at all
 * is left as it is, for query_compile() to refuse. */
bool as_of_cut(bytes *sql, bytes *when);

/* What the clause or an option says; a time that is still to come is ERR_BAD_USAGE, too. */
err as_of_parse(bytes when, struct moment *moment, struct diag *diag);

/* Tables of moments, by the offset they end before. Those kept for later take IMAGES_MEMORY_MAX at most. */
struct images;

struct images *images_new(void);
void images_free(struct images *images); /* NULL is fine */

struct as_of_question {
    bytes sql;  /* without the clause */
    struct moment moment;
    identity who; /* :sender. Private tables are shown. */
    const identity *database; /* NULL: not known, and st_module is empty */
    int64_t start_us; /* when work on it began, by the monotonic clock */
};

/* Appends the answer as /sql gives it; *duration_us is how long it took. ERR_NOT_FOUND outside of what is kept
 * (H2), and errors of query_compile(). */
err as_of_answer(struct images *images, struct history *history, const struct as_of_question *question,
                 struct buf *answer, int64_t *duration_us, struct diag *diag);
