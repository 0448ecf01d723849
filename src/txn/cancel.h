/* cancel — takes out of two lists of rows what stands in both (N2).
 *
 * Few rows are compared one by one, many through a table of hashes. Rows within one list differ from each
 * other (B1). The order of what stays may change. `scratch` is emptied and used. */
#pragma once

#include "base/buf.h"

void cancel_equal(bytes *deletes, uint32_t *delete_count, bytes *inserts, uint32_t *insert_count, struct buf *scratch);
