/* A disk that loses what was not synced, for a server that is killed: loaded with LD_PRELOAD.
 *
 * A killed process loses nothing that the kernel has, so that a missing sync cannot be seen by killing alone. Here
 * what is written to the log's files stays in this process's memory until it is synced. The process itself reads it
 * as if it were there; the kill loses it. As on a real disk, parts of it may be stored early, in any order: whole
 * sectors, by chance. A sync takes a moment, now and then a long one, so that a kill often falls into one.
 *
 * $STDB_LOSSY_SEED is where chance begins, $STDB_LOSSY_SLOW_MS the longest that a sync takes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FDS = 4096, SECTOR = 512, SYNC_US = 2000 };

/* One write that is not synced. */
struct piece {
    struct piece *next;
    off_t at;
    size_t size;
    uint8_t bytes[];
};

/* A file that has some, whoever has it open. */
struct file {
    struct file *next;
    dev_t device;
    ino_t number;
    struct piece *first, **last;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *files;
static struct file *of_fd[FDS];
static uint64_t chance;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static uint64_t setting(const char *name)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static uint64_t draw(void)
{
    if (chance == 0)
        chance = setting("STDB_LOSSY_SEED") | 1;
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return chance >> 11;
}

static struct file *file_find(const struct stat *status)
{
    for (struct file *file = files; file != NULL; file = file->next)
        if (file->device == status->st_dev && file->number == status->st_ino)
            return file;
    return NULL;
}

static struct file *file_add(const struct stat *status)
{
    struct file *file = calloc(1, sizeof *file);
    *file = (struct file){ .next = files, .device = status->st_dev, .number = status->st_ino };
    file->last = &file->first;
    return files = file;
}

static void pieces_drop(struct file *file)
{
    while (file->first != NULL) {
        struct piece *piece = file->first;
        file->first = piece->next;
        free(piece);
    }
    file->last = &file->first;
}

static struct file *file_of(int fd)
{
    return fd >= 0 && fd < FDS ? of_fd[fd] : NULL;
}

static off_t pieces_end(const struct file *file)
{
    off_t end = 0;
    for (const struct piece *piece = file->first; piece != NULL; piece = piece->next)
        if (piece->at + (off_t)piece->size > end)
            end = piece->at + (off_t)piece->size;
    return end;
}

/* The log's segments, and the small file beside them under both of its names. */
static int is_lossy(const char *path)
{
    const size_t size = strlen(path);
    return (size > 4 && strcmp(path + size - 4, ".wal") == 0) || strstr(path, "/log/newest") != NULL;
}

int open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    const int fd = REAL(open)(path, flags, mode);
    struct stat status;
    if (fd < 0 || fd >= FDS || !is_lossy(path) || REAL(fstat)(fd, &status) != 0)
        return fd;
    pthread_mutex_lock(&lock);
    of_fd[fd] = file_find(&status);
    if (of_fd[fd] == NULL)
        of_fd[fd] = file_add(&status);
    pthread_mutex_unlock(&lock);
    return fd;
}

int close(int fd)
{
    pthread_mutex_lock(&lock);
    if (file_of(fd) != NULL)
        of_fd[fd] = NULL;
    pthread_mutex_unlock(&lock);
    return REAL(close)(fd);
}

/* A number that is free again may come back as another file's. */
int unlink(const char *path)
{
    struct stat status;
    pthread_mutex_lock(&lock);
    struct file *file = is_lossy(path) && REAL(stat)(path, &status) == 0 ? file_find(&status) : NULL;
    if (file != NULL)
        pieces_drop(file);
    pthread_mutex_unlock(&lock);
    return REAL(unlink)(path);
}

