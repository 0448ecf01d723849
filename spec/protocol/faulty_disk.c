/* A disk as it may be: loaded into a server with LD_PRELOAD, it delays or refuses what the log does.
 *
 * The file that $STDB_DISK names says how; it is read at every sync and write, so a spec can change its mind:
 *
 *     sync_ms 300        every sync takes this much longer
 *     sync_error         every sync fails with EIO
 *     write_error        every write and reservation fails with ENOSPC
 *     only copy          all of that for files with /databases/copy/ in their path
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

/* Whether this file is one to meddle with. */
static int is_meant(int fd)
{
    char text[256] = "", link[64], path[4096] = "", part[300];
    const int settings = open(getenv("STDB_DISK"), O_RDONLY | O_CLOEXEC);
    if (settings < 0)
        return 1;
    const ssize_t size = read(settings, text, sizeof text - 1);
    close(settings);
    const char *at = size > 0 ? strstr(text, "only ") : NULL;
    if (at == NULL)
        return 1;
    snprintf(part, sizeof part, "/databases/%.*s/", (int)strcspn(at + 5, "\n"), at + 5);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return readlink(link, path, sizeof path - 1) > 0 && strstr(path, part) != NULL;
}

static int sync_slowly(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (says("sync_error") && is_meant(fd)) {
        errno = EIO;
        return -1;
    }
    const int code = real(fd);
    if (is_meant(fd))
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
    if (says("write_error") && is_meant(fd)) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, from, size, offset);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    int (*real)(int, int, off_t, off_t) = (int (*)(int, int, off_t, off_t))dlsym(RTLD_NEXT, "fallocate");
    if (says("write_error") && is_meant(fd)) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, mode, offset, size);
}
