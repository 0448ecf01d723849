/* guard — ends a Lua call that has run too long, whatever it is doing.
 *
 * Hooks do not fire in compiled code, so the profiler's safepoints are used: every trace checks the hook
 * mask at line changes. A watchdog thread looks at the running calls; when one is over its time it signals
 * that thread, the handler raises the mask, and at the next safepoint the callback leaves by siglongjmp to
 * the frame that entered Lua. Nothing in Lua can catch that.
 *
 * Library code that never reaches a safepoint is left from the handler itself after a grace time, but only
 * where the interrupted instruction is LuaJIT's own text or its machine code. None of our functions is
 * running then, since none of those that Lua calls through the FFI calls LuaJIT (A1), and those that are
 * called through the C API hold nothing while they do (V2 in host/vm.h). Where the time goes into functions of
 * the C library instead (a plain find compares megabytes at each place), the signal would rarely meet LuaJIT's
 * own text. So that text is made impossible to run, and the call is left where it comes back to it.
 *
 * A call that runs out of native stack is left likewise. The lowest part of a guarded thread's stack is
 * kept shut. A fault there in LuaJIT ends the call at once; in other code the part is opened, so that the
 * code can finish, and the call ends at the next safepoint. Stacks below 2 MiB have no such part.
 *
 * A VM that was left so is abandoned, never closed: its memory is one heap that is dropped.
 *
 * Rules
 *   G1  A call costs no system call and reads no clock: it counts up a number. (The first one after a pause
 *       wakes the watchdog.) The watchdog times what it sees unchanged, in processor time of that thread. A limit is
 *       never cut short, and is overrun by no more than GUARD_LOOK_US, a few milliseconds, and the way to the next
 *       safepoint.
 *   G2  What was decided about one call never hits the next: handlers compare the numbers. */
#pragma once

#include "base/err.h"

struct lua_State;

enum { GUARD_LOOK_US = 25000, GUARD_GRACE_US = 20000 };

enum guard_end { GUARD_RETURNED, GUARD_OUT_OF_TIME, GUARD_OUT_OF_MEMORY, GUARD_STACK };

/* Where a call was left, as its chunk's name says; file is empty when that is not known. */
struct guard_place {
    char file[200];
    int32_t line;
};

/* Once per process, before any VM: learns LuaJIT's inside, starts the watchdog. Later calls do nothing. */
err guard_start(struct diag *diag);
/* Prepares a fresh state to be guarded. */
void guard_prepare(struct lua_State *L);
/* lua_pcall(L, args, results, handler) under a limit of time. *status gets lua_pcall's result when the
 * answer is GUARD_RETURNED. Nests not. */
enum guard_end guard_call(struct lua_State *L, int args, int results, int handler, int64_t limit_us, int *status);
/* The same of lua_resume(routine, args), for a coroutine of L. */
enum guard_end guard_resume(struct lua_State *L, struct lua_State *routine, int args, int64_t limit_us, int *status);
/* From inside the running call: it is to end at the next safepoint. Without one running, nothing. */
void guard_end_call(enum guard_end why);
/* Of the last call on this thread that did not return. */
const struct guard_place *guard_last_place(void);
