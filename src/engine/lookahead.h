/* lookahead — the messages of one frame, decoded a little ahead of the one that runs.
 *
 * The memory that calls will look at is asked for while those before them run (host/foresight.h): entries of indexes
 * first, rows shortly before their call runs.
 *
 *     taken ──┐           ┌── rows asked for     entries asked for ──┐
 *        [ runs ] [   ] [   ] [   ] [   ] [   ] [   ] [ just decoded ]
 *
 * What does not decode matters only when all before it has run. */
#pragma once

#include "engine/state.h"
#include "proto/client_msg.h"

enum { LOOKAHEAD_COUNT = 8 }; /* a power of two */

struct upcoming {
    struct client_msg msg;
    int32_t reducer; /* of a call: its place, or CALL_NO_REDUCER */
};

struct lookahead {
    const struct engine *engine;
    struct reader from;
    bool has_many;
    bool goes_on;             /* more messages may follow */
    uint32_t decoded, taken;  /* counted from the frame's first message */
    bytes last_name;          /* in the frame */
    int32_t last_reducer;     /* what it means */
    struct upcoming ring[LOOKAHEAD_COUNT];
    err code;                 /* why decoding ended */
    struct diag diag;
};

/* `has_many`: messages to the frame's end, at least one; else one, and what follows it is ignored. */
void lookahead_init(struct lookahead *ahead, const struct engine *engine, bytes frame, bool has_many);
/* The next message, good until the next one is taken; NULL behind the last. */
struct upcoming *lookahead_take(struct lookahead *ahead);
/* Behind the last: OK, or what is wrong with the message that follows. */
err lookahead_end(const struct lookahead *ahead, struct diag *diag);
