/* view_uses — which views are worked out now, for whom, and how many queries look at them: st_view_sub, st_view_arg. */
#pragma once

#include "engine/state.h"

/* Appends a struct system_view_use for each view and identity that looks at it, and one for a view that nobody looks
 * at any longer but that has not been let go of yet. `context` is the engine. */
void view_uses_list(void *context, struct buf *uses);
