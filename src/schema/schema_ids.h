/* schema_ids — the ids of a schema, by name: what its description does not say.
 *
 * A description read on its own would get fresh ids; those in force come from a history of descriptions (S1).
 * Whoever keeps a schema without its history keeps these beside it. All that has an id shares one space of
 * names (S4), so one list says all:
 *
 *     u32 next id, u32 count, per thing u32 id and sized name */
#pragma once

#include "schema/schema.h"

void schema_ids_encode(struct buf *out, const struct schema *schema);

/* Builds the schema of a description with ids that were kept. What schema_build() refuses, and ERR_CORRUPT when
 * the ids are not those of this description, or not of one space below the next. */
err schema_restore(bytes def, bytes ids, struct schema **schema, struct diag *diag);
