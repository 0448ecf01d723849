/* publication — a new version of the module takes over, between two calls.
 *
 * It was loaded and described elsewhere, beside the running one. Here its schema is built, the migration is
 * planned, and tables, log and module change together or not at all. */
#pragma once

#include "engine/state.h"

/* Puts `module` in force: takes it over on success only. On success diag->text is a summary of one line. On
 * failure nothing has changed. Runs init when the database has never had a module. */
err publication_apply(struct engine *engine, struct module *module, struct diag *diag);
/* The module that the recovered tables belong to is the one at hand: ties both together, logs nothing. Takes it
 * over. */
void publication_bind(struct engine *engine, struct module *module);
/* Loads the version that was published last, from the log's own copy of its files. ERR_NOT_FOUND when none was. */
err publication_load(const struct engine *engine, struct module **module, struct diag *diag);
/* Once a turn: applies what engine_publish() left. */
void publication_run(struct engine *engine);
