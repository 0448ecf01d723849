#include "cli/watch.h"

#include "base/hash.h"
#include "base/log.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum {
    QUIET_MS = 1,          /* the events of one save are closer together than this */
    EMPTY_QUIET_MS = 60,   /* a file that is empty is most likely being written */
    CONTENT_MAX = 8 << 20, /* a larger file is no module */
};

struct sight {
    uint64_t hash;    /* of the content; 0: the file is away, unreadable or empty */
    int64_t saved_ns; /* when it was written */
};

struct watched_file {
    struct watched_file *next;
    struct sight seen;
    char path[];
};

struct watched_folder {
    uv_fs_event_t event; /* first: libuv gives it back to be freed */
    struct watched_folder *next;
    dev_t device;
    ino_t inode;
    char path[];
};

struct watch {
    uv_loop_t *loop;
    uv_timer_t timer;
    bool looked_twice; /* a file had nothing in it at the first look */
    bool counts_saves;
    struct watched_folder *folders; /* owned */
    struct watched_file *files;     /* owned */
    void (*changed)(void *context);
    void *context;
};

static struct sight sight_of(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not waiting: a name may be a pipe's */
    struct stat about;
    struct sight sight = { 0 };
    if (fd < 0)
        return sight;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0) {
        const size_t size = about.st_size < CONTENT_MAX ? (size_t)about.st_size : CONTENT_MAX;
        uint8_t *content = memory_new(size);
        const ssize_t got = read(fd, content, size);
        if (got > 0)
            sight.hash = hash_bytes(content, (size_t)got) | 1;
        sight.saved_ns = (int64_t)about.st_mtim.tv_sec * 1000000000 + about.st_mtim.tv_nsec;
        memory_free(content);
    }
    close(fd);
    return sight;
}

static bool has_changed(const struct watch *watch, struct sight seen, struct sight now)
{
    return now.hash != seen.hash || (watch->counts_saves && now.saved_ns != seen.saved_ns);
}

static void on_quiet(uv_timer_t *timer);

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct watch *watch = event->data;
    watch->looked_twice = false;
    uv_timer_start(&watch->timer, on_quiet, QUIET_MS, 0);
}

static void free_folder(uv_handle_t *handle)
{
    memory_free(handle);
}

static const struct watched_folder *find_folder(const struct watch *watch, const char *path)
{
    const struct watched_folder *folder = watch->folders;
    while (folder != NULL && strcmp(folder->path, path) != 0)
        folder = folder->next;
    return folder;
}

static int start_folder(struct watch *watch, const char *path)
{
    struct stat about = { 0 };
    const size_t size = strlen(path) + 1;
    struct watched_folder *folder = memory_new(sizeof *folder + size);
    memcpy(folder->path, path, size);
    (void)stat(path, &about);
    folder->device = about.st_dev;
    folder->inode = about.st_ino;
    uv_fs_event_init(watch->loop, &folder->event);
    folder->event.data = watch;
    const int code = uv_fs_event_start(&folder->event, on_event, path, 0);
    if (code != 0) {
        uv_close((uv_handle_t *)&folder->event, free_folder);
        return code;
    }
    folder->next = watch->folders;
    watch->folders = folder;
    /* Whatever happened just before is found by looking. */
    uv_timer_start(&watch->timer, on_quiet, QUIET_MS, 0);
    return 0;
}

/* The folder of `path`. One that is not there yet is awaited in the one above it. */
static void watch_folder_of(struct watch *watch, const char *path)
{
    char *copy = memory_copy(path, strlen(path) + 1);
    const char *folder = dirname(copy);
    const int code = find_folder(watch, folder) != NULL ? 0 : start_folder(watch, folder);
    if (code == UV_ENOENT && strcmp(folder, path) != 0)
        watch_folder_of(watch, folder);
    else if (code != 0)
        log_warn("changes in %s will not be noticed: %s", folder, uv_strerror(code));
    memory_free(copy);
}

/* A file may be a link to one elsewhere: both places count. */
static void watch_folders_of(struct watch *watch, const char *path)
{
    char resolved[PATH_MAX];
    watch_folder_of(watch, path);
    if (realpath(path, resolved) != NULL)
        watch_folder_of(watch, resolved);
}

/* What is watched is a folder, not its name: one that was replaced by another has to be watched anew. */
static void drop_replaced_folders(struct watch *watch)
{
    for (struct watched_folder **place = &watch->folders; *place != NULL;) {
        struct watched_folder *folder = *place;
        struct stat about;
        if (stat(folder->path, &about) == 0 && about.st_dev == folder->device && about.st_ino == folder->inode) {
            place = &folder->next;
            continue;
        }
        *place = folder->next;
        uv_close((uv_handle_t *)&folder->event, free_folder);
    }
}

static void on_quiet(uv_timer_t *timer)
{
    struct watch *watch = timer->data;
    bool differs = false, is_any_away = false;
    drop_replaced_folders(watch);
    for (const struct watched_file *file = watch->files; file != NULL; file = file->next) {
        watch_folders_of(watch, file->path); /* they may have come into being */
        const struct sight now = sight_of(file->path);
        if (!has_changed(watch, file->seen, now))
            continue;
        differs = true;
        is_any_away = is_any_away || now.hash == 0;
    }
    if (!differs)
        return;
    /* A file that is empty or away for a moment is being saved: look once more before believing it. */
    if (is_any_away && !watch->looked_twice) {
        watch->looked_twice = true;
        uv_timer_start(timer, on_quiet, EMPTY_QUIET_MS, 0);
        return;
    }
    watch->changed(watch->context);
}

struct watch *watch_new(struct uv_loop_s *loop, void (*changed)(void *context), void *context)
{
    struct watch *watch = memory_new(sizeof *watch);
    watch->loop = loop;
    watch->changed = changed;
    watch->context = context;
    uv_timer_init(loop, &watch->timer);
    watch->timer.data = watch;
    return watch;
}

static void free_watch(uv_handle_t *handle)
{
    memory_free(handle->data);
}

void watch_free(struct watch *watch)
{
    while (watch->folders != NULL) {
        struct watched_folder *folder = watch->folders;
        watch->folders = folder->next;
        uv_close((uv_handle_t *)&folder->event, free_folder);
    }
    while (watch->files != NULL) {
        struct watched_file *file = watch->files;
        watch->files = file->next;
        memory_free(file);
    }
    uv_close((uv_handle_t *)&watch->timer, free_watch);
}

void watch_add(struct watch *watch, const char *path)
{
    for (const struct watched_file *file = watch->files; file != NULL; file = file->next) {
        if (strcmp(file->path, path) == 0)
            return;
    }
    const size_t size = strlen(path) + 1;
    struct watched_file *file = memory_new(sizeof *file + size);
    memcpy(file->path, path, size);
    file->seen = sight_of(path);
    file->next = watch->files;
    watch->files = file;
    watch_folders_of(watch, path);
}

void watch_mark(struct watch *watch)
{
    for (struct watched_file *file = watch->files; file != NULL; file = file->next)
        file->seen = sight_of(file->path);
}

void watch_count_saves(struct watch *watch, bool counts)
{
    watch->counts_saves = counts;
}
