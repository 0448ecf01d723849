/* offline — a question to a database that is asked of its directory, where a server may run or not. */
#pragma once

#include "cli/archive.h"

/* Appends the answer as HTTP's /sql gives it. `as_of` may be NULL: the newest state. Private tables are shown; :sender
 * is nobody. */
err offline_ask(struct archive *archive, const char *as_of, const char *question, struct buf *answer, struct diag *diag);
