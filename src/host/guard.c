#include "host/guard.h"

#include "host/jit_state.h"
#include "host/watchdog.h"

#include <errno.h>
#include <lua.h>
#include <luajit.h>
#include <lauxlib.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

enum {
    FRAMES_LOOKED_AT = 50,
    SIGNAL_STACK_SIZE = 64 * 1024,
    ZONE_SIZE = 256 * 1024,          /* the part of a stack that is kept shut: room for what must finish */
    ZONE_ABOVE = 1024 * 1024 + 4096, /* the kernel keeps a growing stack this far from what is below it */
    STACK_SIZE_MAX = 1 << 30,        /* larger ones are unlimited ones: no end to put a zone at */
};

/* One for each thread that has run guest code, until it ends. */
struct guard_thread {
    struct watch watch;
    lua_State *volatile L;
    volatile enum guard_end end; /* how the running call is to end */
    sigjmp_buf frame;            /* the one that entered Lua */
    struct guard_place place;
    uint8_t *zone; /* of the thread's stack; NULL: none */
    volatile bool zone_is_open;
    void *signal_stack; /* owned; NULL: the thread had one */
};

/* The one thread-local outside a function's view: the handlers get nothing else to find their call by. */
static __thread struct guard_thread *current __attribute__((tls_model("initial-exec")));

static struct {
    pthread_once_t once;
    pthread_key_t at_thread_end;
    int signal;
    struct sigaction fault_before;
    struct diag diag; /* of starting */
} guard = { .once = PTHREAD_ONCE_INIT };

static uintptr_t interrupted_at(const void *context)
{
    const ucontext_t *state = context;
#if defined(__x86_64__)
    return (uintptr_t)state->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)state->uc_mcontext.pc;
#else
#error "guard.c needs to know where this processor's context keeps the program counter"
#endif
}

static bool is_running(const struct guard_thread *thread)
{
    return atomic_load_explicit(&thread->watch.number, memory_order_relaxed) % 2 == 1;
}

_Noreturn static void leave(struct guard_thread *thread, enum guard_end why)
{
    thread->end = why;
    siglongjmp(thread->frame, 1);
}

/* G2: a signal that comes late finds another number. */
static bool is_overdue(const struct guard_thread *thread)
{
    return thread != NULL && is_running(thread) &&
           atomic_load(&thread->watch.overdue) == atomic_load_explicit(&thread->watch.number, memory_order_relaxed);
}

static void end_overdue(struct guard_thread *thread, const void *context)
{
    if (thread->end == GUARD_RETURNED)
        thread->end = GUARD_OUT_OF_TIME;
    if (!atomic_load(&thread->watch.out_of_grace)) {
        jit_state_interrupt(thread->L);
    } else if (jit_state_is_inside(thread->L, interrupted_at(context))) {
        atomic_store(&thread->watch.is_signalled, false);
        leave(thread, thread->end);
    } else {
        jit_state_shut_text();
    }
}

static void on_overdue(int signal, siginfo_t *info, void *context)
{
    struct guard_thread *thread = current;
    const int errno_before = errno;
    if (thread == NULL)
        return;
    if (is_overdue(thread))
        end_overdue(thread, context);
    atomic_store(&thread->watch.is_signalled, false);
    errno = errno_before;
}

/* The text was shut for a call that is out of grace: its thread has come back from C and can be left now. Any
 * other thread just goes on. */
static void on_shut_text(struct guard_thread *thread)
{
    const int errno_before = errno;
    jit_state_open_text();
    if (is_overdue(thread) && atomic_load(&thread->watch.out_of_grace))
        leave(thread, thread->end);
    errno = errno_before;
}

