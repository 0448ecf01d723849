#include "host/jit_state.h"

#include <dlfcn.h>
#include <link.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    PROFILE_BIT = 0x80,   /* of the hook mask */
    EVENT_BITS = 0x0f,    /* of the hook mask: what lua_sethook() sets */
    FRAME_RECORD_AT = 16, /* in a machine code area: behind the link */
    AREA_SIZE_MAX = 1 << 26,
    AREAS_MAX = 1024, /* no state has so many; a damaged list ends here */
};

/* A machine code area begins with this. */
struct code_area {
    struct code_area *next;
    size_t size;
};

static struct {
    size_t hook_mask_at; /* bytes from the state's start */
    size_t code_at;
    uintptr_t text_begin, text_end;
} learned;

/* libgcc's: the unwinder's register of code made at run time. */
extern void __deregister_frame(void *record);
extern const void *_Unwind_Find_FDE(void *pc, void *bases);

static void hook_nothing(lua_State *L, lua_Debug *event)
{
}

static uint8_t *hook_mask(lua_State *L)
{
    return (uint8_t *)L + learned.hook_mask_at;
}

/* The byte that follows what lua_sethook() is told, and that lua_gethookmask() reads. */
static bool is_hook_mask(lua_State *L, uint8_t *byte)
{
    static const int masks[] = { LUA_MASKCOUNT, LUA_MASKLINE, LUA_MASKCALL, LUA_MASKRET | LUA_MASKLINE };
    for (size_t idx = 0; idx < COUNTOF(masks); idx++) {
        lua_sethook(L, hook_nothing, masks[idx], 1000);
        if (*byte != masks[idx])
            return false;
    }
    lua_sethook(L, NULL, 0, 0);
    if (*byte != 0)
        return false;
    *byte = LUA_MASKCOUNT;
    const bool read_back = lua_gethookmask(L) == LUA_MASKCOUNT;
    *byte = 0;
    return read_back;
}

static err learn_hook_mask(lua_State *L, size_t size, struct diag *diag)
{
    size_t found = 0;
    for (size_t at = 0; at < size; at++) {
        if (is_hook_mask(L, (uint8_t *)L + at)) {
            learned.hook_mask_at = at;
            found++;
        }
    }
    if (found != 1)
        return diag_set(diag, ERR_MODULE, "this LuaJIT cannot be guarded: its hook mask was found %zu times", found);
    return OK;
}

/* The compiler keeps (area, top, bottom, size) side by side, and the size stands in the area too. */
static bool is_code_list(const uintptr_t *words)
{
    const uintptr_t area = words[0], top = words[1], bottom = words[2], size = words[3];
    return area != 0 && area % 4096 == 0 && size >= 4096 && size <= AREA_SIZE_MAX && top > area && top <= area + size &&
           bottom > area && bottom <= top && ((const struct code_area *)area)->size == size;
}

static err learn_code_list(lua_State *L, size_t size, struct diag *diag)
{
    /* A compiled loop, so that there is an area to find. */
    if (luaL_dostring(L, "local sum = 0 for number = 1, 10000 do sum = sum + number end") != 0)
        return diag_set(diag, ERR_MODULE, "this LuaJIT does not run: %s", lua_tostring(L, -1));
    const uintptr_t *words = (const uintptr_t *)L;
    size_t found = 0;
    for (size_t idx = 0; idx + 4 <= size / sizeof *words; idx++) {
        if (is_code_list(words + idx)) {
            learned.code_at = idx * sizeof *words;
            found++;
        }
    }
    if (found != 1)
        return diag_set(diag, ERR_MODULE, "this LuaJIT cannot be guarded: its machine code was found %zu times", found);
    return OK;
}

