/* The disk of this machine, through POSIX. */
#include "base/disk.h"

#include "base/buf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct disk_file {
    int fd;
    char path[]; /* for the sentences */
};

/* In plain words, what keeps a database from going on most often. */
static const char *advice(int failure)
{
    return failure == ENOSPC   ? " (the disk is full)"
           : failure == EDQUOT ? " (this user's share of the disk is full)"
           : failure == EFBIG  ? " (files of this process may not be larger: see `ulimit -f`)"
                               : "";
}

static err refuse(struct diag *diag, const char *doing, const char *path)
{
    const int failure = errno;
    return diag_set(diag, failure == ENOENT ? ERR_NOT_FOUND : ERR_DISK, "%s %s: %s%s", doing, path, strerror(failure),
                    advice(failure));
}

static struct disk_file *file_new(int fd, const char *path)
{
    const size_t size = strlen(path) + 1;
    struct disk_file *file = memory_new(sizeof *file + size);
    file->fd = fd;
    memcpy(file->path, path, size);
    return file;
}

static err real_open(void *self, const char *path, bool create, struct disk_file **file, struct diag *diag)
{
    *file = NULL;
    const int fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
    if (fd < 0)
        return refuse(diag, create ? "cannot make" : "cannot open", path);
    *file = file_new(fd, path);
    return OK;
}

static void real_close(void *self, struct disk_file *file)
{
    if (file == NULL)
        return;
    close(file->fd); /* what mattered was synced (D2), so that a failure here says nothing new */
    memory_free(file);
}

static err real_size(void *self, struct disk_file *file, uint64_t *size, struct diag *diag)
{
    struct stat status;
    if (fstat(file->fd, &status) != 0)
        return refuse(diag, "cannot measure", file->path);
    *size = (uint64_t)status.st_size;
    return OK;
}

static err real_read_at(void *self, struct disk_file *file, uint64_t offset, void *out, size_t size, size_t *done,
                        struct diag *diag)
{
    *done = 0;
    while (*done < size) {
        const ssize_t got = pread(file->fd, (uint8_t *)out + *done, size - *done, (off_t)(offset + *done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return refuse(diag, "cannot read", file->path);
        if (got == 0)
            break;
        *done += (size_t)got;
    }
    return OK;
}

static err real_write_at(void *self, struct disk_file *file, uint64_t offset, const void *from, size_t size,
                         struct diag *diag)
{
    size_t done = 0;
    while (done < size) { /* D1 */
        const ssize_t put = pwrite(file->fd, (const uint8_t *)from + done, size - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return refuse(diag, "cannot write", file->path);
        done += (size_t)put;
    }
    return OK;
}

/* D4. Only the number of names is asked for: who asks for a file's times makes the system keep finer ones from then on,
 * and write them with each write that follows. */
static bool has_name(const struct disk_file *file)
{
    struct statx status;
    return statx(file->fd, "", AT_EMPTY_PATH, STATX_NLINK, &status) != 0 || status.stx_nlink > 0;
}

/* fdatasync also stores a changed size; only times may be missing afterwards. */
static err real_sync(void *self, struct disk_file *file, struct diag *diag)
{
    if (fdatasync(file->fd) != 0) /* D3: not even after EINTR is it tried again */
        return refuse(diag, "cannot sync", file->path);
    if (!has_name(file))
        return diag_set(diag, ERR_DISK, "cannot sync %s: somebody has deleted it", file->path);
    return OK;
}

static void real_release(void *self, struct disk_file *file, uint64_t from, uint64_t to)
{
    (void)posix_fadvise(file->fd, (off_t)from, (off_t)(to - from), POSIX_FADV_DONTNEED);
}

static err real_truncate(void *self, struct disk_file *file, uint64_t size, struct diag *diag)
{
    if (ftruncate(file->fd, (off_t)size) != 0)
        return refuse(diag, "cannot cut", file->path);
    return OK;
}

static err real_reserve(void *self, struct disk_file *file, uint64_t size, struct diag *diag)
{
    static const uint8_t zeros[1 << 16];
    uint64_t present;
    TRY(real_size(self, file, &present, diag));
    if (present >= size || fallocate(file->fd, 0, (off_t)present, (off_t)(size - present)) == 0)
        return OK;
    if (errno != EOPNOTSUPP && errno != EINTR)
        return refuse(diag, "cannot reserve space for", file->path);
    /* A file system that cannot promise space takes zeros. */
    for (size_t piece; present < size; present += piece) {
        piece = size - present < sizeof zeros ? (size_t)(size - present) : sizeof zeros;
        TRY(real_write_at(NULL, file, present, zeros, piece, diag));
    }
    return OK;
}

static err real_rename(void *self, const char *from, const char *to, struct diag *diag)
{
    if (rename(from, to) != 0)
        return diag_set(diag, ERR_DISK, "cannot rename %s to %s: %s", from, to, strerror(errno));
    return OK;
}

static err real_remove(void *self, const char *path, struct diag *diag)
{
    if (unlink(path) != 0)
        return refuse(diag, "cannot remove", path);
    return OK;
}

static err real_dir_sync(void *self, const char *path, struct diag *diag)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return refuse(diag, "cannot open the folder", path);
    const int failed = fsync(fd);
    if (failed != 0)
        refuse(diag, "cannot sync the folder", path);
    close(fd);
    return failed != 0 ? ERR_DISK : OK;
}

static bool is_dir(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* The folder that holds the name: "." for a plain name. Changes `path`. */
static const char *parent_of(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return ".";
    if (slash == path)
        return "/";
    *slash = '\0';
    return path;
}

/* Makes one folder and stores its name in its parent (D2). */
static err dir_add(char *path, struct diag *diag)
{
    if (mkdir(path, 0700) != 0 && !(errno == EEXIST && is_dir(path)))
        return refuse(diag, "cannot make the folder", path);
    char *copy = memory_copy(path, strlen(path) + 1);
    const err code = real_dir_sync(NULL, parent_of(copy), diag);
    memory_free(copy);
    return code;
}

static err dirs_add(char *path, struct diag *diag)
{
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        const err code = is_dir(path) ? OK : dir_add(path, diag);
        *at = '/';
        TRY(code);
    }
    return is_dir(path) ? OK : dir_add(path, diag);
}

static err real_make_dir(void *self, const char *path, struct diag *diag)
{
    if (path[0] == '\0')
        return diag_set(diag, ERR_DISK, "cannot make a folder without a name");
    size_t size = strlen(path);
    char *copy = memory_copy(path, size + 1);
    while (size > 1 && copy[size - 1] == '/')
        copy[--size] = '\0';
    const err code = dirs_add(copy, diag);
    memory_free(copy);
    return code;
}

struct names {
    char **names; /* owned, and each of them */
    size_t count;
    size_t capacity;
};

static void names_add(struct names *names, const char *name)
{
    if (names->count == names->capacity) {
        names->capacity = names->capacity > 0 ? names->capacity * 2 : 16;
        names->names = memory_resize(names->names, sizeof *names->names * names->capacity);
    }
    names->names[names->count++] = memory_copy(name, strlen(name) + 1);
}

static int name_order(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static err names_read(struct names *names, DIR *dir, const char *path, struct diag *diag)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL)
            return errno == 0 ? OK : refuse(diag, "cannot read the folder", path);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            names_add(names, entry->d_name);
    }
}