static void zone_protect(struct guard_thread *thread, bool open)
{
    thread->zone_is_open = open;
    mprotect(thread->zone, ZONE_SIZE, open ? PROT_READ | PROT_WRITE : PROT_NONE);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    struct guard_thread *thread = current;
    const uint8_t *at = info->si_addr;
    if ((uintptr_t)at == interrupted_at(context) && jit_state_is_text((uintptr_t)at)) {
        on_shut_text(thread);
        return;
    }
    if (thread == NULL || !is_running(thread) || thread->zone == NULL || at < thread->zone ||
        at >= thread->zone + ZONE_SIZE) {
        /* Not ours: it happens again, in the hands of whoever had the signal before. */
        sigaction(signal, &guard.fault_before, NULL);
        return;
    }
    if (jit_state_is_inside(thread->L, interrupted_at(context)))
        leave(thread, GUARD_STACK);
    zone_protect(thread, true);
    thread->end = GUARD_STACK;
    jit_state_interrupt(thread->L);
}

/* The innermost line of the module's own. */
static void find_place(lua_State *L, struct guard_place *place)
{
    lua_Debug frame;
    for (int level = 0; level < FRAMES_LOOKED_AT && lua_getstack(L, level, &frame); level++) {
        if (lua_getinfo(L, "Sl", &frame) && frame.source[0] == '@' && frame.currentline > 0) {
            strncpy(place->file, frame.source + 1, sizeof place->file - 1);
            place->line = frame.currentline;
            return;
        }
    }
}

/* At a safepoint. */
static void on_safepoint(void *context, lua_State *L, int samples, int vm_state)
{
    struct guard_thread *thread = current;
    if (thread == NULL || !is_running(thread) || thread->end == GUARD_RETURNED)
        return;
    find_place(L, &thread->place);
    leave(thread, thread->end);
}

/* Whether the byte may be written. The kernel tries it: it answers where a store of ours would fault. A
 * stack that grows on demand has grown to there then. */
static bool can_be_written(uint8_t *at)
{
    return syscall(SYS_getrandom, at, 1, 0) == 1;
}

static void zone_find(struct guard_thread *thread)
{
    pthread_attr_t attributes;
    void *lowest = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    pthread_attr_getstack(&attributes, &lowest, &size);
    pthread_attr_destroy(&attributes);
    if (size < 2 * ZONE_ABOVE || size > STACK_SIZE_MAX)
        return;
    uint8_t *zone = (uint8_t *)(((uintptr_t)lowest + ZONE_ABOVE) & ~(uintptr_t)4095);
    if (!can_be_written(zone))
        return;
    thread->zone = zone;
    zone_protect(thread, false);
}

/* The fault handler cannot run on the stack that has no room left. */
static void signal_stack_set(struct guard_thread *thread)
{
    stack_t stack;
    if (sigaltstack(NULL, &stack) == 0 && !(stack.ss_flags & SS_DISABLE) && stack.ss_size >= SIGNAL_STACK_SIZE / 4)
        return;
    thread->signal_stack = memory_new(SIGNAL_STACK_SIZE);
    stack = (stack_t){ .ss_sp = thread->signal_stack, .ss_size = SIGNAL_STACK_SIZE };
    check(sigaltstack(&stack, NULL) == 0);
}

/* Not inlined: its variables are not to be mixed with those that a jump comes back to. */
__attribute__((noinline)) static struct guard_thread *thread_enter(void)
{
    struct guard_thread *thread = memory_new(sizeof *thread);
    signal_stack_set(thread);
    zone_find(thread);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, guard.signal);
    sigaddset(&signals, SIGSEGV);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    pthread_setspecific(guard.at_thread_end, thread);
    current = thread;
    watchdog_add(&thread->watch);
    return thread;
}

/* The system gives stacks to later threads: nothing may stay shut or in use in one. */
static void thread_end(void *value)
{
    struct guard_thread *thread = value;
    watchdog_remove(&thread->watch);
    current = NULL;
    if (thread->zone != NULL)
        zone_protect(thread, true);
    if (thread->signal_stack != NULL) {
        const stack_t none = { .ss_flags = SS_DISABLE };
        sigaltstack(&none, NULL);
        memory_free(thread->signal_stack);
    }
    memory_free(thread);
}

