/* selection — which records are meant, in words: "from 5 to 9 caller c2001f reducer add".
 *
 *     offset N                       this record alone
 *     from N, to N                   these and those between
 *     since TIME, until TIME         at these times and between
 *     caller HEX, connection HEX     who caused them; the first digits will do where they mean but one
 *     reducer NAME                   which call */
#pragma once

#include "engine/history.h"

struct selection {
    uint64_t from, to;
    int64_t since_us, until_us;
    bytes caller, connection, reducer; /* views into the text; empty: any */
    bool has_begin;                    /* offset, from or since was said */
    identity found_caller;             /* whom the digits have meant so far */
    connection_id found_connection;
    bool has_found;
};

/* All records. */
void selection_init(struct selection *selection);
/* What is left of hex digits without a 0x in front. */
bytes selection_digits(bytes text);
/* ERR_BAD_REQUEST names the word. The text must stay. */
err selection_parse(bytes text, struct selection *selection, struct diag *diag);
/* Where reading begins. ERR_NOT_FOUND when records of the time that was said may have been given up. */
err selection_begin(const struct selection *selection, struct history *history, uint64_t *begin, struct diag *diag);
bool selection_matches(const struct selection *selection, const struct history_event *event);
/* The same, for those who must not mean two: ERR_BAD_REQUEST when the digits do. */
err selection_holds(struct selection *selection, const struct history_event *event, bool *holds, struct diag *diag);