/* Keeps the part of a library's text that holds the function looked for. */
static int keep_text(struct dl_phdr_info *library, size_t size, void *context)
{
    const uintptr_t wanted = (uintptr_t)context;
    for (size_t idx = 0; idx < library->dlpi_phnum; idx++) {
        const ElfW(Phdr) *part = &library->dlpi_phdr[idx];
        const uintptr_t begin = library->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) && wanted >= begin && wanted < begin + part->p_memsz) {
            learned.text_begin = begin;
            learned.text_end = begin + part->p_memsz;
            return 1;
        }
    }
    return 0;
}

static int text_protect(int protection)
{
    const uintptr_t begin = learned.text_begin & ~(uintptr_t)4095;
    return mprotect((void *)begin, learned.text_end - begin, protection);
}

bool jit_state_is_text(uintptr_t address)
{
    return address >= learned.text_begin && address < learned.text_end;
}

void jit_state_shut_text(void)
{
    text_protect(PROT_READ);
}

void jit_state_open_text(void)
{
    check(text_protect(PROT_READ | PROT_EXEC) == 0);
}

static err learn_text(struct diag *diag)
{
    void *function = dlsym(RTLD_DEFAULT, "lua_pcall");
    if (function == NULL || dl_iterate_phdr(keep_text, function) == 0)
        return diag_set(diag, ERR_MODULE, "this LuaJIT cannot be guarded: its text was not found");
    if (jit_state_is_text((uintptr_t)learn_text))
        return diag_set(diag, ERR_MODULE, "this LuaJIT cannot be guarded: it is no library of its own");
    if (text_protect(PROT_READ | PROT_EXEC) != 0)
        return diag_set(diag, ERR_MODULE, "this LuaJIT cannot be guarded: its text cannot be shut and opened");
    return OK;
}

/* Remembers the size of the first block: the state itself. */
static void *probe_allocate(void *context, void *memory, size_t old_size, size_t new_size)
{
    size_t *state_size = context;
    if (new_size == 0) {
        free(memory);
        return NULL;
    }
    if (*state_size == 0)
        *state_size = new_size;
    return realloc(memory, new_size);
}

err jit_state_learn(struct diag *diag)
{
    size_t state_size = 0;
    lua_State *L = lua_newstate(probe_allocate, &state_size);
    if (L == NULL)
        return diag_set(diag, ERR_MODULE, "LuaJIT does not start");
    luaL_openlibs(L);
    err code = learn_hook_mask(L, state_size, diag);
    if (code == OK)
        code = learn_code_list(L, state_size, diag);
    if (code == OK)
        code = learn_text(diag);
    lua_close(L);
    return code;
}

/* lua_sethook() writes the interpreter's dispatch table when the mode differs from the last. The mask is
 * taken away first, so that it is written anew also when the signal hit in the middle of such a writing. */
void jit_state_interrupt(lua_State *L)
{
    *hook_mask(L) &= EVENT_BITS;
    lua_sethook(L, NULL, 0, 0);
    *hook_mask(L) |= PROFILE_BIT;
    lua_sethook(L, hook_nothing, LUA_MASKCOUNT, 1000000000);
}

static struct code_area *code_list(lua_State *L)
{
    return *(struct code_area **)((uint8_t *)L + learned.code_at);
}

bool jit_state_is_inside(lua_State *L, uintptr_t pc)
{
    if (jit_state_is_text(pc))
        return true;
    struct code_area *area = code_list(L);
    for (size_t count = 0; area != NULL && count < AREAS_MAX; count++, area = area->next) {
        if (pc >= (uintptr_t)area && pc < (uintptr_t)area + area->size)
            return true;
    }
    return false;
}

void jit_state_release_code(lua_State *L)
{
    struct code_area *area = code_list(L);
    for (size_t count = 0; area != NULL && count < AREAS_MAX; count++) {
        struct code_area *next = area->next;
        uint8_t *memory = (uint8_t *)area;
        void *bases[3];
        /* A state left between taking an area and telling the unwinder has nothing to take back. */
        if (_Unwind_Find_FDE(memory + area->size / 2, bases) != NULL)
            __deregister_frame(memory + FRAME_RECORD_AT);
        munmap(memory, area->size);
        area = next;
    }
}