static err real_list(void *self, const char *path, void (*found)(void *context, const char *name), void *context,
                     struct diag *diag)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return refuse(diag, "cannot open the folder", path);
    struct names names = { 0 };
    const err code = names_read(&names, dir, path, diag);
    closedir(dir);

    if (names.count > 0)
        qsort(names.names, names.count, sizeof *names.names, name_order);
    for (size_t idx = 0; idx < names.count; idx++) {
        if (code == OK)
            found(context, names.names[idx]);
        memory_free(names.names[idx]);
    }
    memory_free(names.names);
    return code;
}

/* Who holds the lock, as the holder wrote it into the file; empty when that cannot be read. */
static void holder_read(int fd, char *out, size_t capacity)
{
    char digits[16] = "";
    const ssize_t got = pread(fd, digits, sizeof digits - 1, 0);
    const long pid = got > 0 ? strtol(digits, NULL, 10) : 0;
    out[0] = '\0';
    if (pid > 0)
        snprintf(out, capacity, " (process %ld)", pid);
}

/* A courtesy to people: the lock holds without the number, so that a full disk is no reason to refuse it. */
static void holder_write(int fd)
{
    char digits[16];
    const int size = snprintf(digits, sizeof digits, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, digits, (size_t)size, 0) != size)
        return;
}

/* A lock of the open file, not of the process: closing another descriptor of it lets nothing go. The kernel
 * takes it back when the process ends, however it ends. */
static err real_lock(void *self, const char *path, struct disk_file **file, struct diag *diag)
{
    TRY(real_open(self, path, true, file, diag));
    const int fd = (*file)->fd;
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fcntl(fd, F_OFD_SETLK, &whole) == 0) {
        holder_write(fd);
        return OK;
    }
    if (errno == EAGAIN || errno == EACCES) {
        char holder[48];
        holder_read(fd, holder, sizeof holder);
        diag_set(diag, ERR_IN_USE, "%s is in use by another process%s", path, holder);
    } else {
        refuse(diag, "cannot lock", path);
    }
    real_close(self, *file);
    *file = NULL;
    return diag->code;
}

const struct disk *disk_real(void)
{
    static const struct disk disk = {
        .open = real_open,
        .close = real_close,
        .size = real_size,
        .read_at = real_read_at,
        .write_at = real_write_at,
        .sync = real_sync,
        .release = real_release,
        .truncate = real_truncate,
        .reserve = real_reserve,
        .rename = real_rename,
        .remove = real_remove,
        .make_dir = real_make_dir,
        .dir_sync = real_dir_sync,
        .list = real_list,
        .lock = real_lock,
    };
    return &disk;
}
