#include "host/vm.h"

#include "base/clock.h"
#include "host/bundle.h"
#include "host/guard.h"
#include "host/jit_state.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* On the bottom of the stack, for as long as the VM lives. */
enum {
    STACK_HANDLER = 1,
    STACK_ROUTINE_MAKER,
    STACK_ROUTINE, /* or nil */
    STACK_ENTRIES,
    STACK_COUNT = STACK_ENTRIES + VM_ENTRY_COUNT - 1,
};

enum { MEMORY_MIN = 4 << 20 }; /* what the libraries and lua/ need, and some */

/* V4. The first refusals are raised: functions are compiled meanwhile as they are when nothing is refused. From then on
 * each refusal makes so many calls run in the routine; what they cost more is no more than raising one costs. */
enum { REFUSALS_RAISED = 256, ROUTINE_CALLS = 64 };

/* Its address is the value that a rejection raises or yields. */
static char rejection_mark;

static void *allocate(void *context, void *memory, size_t old_size, size_t new_size)
{
    struct vm *vm = context;
    const bool was_exceeded = vm->heap.exceeded;
    void *resized = heap_resize(&vm->heap, memory, old_size, new_size);
    /* A script that catches the error would go on failing: the call ends at the next safepoint. */
    if (vm->heap.exceeded && !was_exceeded)
        guard_end_call(GUARD_OUT_OF_MEMORY);
    return resized;
}

