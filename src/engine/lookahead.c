#include "engine/lookahead.h"

#include "engine/call.h"

/* Two calls take longer than memory does; and the rows of a frame's first calls, up to this, are not asked for. */
enum { ROWS_AHEAD = 2 };

void lookahead_init(struct lookahead *ahead, const struct engine *engine, bytes frame, bool has_many)
{
    ahead->engine = engine;
    ahead->from = reader_of(frame);
    ahead->goes_on = true;
    ahead->decoded = ahead->taken = 0;
    ahead->has_many = has_many;
    ahead->last_name = bytes_of("", 0);
    ahead->last_reducer = CALL_NO_REDUCER; /* none has a name without letters */
    ahead->code = OK;
}

static struct upcoming *at(struct lookahead *ahead, uint32_t number)
{
    return &ahead->ring[number % LOOKAHEAD_COUNT];
}

/* Calls that follow one another tend to be of one reducer. */
static int32_t find_reducer(struct lookahead *ahead, bytes name)
{
    if (ahead->last_name.size != name.size || memcmp(ahead->last_name.at, name.at, name.size) != 0) {
        ahead->last_name = name;
        ahead->last_reducer = call_find(ahead->engine, name);
    }
    return ahead->last_reducer;
}

static void decode(struct lookahead *ahead)
{
    struct upcoming *upcoming = at(ahead, ahead->decoded);
    ahead->code = client_msg_decode(&ahead->from, &upcoming->msg, &ahead->diag);
    ahead->goes_on = ahead->code == OK && ahead->has_many && reader_left(&ahead->from) > 0;
    if (ahead->code != OK)
        return;
    ahead->decoded++;
    upcoming->reducer = CALL_NO_REDUCER;
    if (upcoming->msg.kind != CLIENT_CALL_REDUCER)
        return;
    upcoming->reducer = find_reducer(ahead, upcoming->msg.text);
    if (upcoming->reducer != CALL_NO_REDUCER)
        module_ask_entries(ahead->engine->module, (uint32_t)upcoming->reducer, upcoming->msg.args);
}

static void ask_rows(struct lookahead *ahead, uint32_t number)
{
    const struct upcoming *upcoming = at(ahead, number);
    if (number < ahead->decoded && upcoming->reducer != CALL_NO_REDUCER)
        module_ask_rows(ahead->engine->module, (uint32_t)upcoming->reducer, upcoming->msg.args);
}

struct upcoming *lookahead_take(struct lookahead *ahead)
{
    while (ahead->goes_on && ahead->decoded < ahead->taken + LOOKAHEAD_COUNT)
        decode(ahead);
    if (ahead->taken == ahead->decoded)
        return NULL;
    ask_rows(ahead, ahead->taken + ROWS_AHEAD);
    return at(ahead, ahead->taken++);
}

err lookahead_end(const struct lookahead *ahead, struct diag *diag)
{
    if (ahead->code != OK)
        *diag = ahead->diag;
    return ahead->code;
}
