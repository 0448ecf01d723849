/* past — requests about the past, answered beside the engine (aside.h). */
#pragma once

#include "engine/state.h"

/* A question with a moment, "1234" or "2026-11-20T08:15:30Z", in place of now. The owner's alone: what may be seen
 * now says nothing about what might have been seen then, and making the tables of a moment is work. */
void past_ask(struct engine *engine, struct request *request, bytes sql, bytes when);
