/* sql_run — one SQL statement of a client: read at once, or carried out as a transaction like a call. */
#pragma once

#include "engine/call.h"
#include "engine/system_tables.h"

/* Appends the answer as /sql gives it. Errors of statement_compile(), select_run(), change_run(): nothing has changed
 * then, and what was appended means nothing. */
err sql_run(struct engine *engine, const struct caller *caller, bytes text, struct buf *out, int64_t *duration_us,
            struct diag *diag);
/* Readies the system tables as the owner or another sees them now. */
void sql_system_tables(struct engine *engine, bool is_owner, struct system_tables_maker *maker);
