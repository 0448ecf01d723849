/* probe — the rows of a table that have a value in one column, through an index. */
#pragma once

#include "store/table.h"

/* Whether some index answers for the column alone. */
bool probe_is_indexed(const struct table_def *table, uint16_t column);

/* The table must have such an index. Stops when `each` returns false. */
void probe_rows(const struct table *table, uint16_t column, bytes value, bool (*each)(void *context, bytes row),
                void *context);

/* The bytes of a column in a row. */
bytes probe_value(const struct table_def *table, const uint8_t *row, uint16_t column);
