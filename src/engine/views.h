/* views — derived tables that a function of the module gives: as rows, or as a query that is followed from then on.
 *
 * Which rows the function has looked at is kept in reads.h; it runs again when one of them changes. It runs outside of
 * any row-level security, as the database itself. */
#pragma once

#include "engine/levels.h"
#include "engine/state.h"

/* What views work with. */
struct views {
    struct engine *engine; /* borrowed */
    struct levels *levels; /* borrowed */
    struct reads *reads;   /* owned: of all views */
};

/* Runs the view's function, and counts what it gives as all rows there are. */
err views_run(struct views *views, struct derived *derived, struct diag *diag);
