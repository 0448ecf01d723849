/* past — one question to a database as it was, asked of its directory. */
#pragma once

#include "cli/archive.h"

/* Appends the answer as HTTP's /sql gives it. Private tables are shown; :sender is nobody. */
err past_ask(struct archive *archive, const char *as_of, const char *question, struct buf *answer, struct diag *diag);
