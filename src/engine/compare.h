/* compare — whether two ways to the same moment came to the same: row by row, with the first difference named. */
#pragma once

#include "engine/image.h"
#include "store/frozen.h"

/* What a snapshot says (`kept`) beside what was replayed up to it. ERR_CORRUPT. */
err compare_images(const struct image *kept, const struct image *replayed, struct diag *diag);
/* The tables of a running database beside what was replayed up to that moment. ERR_CORRUPT. */
err compare_frozen(const struct frozen *live, const struct image *replayed, struct diag *diag);
