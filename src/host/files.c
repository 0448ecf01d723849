#include "host/files.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *text_copy(const char *text)
{
    return memory_copy(text, strlen(text) + 1);
}

static char *path_join(const char *folder, bytes name)
{
    struct buf path;
    buf_init(&path);
    buf_put_format(&path, "%s%s%.*s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", BYTES_FORMAT(name));
    buf_put_u8(&path, 0);
    return (char *)path.data;
}

/* Splits "folder/rules.lua" in two; a bare name is in the current folder. */
static void split(const char *path, char *folder, const char **name)
{
    const char *slash = strrchr(path, '/');
    *name = slash != NULL ? slash + 1 : path;
    if (slash == NULL)
        strcpy(folder, ".");
    else if (slash == path)
        strcpy(folder, "/");
    else
        snprintf(folder, PATH_MAX, "%.*s", (int)(slash - path), path);
}

err files_init(struct files *files, const char *path, struct diag *diag)
{
    *files = (struct files){ 0 };
    struct stat about;
    char folder[PATH_MAX];
    const char *entry = "module.lua";
    if (strlen(path) >= PATH_MAX || stat(path, &about) != 0)
        return diag_set(diag, ERR_DISK, "%s: %s", path,
                        strlen(path) >= PATH_MAX ? "the path is too long" : strerror(errno));
    if (S_ISDIR(about.st_mode))
        strcpy(folder, path);
    else
        split(path, folder, &entry);
    files->folder = realpath(folder, NULL);
    if (files->folder == NULL)
        return diag_set(diag, ERR_DISK, "%s: %s", folder, strerror(errno));
    files->entry = text_copy(entry);
    return OK;
}

static void file_free(struct file *file)
{
    memory_free(file->path);
    memory_free(file->name);
    buf_deinit(&file->text);
    memory_free(file);
}

void files_deinit(struct files *files)
{
    for (uint32_t idx = 0; idx < files->count; idx++)
        file_free(files->items[idx]);
    memory_free(files->items);
    memory_free(files->entry);
    free(files->folder);
    *files = (struct files){ 0 };
}

const struct file *files_find(const struct files *files, bytes name)
{
    for (uint32_t idx = 0; idx < files->count; idx++) {
        if (bytes_equal_text(name, files->items[idx]->name))
            return files->items[idx];
    }
    return NULL;
}

/* F1, as far as the name tells. */
static bool is_plain(bytes name)
{
    if (name.size == 0 || name.size > NAME_MAX || memchr(name.at, 0, name.size) != NULL)
        return false;
    for (size_t at = 0; at < name.size;) {
        const uint8_t *slash = memchr(name.at + at, '/', name.size - at);
        const bytes part = bytes_of(name.at + at, slash != NULL ? (size_t)(slash - name.at) - at : name.size - at);
        if (part.size == 0 || bytes_equal_text(part, ".") || bytes_equal_text(part, ".."))
            return false;
        at += part.size + 1;
    }
    return name.at[name.size - 1] != '/';
}

/* F1, as far as links tell. */
static bool is_below(const char *folder, const char *path)
{
    char *resolved = realpath(path, NULL);
    const size_t size = strlen(folder);
    const bool below =
        resolved != NULL && strncmp(resolved, folder, size) == 0 && (resolved[size] == '/' || folder[size - 1] == '/');
    free(resolved);
    return below;
}

static err read_open(int file, const char *name, struct buf *text, struct diag *diag)
{
    struct stat about;
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode))
        return diag_set(diag, ERR_DISK, "%s is not a plain file", name);
    for (;;) {
        if (text->size > FILES_TEXT_MAX)
            return diag_set(diag, ERR_TOO_LARGE, "%s is larger than %d MiB", name, FILES_TEXT_MAX >> 20);
        const size_t room = 16384;
        const ssize_t done = read(file, buf_extend(text, room), room);
        text->size -= room - (done > 0 ? (size_t)done : 0);
        if (done < 0 && errno != EINTR)
            return diag_set(diag, ERR_DISK, "%s: %s", name, strerror(errno));
        if (done == 0)
            return OK;
    }
}

static err read_path(const struct files *files, const char *path, const char *name, struct buf *text, struct diag *diag)
{
    /* Not waiting: a name may be a pipe's. */
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return diag_set(diag, ERR_DISK, "%s: %s", name, strerror(errno));
    err code = OK;
    if (!is_below(files->folder, path))
        code = diag_set(diag, ERR_DISK, "%s leads out of the module's folder", name);
    if (code == OK)
        code = read_open(file, name, text, diag);
    close(file);
    return code;
}

static struct file *file_new(const struct files *files, bytes name)
{
    struct file *file = memory_new(sizeof *file);
    file->path = path_join(files->folder, name);
    file->name = memory_new(name.size + 1);
    memcpy(file->name, name.at, name.size);
    buf_init(&file->text);
    return file;
}

static void file_put(struct files *files, struct file *file)
{
    if (files->count == files->capacity) {
        files->capacity = files->capacity == 0 ? 8 : files->capacity * 2;
        files->items = memory_resize(files->items, files->capacity * sizeof *files->items);
    }
    files->items[files->count++] = file;
}

err files_get(struct files *files, bytes name, const struct file **found, struct diag *diag)
{
    if (!is_plain(name))
        return diag_set(diag, ERR_DISK, "%.*s is no name of a file in the module's folder", BYTES_FORMAT(name));
    *found = files_find(files, name);
    if (*found != NULL)
        return OK;
    if (files->complete)
        return diag_set(diag, ERR_DISK, "%.*s was not part of the module when it was loaded", BYTES_FORMAT(name));
    if (files->count == FILES_COUNT_MAX)
        return diag_set(diag, ERR_TOO_LARGE, "the module has more than %d files", FILES_COUNT_MAX);
    struct file *file = file_new(files, name);
    if (files->opening != NULL)
        files->opening(files->context, file->path);
    const err code = read_path(files, file->path, file->name, &file->text, diag);
    if (code != OK) {
        file_free(file);
        return code;
    }
    file_put(files, file);
    *found = file;
    return OK;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp((*(struct file *const *)left)->name, (*(struct file *const *)right)->name);
}

err files_init_kept(struct files *files, bytes kept, uint32_t count, struct diag *diag)
{
    struct reader left = reader_of(kept);
    *files = (struct files){ .complete = true, .folder = strdup(".") };
    for (uint32_t idx = 0; idx < count; idx++) {
        const bytes name = reader_get_sized(&left), text = reader_get_sized(&left);
        if (left.failed || !is_plain(name) || files_find(files, name) != NULL)
            return diag_set(diag, ERR_CORRUPT, "the kept files of a module cannot be read");
        struct file *file = file_new(files, name);
        buf_put_bytes(&file->text, text);
        file_put(files, file);
    }
    if (files->count == 0)
        return diag_set(diag, ERR_CORRUPT, "a module was kept without its files");
    files->entry = text_copy(files->items[0]->name);
    return OK;
}

void files_hash(const struct files *files, uint8_t digest[32])
{
    struct file **ordered = memory_copy(files->items, files->count * sizeof *ordered);
    qsort(ordered, files->count, sizeof *ordered, compare_names);
    struct buf all;
    buf_init(&all);
    for (uint32_t idx = 0; idx < files->count; idx++) {
        buf_put_sized(&all, bytes_of_text(ordered[idx]->name));
        buf_put_sized(&all, buf_bytes(&ordered[idx]->text));
    }
    keccak256(all.data, all.size, digest);
    buf_deinit(&all);
    memory_free(ordered);
}
