/* call — one reducer, one transaction: the middle of the way of a call. */
#pragma once

#include "engine/state.h"

/* A reducer's place by its name; CALL_NO_REDUCER when there is none. */
enum { CALL_NO_REDUCER = -1 };
int32_t call_find(const struct engine *engine, bytes name);
/* Whether `is_owner` or anybody may call what call_find() has found under this name. ERR_NO_REDUCER, ERR_FORBIDDEN. */
err call_allow(const struct engine *engine, bytes name, int32_t found, bool is_owner, struct diag *diag);
/* Both: the reducer of this name, if `is_owner` or anybody may call it. */
err call_prepare(struct engine *engine, bytes name, bool is_owner, uint32_t *reducer, struct diag *diag);
/* Checks arguments that come as bytes: a reducer never sees unchecked ones. What stands behind them is cut off.
 * ERR_BAD_ARGS: "invalid arguments for reducer move: argument `pos.x`: ..." */
err call_check_args(struct engine *engine, uint32_t reducer, bytes *args, struct diag *diag);
/* The same for those that come as JSON: appends them as bytes. */
err call_parse_args(struct engine *engine, uint32_t reducer, bytes text, struct buf *args, struct diag *diag);

/* Runs, commits, logs and publishes, or changes nothing and says why. Every subscriber but `client` (may be NULL) is told
 * here; what the commit brings `client` is left to `tell`, which is called exactly once on success with the parts of its
 * update (none when nothing concerns it). */
typedef void call_tell_fn(void *context, const struct update_part *parts, uint32_t count);
err call_run(struct engine *engine, const struct caller *caller, struct client *client, uint32_t reducer, bytes args,
             call_tell_fn *tell, void *context, struct diag *diag);

/* A lifecycle reducer, or only the record when the module has none: `record` says CONNECT or DISCONNECT. When
 * the reducer fails, nothing changes and nothing is logged, unless `even_if_it_fails`: then the record is
 * logged without changes. */
err call_run_lifecycle(struct engine *engine, const struct caller *caller, enum lifecycle event, bool even_if_it_fails,
                       struct diag *diag);

/* Commits the open transaction: log record, then every subscriber. For transactions that no reducer made. */
void call_commit(struct engine *engine, const struct record *record, struct client *client, call_tell_fn *tell, void *context);
/* Tells every subscriber of changes that no transaction made: in tables that are worked out from others. */
void call_publish(struct engine *engine, const struct delta *delta);
/* The seed of the next reducer's random source: differs from call to call; not a secret. */
uint64_t call_draw_seed(struct engine *engine);
/* Appends one record to the log. `delta` may be NULL. */
void call_log(struct engine *engine, const struct record *record, const struct delta *delta);
