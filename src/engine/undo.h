/* undo — takes back what some records changed, as one transaction of its own.
 *
 * The plan (undo_plan.h) is made beside the engine from the log. The engine then carries it out between two calls,
 * where every row must still be what the plan says; when one is not, the plan is made anew with what happened
 * meanwhile. The record says who undid what, and subscribers are told as of any transaction. Undoing an undo brings
 * things back.
 *
 * The answer is JSON, with status 409 when rows stood in the way and nothing was changed:
 *     { "dry_run", "offset": of the new record or null, "records": how many were undone, "event_rows",
 *       "changes":   [{ "table", "from": row or null, "to": row or null }],
 *       "conflicts": [{ "table", "left": as the records left it, "now": as it is, "offset", "time", "caller", "what" }] } */
#pragma once

#include "engine/state.h"

/* The owner's alone. */
void undo_begin(struct engine *engine, struct request *request);
