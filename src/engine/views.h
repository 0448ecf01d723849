/* views — derived tables that a function of the module gives: as rows, or as a query that is followed from then on.
 *
 * Which rows the function has looked at is kept in reads.h; it runs again when one of them changes. It runs outside of
 * any row-level security, as the database itself.
 *
 * A function that has used up its time or its memory for one caller does not run for others either, until the next
 * publish: a thousand of them would stop the database for a thousand times that time. */
#pragma once

#include "engine/levels.h"
#include "engine/reads.h"
#include "engine/state.h"

/* What views work with. */
struct views {
    struct engine *engine; /* borrowed */
    struct levels *levels; /* borrowed */
    struct reads *reads;   /* owned: of all views */
    struct map exhausted;  /* place of a view that does not run any more -> struct diag, owned: why */
};

void views_init(struct views *views, struct engine *engine, struct levels *levels);
void views_deinit(struct views *views); /* no view has reads any longer */

/* Runs the view's function, and counts what it gives as all rows there are. */
err views_run(struct views *views, struct derived *derived, struct diag *diag);