/* The profiler belongs to one VM of the process: an idle one. Its timer stays off; what matters is that
 * every other VM that asks for mode "l" then gets the checks in its traces and this callback. */
static err own_profiler(struct diag *diag)
{
    lua_State *owner = luaL_newstate();
    if (owner == NULL)
        return diag_set(diag, ERR_MODULE, "LuaJIT does not start");
    signal(SIGPROF, SIG_IGN);
    luaJIT_profile_start(owner, "i1000000l", on_safepoint, NULL);
    const struct itimerval off = { 0 };
    setitimer(ITIMER_PROF, &off, NULL);
    signal(SIGPROF, SIG_IGN);
    return OK;
}

/* No mask changes with a handler (SA_NODEFER), so that leaving one by a jump has none to restore. */
static err handle(int signal, void (*handler)(int, siginfo_t *, void *), struct sigaction *before, struct diag *diag)
{
    struct sigaction action = { .sa_sigaction = handler,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART };
    sigemptyset(&action.sa_mask);
    if (sigaction(signal, &action, before) != 0)
        return diag_set(diag, ERR_MODULE, "signal %d cannot be handled: %s", signal, strerror(errno));
    return OK;
}

static err start(struct diag *diag)
{
    guard.signal = SIGRTMIN + 3;
    check(pthread_key_create(&guard.at_thread_end, thread_end) == 0);
    TRY(jit_state_learn(diag));
    TRY(own_profiler(diag));
    TRY(handle(guard.signal, on_overdue, NULL, diag));
    TRY(handle(SIGSEGV, on_fault, &guard.fault_before, diag));
    return watchdog_start(guard.signal, diag);
}

static void start_once(void)
{
    guard.diag.code = start(&guard.diag);
}

err guard_start(struct diag *diag)
{
    pthread_once(&guard.once, start_once);
    if (guard.diag.code != OK)
        *diag = guard.diag;
    return guard.diag.code;
}

void guard_prepare(lua_State *L)
{
    luaJIT_profile_start(L, "l", on_safepoint, NULL);
}

static inline struct guard_thread *enter(lua_State *L, int64_t limit_us)
{
    struct guard_thread *const thread = current != NULL ? current : thread_enter();
    const uint64_t number = atomic_load_explicit(&thread->watch.number, memory_order_relaxed);
    check(number % 2 == 0);
    thread->L = L;
    thread->end = GUARD_RETURNED;
    thread->place.file[0] = '\0';
    thread->place.line = 0;
    watchdog_begin(&thread->watch, number + 1, limit_us);
    return thread;
}

static inline enum guard_end come_back(struct guard_thread *thread)
{
    const uint64_t number = atomic_load_explicit(&thread->watch.number, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&thread->watch.number, number + 1, memory_order_release);
    if (thread->zone_is_open)
        zone_protect(thread, false);
    return thread->end;
}

enum guard_end guard_call(lua_State *L, int args, int results, int handler, int64_t limit_us, int *status)
{
    struct guard_thread *const thread = enter(L, limit_us);
    if (sigsetjmp(thread->frame, 0) == 0)
        *status = lua_pcall(L, args, results, handler);
    return come_back(thread);
}

enum guard_end guard_resume(lua_State *L, lua_State *routine, int args, int64_t limit_us, int *status)
{
    struct guard_thread *const thread = enter(L, limit_us);
    if (sigsetjmp(thread->frame, 0) == 0)
        *status = lua_resume(routine, args);
    return come_back(thread);
}

void guard_end_call(enum guard_end why)
{
    struct guard_thread *thread = current;
    if (thread == NULL || !is_running(thread) || thread->end != GUARD_RETURNED)
        return;
    thread->end = why;
    jit_state_interrupt(thread->L);
}

const struct guard_place *guard_last_place(void)
{
    return &current->place;
}
