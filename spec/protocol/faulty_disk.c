/* A disk as it may be: loaded into a server with LD_PRELOAD, it delays or refuses what the log does.
 *
 * The file that $STDB_DISK names says how; it is read at every sync and write, so a spec can change its mind:
 *
 *     sync_ms 300        every sync takes this much longer
 *     sync_error         every sync fails with EIO
 *     write_error        every write and reservation fails with ENOSPC
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int says(const char *word)
{
    char text[256] = "";
    const int fd = open(getenv("STDB_DISK"), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    const ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    const char *at = size > 0 ? strstr(text, word) : NULL;
    return at == NULL ? 0 : at[strlen(word)] == ' ' ? atoi(at + strlen(word)) : 1;
}

static int sync_slowly(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (says("sync_error")) {
        errno = EIO;
        return -1;
    }
    const int code = real(fd);
    usleep(1000 * (useconds_t)says("sync_ms"));
    return code;
}

int fsync(int fd)
{
    return sync_slowly("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_slowly("fdatasync", fd);
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off_t) = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    if (says("write_error")) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, from, size, offset);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    int (*real)(int, int, off_t, off_t) = (int (*)(int, int, off_t, off_t))dlsym(RTLD_NEXT, "fallocate");
    if (says("write_error")) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, mode, offset, size);
}
