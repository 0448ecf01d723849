/* trail — where inside a value something is wrong: ".pos[3].x".
 *
 * Written only after a refusal, from the inside out while the walk returns: a value that is right
 * pays nothing for it. A trail too long for its room loses its outer end and begins with "…". */
#pragma once

#include "base/err.h"

enum { TRAIL_SIZE = 256 };

struct trail {
    size_t start; /* of the text, which ends at TRAIL_SIZE - 1 with a terminator */
    bool cut;
    char text[TRAIL_SIZE];
};

void trail_init(struct trail *trail);
void trail_add_field(struct trail *trail, bytes name, uint32_t idx); /* ".name", or "[idx]" when unnamed */
void trail_add_place(struct trail *trail, uint64_t idx);             /* "[idx]" */

/* Puts the path in front of the refusal: "pos[3].x: ", or with a noun "argument `pos[3].x`: ". Nothing at the root. */
void trail_note(const struct trail *trail, const char *noun, struct diag *diag);