/* Sectors that the disk stores before it is asked to: none, some, most or all of a write. */
static void leak(int fd, const uint8_t *from, size_t size, off_t at)
{
    static const uint8_t eighths[] = { 0, 4, 7, 8 };
    const unsigned likelihood = eighths[draw() % sizeof eighths];
    for (size_t start = 0; start < size;) {
        const size_t rest = SECTOR - (size_t)(at + (off_t)start) % SECTOR;
        const size_t length = rest < size - start ? rest : size - start;
        if (draw() % 8 < likelihood)
            (void)!REAL(pwrite)(fd, from + start, length, at + (off_t)start);
        start += length;
    }
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t at)
{
    pthread_mutex_lock(&lock);
    struct file *file = file_of(fd);
    if (file != NULL) {
        struct piece *piece = malloc(sizeof *piece + size);
        *piece = (struct piece){ .at = at, .size = size };
        memcpy(piece->bytes, from, size);
        *file->last = piece;
        file->last = &piece->next;
        leak(fd, from, size, at);
    }
    pthread_mutex_unlock(&lock);
    return file != NULL ? (ssize_t)size : REAL(pwrite)(fd, from, size, at);
}

/* What is stored, and over it what is not yet, in the order it was written. */
static ssize_t read_both(struct file *file, int fd, uint8_t *out, size_t size, off_t at)
{
    ssize_t done = REAL(pread)(fd, out, size, at);
    const off_t end = pieces_end(file);
    if (done >= 0 && end > at + done) {
        const size_t wanted = (off_t)size < end - at ? size : (size_t)(end - at);
        memset(out + done, 0, wanted - (size_t)done);
        done = (ssize_t)wanted;
    }
    for (const struct piece *piece = file->first; done > 0 && piece != NULL; piece = piece->next) {
        const off_t from = piece->at > at ? piece->at : at;
        const off_t last = piece->at + (off_t)piece->size;
        const off_t to = last < at + done ? last : at + done;
        if (from < to)
            memcpy(out + (from - at), piece->bytes + (from - piece->at), (size_t)(to - from));
    }
    return done;
}

ssize_t pread(int fd, void *out, size_t size, off_t at)
{
    pthread_mutex_lock(&lock);
    struct file *file = file_of(fd);
    const ssize_t done = file != NULL ? read_both(file, fd, out, size, at) : 0;
    pthread_mutex_unlock(&lock);
    return file != NULL ? done : REAL(pread)(fd, out, size, at);
}

int fstat(int fd, struct stat *status)
{
    const int code = REAL(fstat)(fd, status);
    pthread_mutex_lock(&lock);
    const struct file *file = file_of(fd);
    if (code == 0 && file != NULL && pieces_end(file) > status->st_size)
        status->st_size = pieces_end(file);
    pthread_mutex_unlock(&lock);
    return code;
}

int ftruncate(int fd, off_t size)
{
    pthread_mutex_lock(&lock);
    struct file *file = file_of(fd);
    for (struct piece *piece = file != NULL ? file->first : NULL; piece != NULL; piece = piece->next) {
        const off_t kept = size > piece->at ? size - piece->at : 0;
        if ((off_t)piece->size > kept)
            piece->size = (size_t)kept;
    }
    pthread_mutex_unlock(&lock);
    return REAL(ftruncate)(fd, size);
}

/* Nothing that the kernel has is lost by a kill: that is stable enough here. */
static int store(struct file *file, int fd)
{
    pthread_mutex_lock(&lock);
    const uint64_t most_us = draw() % 32 == 0 ? SYNC_US + 1000 * setting("STDB_LOSSY_SLOW_MS") : SYNC_US;
    const useconds_t time_us = (useconds_t)(draw() % most_us);
    pthread_mutex_unlock(&lock);
    usleep(time_us);
    pthread_mutex_lock(&lock);
    for (const struct piece *piece = file->first; piece != NULL; piece = piece->next)
        (void)!REAL(pwrite)(fd, piece->bytes, piece->size, piece->at);
    pieces_drop(file);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fdatasync(int fd)
{
    struct file *file = file_of(fd);
    return file != NULL ? store(file, fd) : REAL(fdatasync)(fd);
}

int fsync(int fd)
{
    struct file *file = file_of(fd);
    return file != NULL ? store(file, fd) : REAL(fsync)(fd);
}
