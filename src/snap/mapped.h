/* mapped — reading what is mapped into memory, on a disk that may fail: where a page cannot be had, because the file
 * was cut meanwhile or the disk does not give it, the system sends SIGBUS instead of an error.
 *
 * Threads  any, each for itself. The handler is installed once and passes on what is not ours. */
#pragma once

#include "base/err.h"

/* Runs `read`, which leaves what it was doing at once when a page cannot be had: ERR_CORRUPT, naming the file. Then all
 * that it had opened is where `context` says, as far as it had come, and is only good for being closed. `read` holds no
 * lock. */
err mapped_read(err (*read)(void *context, struct diag *diag), void *context, const char *path, struct diag *diag);
