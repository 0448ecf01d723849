/* jit_state — the three things of LuaJIT's inside that its interface does not tell, learned by experiment.
 *
 * A state is one block of memory: lua_State, then the global state, then the compiler's. Found in it, by
 * changing something through the interface and looking which bytes follow:
 *
 *     the hook mask       bit 7 asks for the profiler's callback at the next safepoint
 *     the machine code    head of a list of areas; each begins with (next, size), and the unwinder has been
 *                         told of it (its record stands at byte 16)
 *     the library's text  from the dynamic linker
 *
 * Anything ambiguous makes jit_state_learn() fail, and the server does not start. */
#pragma once

#include "base/err.h"

struct lua_State;

/* Once per process. */
err jit_state_learn(struct diag *diag);

/* Makes the state's next safepoint call the profiler's callback, whether it interprets or runs compiled
 * code. Callable from a signal handler on the thread that runs the state, and again when once was lost. */
void jit_state_interrupt(struct lua_State *L);

/* Whether the instruction at `pc` is LuaJIT's own text or machine code it made for this state. */
bool jit_state_is_inside(struct lua_State *L, uintptr_t pc);

/* Whether the address is in LuaJIT's own text. */
bool jit_state_is_text(uintptr_t address);

/* Shut, LuaJIT's text cannot run: whoever comes to it, or comes back to it from a function of the C library,
 * faults there at its first instruction. It is the text of the whole process, so the fault opens it. */
void jit_state_shut_text(void);
void jit_state_open_text(void);

/* Takes the machine code of a state that will never run again from the unwinder and from the process. */
void jit_state_release_code(struct lua_State *L);
