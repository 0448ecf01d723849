/* guard — ends a Lua call that has run too long, whatever it is doing.
 *
 * Hooks do not fire in compiled code, so the profiler's safepoints are used: every trace checks the hook
 * mask at line changes. A watchdog thread looks at the running calls; when one is over its time it signals
 * that thread, the handler raises the mask, and at the next safepoint the callback leaves by siglongjmp to
 * the frame that entered Lua. Nothing in Lua can catch that. Library code that never reaches a safepoint is
 * left from the handler itself after a grace time, but only where the interrupted instruction is LuaJIT's own
 * text, its machine code or no C function of ours is running.
 *
 * A VM that was left so is abandoned, never closed: its memory is one arena that is dropped. */
#pragma once

#include "base/err.h"
struct lua_State;

enum guard_end { GUARD_RETURNED, GUARD_OUT_OF_TIME, GUARD_STACK };

/* Once per process, before any VM: learns the hook mask's place, starts the watchdog. */
err guard_start(struct diag *diag);
/* Prepares a fresh state to be guarded. */
void guard_prepare(struct lua_State *L);
/* lua_pcall(L, args, results, handler) under a limit of time. *status gets lua_pcall's result when the
 * answer is GUARD_RETURNED. Nests not. */
enum guard_end guard_call(struct lua_State *L, int args, int results, int handler, int64_t limit_us, int *status);