static struct vm *vm_upvalue(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* host.bundle */
static int bundle_content(lua_State *L)
{
    const bytes content = bundle_find(luaL_checkstring(L, 1));
    if (content.at == NULL)
        return 0;
    lua_pushlstring(L, (const char *)content.at, content.size);
    return 1;
}

/* host.read. The text belongs to the module's files, so nothing is lost when a call is left here (V2). */
static int read_file(lua_State *L)
{
    struct vm *vm = vm_upvalue(L);
    size_t size;
    const char *name = luaL_checklstring(L, 1, &size);
    const struct file *file;
    if (files_get(vm->files, bytes_of(name, size), &file, &vm->diag) != OK) {
        lua_pushnil(L);
        lua_pushstring(L, vm->diag.text);
        return 2;
    }
    lua_pushlstring(L, (const char *)file->text.data, file->text.size);
    lua_pushfstring(L, "@%s", file->name);
    return 2;
}

/* host.compile */
static int compile(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    const char *chunk = luaL_checkstring(L, 2);
    if (size > 0 && text[0] == LUA_SIGNATURE[0]) {
        lua_pushnil(L);
        lua_pushfstring(L, "%s is compiled code, not Lua text", chunk + 1);
        return 2;
    }
    if (luaL_loadbufferx(L, text, size, chunk, "t") == 0)
        return 1;
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

static bool is_rejection(lua_State *L)
{
    return lua_islightuserdata(L, -1) && lua_touserdata(L, -1) == &rejection_mark;
}

/* host.failed, the message handler. */
static int on_error(lua_State *L)
{
    struct vm *vm = vm_upvalue(L);
    if (!is_rejection(L))
        report_gather(&vm->report, L);
    return 1;
}

/* host.leave (V4) */
static int leave(lua_State *L)
{
    const struct vm *vm = vm_upvalue(L);
    if (L != vm->routine || !lua_isyieldable(L))
        return 0;
    lua_pushlightuserdata(L, &rejection_mark);
    return lua_yield(L, 1);
}

static void push_function(lua_State *L, struct vm *vm, lua_CFunction function, const char *name)
{
    lua_pushlightuserdata(L, vm);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
}

static void push_host(lua_State *L, struct vm *vm)
{
    const bytes cdef = bundle_find("src/host/abi.cdef");
    lua_createtable(L, 0, 10);
    lua_pushlstring(L, (const char *)cdef.at, cdef.size);
    lua_setfield(L, -2, "cdef");
    lua_pushlightuserdata(L, &vm->abi);
    lua_setfield(L, -2, "vm");
    lua_pushstring(L, vm->files->entry);
    lua_setfield(L, -2, "entry");
    lua_pushlightuserdata(L, &rejection_mark);
    lua_setfield(L, -2, "rejection");
    push_function(L, vm, on_error, "failed");
    push_function(L, vm, leave, "leave");
    push_function(L, vm, bundle_content, "bundle");
    push_function(L, vm, read_file, "read");
    push_function(L, vm, compile, "compile");
}

/* From nothing to (dispatch, view, dispatch_caught, description, positions). */
static int boot(lua_State *L)
{
    struct vm *vm = lua_touserdata(L, 1);
    luaL_openlibs(L);
    const bytes chunk = bundle_find("lua/stdb/boot.lua");
    check(chunk.at != NULL);
    if (luaL_loadbufferx(L, (const char *)chunk.at, chunk.size, "=stdb/boot", "b") != 0)
        return lua_error(L);
    push_host(L, vm);
    lua_call(L, 1, 1);
    const int functions = lua_gettop(L);
    lua_getfield(L, functions, "run");
    lua_call(L, 0, 0);
    lua_getfield(L, functions, "dispatch");
    lua_getfield(L, functions, "view");
    lua_getfield(L, functions, "dispatch_caught");
    lua_getfield(L, functions, "describe");
    lua_call(L, 0, 1);
    lua_getfield(L, functions, "positions");
    check(lua_isfunction(L, -5) && lua_isfunction(L, -4) && lua_isfunction(L, -3) && lua_type(L, -2) == LUA_TSTRING &&
          lua_istable(L, -1));
    return VM_ENTRY_COUNT + 2;
}

/* How a run has ended. Of one that failed, the value that it raised or yielded is on top of L's stack. */
static err run_outcome(struct vm *vm, lua_State *L, enum guard_end end, int status)
{
    if (end == GUARD_RETURNED && status == 0 && !vm->heap.exceeded)
        return OK;
    vm->is_dead = end != GUARD_RETURNED || vm->heap.exceeded || status == LUA_ERRMEM;
    if (end != GUARD_RETURNED) {
        const struct guard_place *place = guard_last_place();
        vm->report = (struct report){ .line = place->line };
        strcpy(vm->report.file, place->file);
    }
    if (end == GUARD_OUT_OF_TIME)
        return ERR_OUT_OF_TIME;
    if (end == GUARD_OUT_OF_MEMORY || vm->heap.exceeded || status == LUA_ERRMEM)
        return ERR_OUT_OF_MEMORY;
    if (end == GUARD_STACK) {
        strcpy(vm->report.message,
               "stack overflow in native code: calls through library functions are nested too deep");
        return ERR_MODULE;
    }
    if (is_rejection(L))
        return ERR_REJECTED;
    if (vm->report.message[0] == '\0')
        report_gather_value(&vm->report, L);
    report_locate(&vm->report, vm->files);
    return ERR_MODULE;
}

/* The function and its arguments are on the stack. */
static err run(struct vm *vm, int args, int results, int64_t limit_us)
{
    int status = 0;
    vm->report.message[0] = '\0';
    const enum guard_end end = guard_call(vm->L, args, results, STACK_HANDLER, limit_us, &status);
    return run_outcome(vm, vm->L, end, status);
}

static int make_routine(lua_State *L)
{
    lua_newthread(L);
    return 1;
}

/* Makes the routine when there is none. False when there is no memory for one; the VM is dead then. */
static bool routine_provide(struct vm *vm)
{
    if (vm->routine != NULL)
        return true;
    lua_pushvalue(vm->L, STACK_ROUTINE_MAKER);
    vm->is_dead = lua_pcall(vm->L, 0, 1, 0) != 0 || vm->heap.exceeded;
    lua_replace(vm->L, STACK_ROUTINE);
    if (!vm->is_dead)
        vm->routine = lua_tothread(vm->L, STACK_ROUTINE);
    return !vm->is_dead;
}

/* What lua_pcall would have told: dispatch_caught() returns what was raised, and not the kind of the error. But where
 * memory is refused, no handler runs. */
static int routine_status(const struct vm *vm, lua_State *routine, int status)
{
    if (status != 0 || lua_gettop(routine) == 0)
        return status;
    const bool was_handled = vm->report.message[0] != '\0' || lua_type(routine, -1) != LUA_TSTRING;
    return !was_handled && strcmp(lua_tostring(routine, -1), "not enough memory") == 0 ? LUA_ERRMEM : LUA_ERRRUN;
}

/* V4. The routine that ends is there for the next call; one that was left, or failed otherwise, is not. */
static err run_in_routine(struct vm *vm, uint32_t place, int64_t limit_us)
{
    int status = 0;
    if (!routine_provide(vm))
        return ERR_OUT_OF_MEMORY;
    lua_State *const routine = vm->routine;
    vm->report.message[0] = '\0';
    lua_pushvalue(vm->L, STACK_ENTRIES + VM_REDUCER_CAUGHT);
    lua_pushnumber(vm->L, place);
    lua_xmove(vm->L, routine, 2);
    const enum guard_end end = guard_resume(vm->L, routine, 1, limit_us, &status);
    const bool has_ended = end == GUARD_RETURNED && status == 0;
    if (end == GUARD_RETURNED)
        status = routine_status(vm, routine, status);
    const err code = run_outcome(vm, routine, end, status);
    if (!has_ended)
        vm->routine = NULL;
    else
        lua_settop(routine, 0);
    return code;
}

static err run_on_stack(struct vm *vm, enum vm_entry entry, uint32_t place, int64_t limit_us)
{
    lua_pushvalue(vm->L, STACK_ENTRIES + (int)entry);
    lua_pushnumber(vm->L, place);
    const err code = run(vm, 1, 0, limit_us);
    if (code != OK && !vm->is_dead)
        lua_settop(vm->L, STACK_COUNT);
    return code;
}

err vm_dispatch(struct vm *vm, enum vm_entry entry, uint32_t place, int64_t limit_us)
{
    check(!vm->is_dead);
    err code;
    if (vm->routine_calls > 0 && entry == VM_REDUCER) {
        vm->routine_calls--;
        code = run_in_routine(vm, place, limit_us);
    } else {
        code = run_on_stack(vm, entry, place, limit_us);
    }
    if (code == ERR_REJECTED && ++vm->refusals > REFUSALS_RAISED)
        vm->routine_calls = ROUTINE_CALLS;
    return code;
}

static int collect(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

/* A call of its own, so that no other pays for it. What stays is no garbage: looking again is worth it only when
 * half of what is left then has been used. */
void vm_tidy(struct vm *vm, int64_t limit_us)
{
    if (vm->is_dead || vm->heap.used <= vm->collect_at)
        return;
    lua_pushcfunction(vm->L, collect);
    if (run(vm, 0, 0, limit_us) != OK) {
        vm->is_dead = true;
        return;
    }
    const size_t used = vm->heap.used;
    vm->collect_at = used + (vm->heap.limit - used) / 2;
}

static char *copy_terminated(lua_State *L, int idx)
{
    size_t size;
    const char *text = lua_tolstring(L, idx, &size);
    return memory_copy(text, size + 1);
}

/* Of an entry { file = ..., line = ... } on top of the stack, whose key is below it. */
static struct position take_position(lua_State *L)
{
    check(lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1));
    struct position position = { .subject = copy_terminated(L, -2) };
    lua_getfield(L, -1, "file");
    lua_getfield(L, -2, "line");
    check(lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TNUMBER);
    position.file = copy_terminated(L, -2);
    position.line = (int32_t)lua_tonumber(L, -1);
    lua_pop(L, 2);
    return position;
}

/* What boot() left on the stack. */
static void take_description(lua_State *L, struct vm_description *description)
{
    size_t size;
    const char *def = lua_tolstring(L, -2, &size);
    buf_put(&description->def, def, size);
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        const uint32_t count = ++description->position_count;
        description->positions = memory_resize(description->positions, count * sizeof *description->positions);
        description->positions[count - 1] = take_position(L);
    }
}

void vm_description_deinit(struct vm_description *description)
{
    for (uint32_t idx = 0; idx < description->position_count; idx++) {
        memory_free(description->positions[idx].subject);
        memory_free(description->positions[idx].file);
    }
    memory_free(description->positions);
    buf_deinit(&description->def);
    *description = (struct vm_description){ 0 };
}

static err load(struct vm *vm, int64_t limit_us, struct vm_description *description)
{
    lua_State *L = vm->L;
    guard_prepare(L);
    lua_pushlightuserdata(L, vm);
    lua_pushcclosure(L, on_error, 1);
    lua_pushcfunction(L, make_routine);
    lua_pushnil(L);
    lua_pushcfunction(L, boot);
    lua_pushlightuserdata(L, vm);
    TRY(run(vm, 1, VM_ENTRY_COUNT + 2, limit_us));
    take_description(L, description);
    lua_settop(L, STACK_COUNT);
    return OK;
}

err vm_new(struct vm **made, struct files *files, const struct module_limits *limits, module_log_fn *log,
           void *log_context, struct vm_description *description, struct report *report)
{
    struct vm *vm = memory_new(sizeof *vm);
    vm->files = files;
    vm->log = log;
    vm->log_context = log_context;
    buf_init(&vm->text);
    *made = NULL;
    *description = (struct vm_description){ 0 };
    *report = (struct report){ 0 };
    const size_t memory = limits->memory_max > MEMORY_MIN ? limits->memory_max : MEMORY_MIN;
    vm->collect_at = memory / 2;
    if (heap_init(&vm->heap, memory))
        vm->L = lua_newstate(allocate, vm);
    const err code = vm->L != NULL ? load(vm, limits->load_us, description) : ERR_OUT_OF_MEMORY;
    if (code != OK) {
        *report = vm->report;
        vm_free(vm);
        return code;
    }
    *made = vm;
    return OK;
}

/* The state is not closed: closing walks all it made, and it may have been left in the middle of anything. */
void vm_free(struct vm *vm)
{
    if (vm == NULL)
        return;
    if (vm->L != NULL)
        jit_state_release_code(vm->L);
    heap_deinit(&vm->heap);
    scans_deinit(&vm->scans);
    buf_deinit(&vm->text);
    memory_free(vm);
}

void vm_log(struct vm *vm, int level, bytes file, int32_t line, bytes message)
{
    if (vm->log == NULL)
        return;
    const struct module_log_line entry = {
        .level = level,
        .timestamp_us = vm->abi.in_call ? vm->abi.timestamp_us : clock_wall_us(),
        .function = vm->function,
        .file = file,
        .line = line,
        .message = message,
    };
    vm->log(vm->log_context, &entry);
}
