/* vm — one Lua with a module loaded in it.
 *
 * Making one: a state on a heap of its own, the standard libraries, then lua/stdb/boot.lua, which gets
 *
 *     host.cdef                   the text of host/abi.cdef
 *     host.vm                     the stdb_vm as a light userdata
 *     host.entry                  the name of the module's first file
 *     host.rejection              the value raised after stdb_reject()
 *     host.leave()                before that, where nothing of the module's may catch it: leaves the routine, if the
 *                                 call runs in it (V4)
 *     host.failed                 the message handler, which fills vm->report
 *     host.bundle(name)           text of a bundled file, or nil
 *     host.read(name)             text and chunk name of a module's file, or nil and a message
 *     host.compile(text, chunk)   function, or nil and a message; source only
 *
 * and returns a table:
 *
 *     run()               runs the module's files
 *     describe()          the BSATN of the description
 *     positions           where things were declared: { ["table user"] = { file = "module.lua", line = 12 } }
 *     dispatch(reducer)   runs the reducer of that place with the arguments in the stdb_vm
 *     view(view)          runs the view of that place; its rows or its query are in vm.row then
 *     dispatch_caught(reducer)   the same as dispatch, under host.failed; returns what was raised, or nothing
 *
 * The other functions raise what goes wrong.
 *
 * Rules
 *   V1  Chunks of the module are named "@" and the file's name below its folder; trusted ones "=stdb/...".
 *       Reports show the former only.
 *   V2  A C function that Lua calls holds nothing while it calls LuaJIT: the call may be left there.
 *   V3  A VM whose call did not return, or that was refused memory, is dead: no more calls.
 *   V4  An error finds its way out through the unwinder of C, which takes longer than a call. So while calls are refused
 *       often, they run in a coroutine, the routine: a call that is refused yields, and its routine is left for good.
 *       The module cannot tell the routine from none, and the reports of errors are the same. */
#pragma once

#include "host/abi.h"
#include "host/binding.h"
#include "host/foresight.h"
#include "host/heap.h"
#include "host/module.h"
#include "host/report.h"
#include "host/scan.h"

struct lua_State;

struct vm {
    stdb_vm abi;                   /* what Lua sees; the functions of abi.c get its address */
    struct lua_State *L;
    struct lua_State *routine;     /* V4, on L's stack; NULL: it is made when it is needed */
    uint64_t refusals;             /* V4: all there have been */
    uint32_t routine_calls;        /* V4: how many of the next calls run in the routine */
    struct heap heap;
    size_t collect_at;             /* of the heap's use: more than this is looked through for garbage after a call */
    bool is_dead;                  /* V3 */
    struct files *files;           /* borrowed: the module's */
    module_log_fn *log;
    void *log_context;
    /* the call */
    const struct binding *binding; /* borrowed: the module's; NULL while loading */
    struct txn *txn;
    bytes function;                /* the name of what runs; empty while loading */
    const struct view_call *view;  /* borrowed: what a view reads is told; NULL for all else */
    struct foresight *watched;     /* borrowed: learns from this call; mostly NULL */
    size_t logged;                 /* bytes */
    struct diag rejection;         /* the module's own words */
    struct scans scans;
    struct diag diag;              /* of the last refused function */
    struct buf text;               /* abi.text, when something was printed */
    struct report report;          /* of the last failed run */
};

/* Where something was declared. */
struct position {
    char *subject; /* owned: "table user" */
    char *file;    /* owned */
    int32_t line;
};

struct vm_description {
    struct buf def; /* BSATN */
    struct position *positions; /* owned */
    uint32_t position_count;
};
void vm_description_deinit(struct vm_description *description);

/* Loads the module's files into a fresh VM. On failure *vm is NULL and `report` tells the place, if known:
 * ERR_MODULE, ERR_OUT_OF_TIME, ERR_OUT_OF_MEMORY. */
err vm_new(struct vm **vm, struct files *files, const struct module_limits *limits, module_log_fn *log,
           void *log_context, struct vm_description *description, struct report *report);
void vm_free(struct vm *vm); /* NULL is fine */

/* What boot.lua gives for calling. The last one is for vm_dispatch() alone, which takes it for the first (V4). */
enum vm_entry { VM_REDUCER, VM_VIEW, VM_REDUCER_CAUGHT, VM_ENTRY_COUNT };

/* Runs the function at this place. OK, ERR_REJECTED, ERR_MODULE, ERR_OUT_OF_TIME, ERR_OUT_OF_MEMORY; vm->report has
 * the story. */
err vm_dispatch(struct vm *vm, enum vm_entry entry, uint32_t place, int64_t limit_us);

/* Between two calls: removes the garbage of those before when it has come to a good part of the memory there is.
 * Lua's own collector works in proportion to the number of things, and a few large strings are few. */
void vm_tidy(struct vm *vm, int64_t limit_us);

/* One line to the module's log. */
void vm_log(struct vm *vm, int level, bytes file, int32_t line, bytes message);

static inline struct vm *vm_of(stdb_vm *abi) { return container_of(abi, struct vm, abi); }
