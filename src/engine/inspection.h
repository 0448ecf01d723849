/* inspection — a running database verified: what is on its disk (audit.h), and that its tables are what the log amounts
 * to, row by row, with every row in its place in every index.
 *
 * The disk's half and the comparison run aside (aside.h), beside a frozen view of the tables. Indexes belong to the
 * engine, so it looks at some rows in each turn, until all have been looked at; calls go on in between. What it may
 * notice: one slice of a millisecond or so a turn, and what frozen views cost (store/frozen.h). The replay takes the
 * memory that the tables take, until it is done. */
#pragma once

#include "engine/state.h"

/* The owner's request: {"faults":0,"lines":["ok    …", …]}. One at a time. */
void inspection_request(struct engine *engine, struct request *request);
/* Once a turn, between two transactions. */
void inspection_step(struct engine *engine);
