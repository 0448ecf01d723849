#include "snap/mapped.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

static __thread sigjmp_buf *current; /* where this thread's reading was begun, or NULL */
static struct sigaction before;
static pthread_once_t installed = PTHREAD_ONCE_INIT;

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
    if (current != NULL)
        siglongjmp(*current, 1);
    sigaction(signal, &before, NULL); /* it happens again, in the hands of whoever had the signal before */
}

/* No mask changes with the handler (SA_NODEFER), so that leaving it by a jump has none to restore. */
static void install(void)
{
    struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER };
    sigemptyset(&action.sa_mask);
    check(sigaction(SIGBUS, &action, &before) == 0);
}

err mapped_read(err (*read)(void *context, struct diag *diag), void *context, const char *path, struct diag *diag)
{
    sigjmp_buf begin;
    check(current == NULL);
    pthread_once(&installed, install);
    if (sigsetjmp(begin, 0) != 0) {
        current = NULL;
        return diag_set(diag, ERR_CORRUPT, "%s is damaged: it was cut while it was read, or the disk does not give it",
                        path);
    }
    current = &begin;
    const err code = read(context, diag);
    current = NULL;
    return code;
}
