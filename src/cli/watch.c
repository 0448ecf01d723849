#include "cli/watch.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"

#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum {
    QUIET_MS = 4,        /* editors' bursts of events are closer together than this */
    EMPTY_QUIET_MS = 60, /* a file that is empty is most likely being written */
};

struct watched_file {
    uint64_t seen; /* hash of the content last seen; 0: not there */
};

struct watch {
    uv_loop_t *loop;
    uv_timer_t timer;
    bool looked_twice;  /* a file was empty at the first look */
    struct map folders; /* path -> uv_fs_event_t *, owned */
    struct map files;   /* path -> struct watched_file *, owned */
    void (*changed)(void *context);
    void *context;
};

/* The hash of a file's content; 0 when it cannot be read. Sets *empty for a file without bytes. */
static uint64_t content_hash(const char *path, bool *empty)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    *empty = false;
    if (fd < 0)
        return 0;
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode) || stat.st_size == 0) {
        *empty = true;
        close(fd);
        return 0;
    }
    const size_t size = (size_t)stat.st_size;
    uint8_t *content = memory_new(size);
    const ssize_t got = read(fd, content, size);
    const uint64_t hash = got > 0 ? hash_bytes(content, (size_t)got) | 1 : 0;
    memory_free(content);
    close(fd);
    return hash;
}

static void path_of(const struct map_entry *entry, char path[static 4096])
{
    check(entry->key_size < 4096);
    memcpy(path, entry->key, entry->key_size);
    path[entry->key_size] = '\0';
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status);

static void free_event(uv_handle_t *handle)
{
    memory_free(handle);
}

/* A folder that is not there yet is awaited in the one above it. */
static void watch_folder(struct watch *watch, const char *path)
{
    if (map_find(&watch->folders, bytes_of_text(path)) != NULL)
        return;
    uv_fs_event_t *event = memory_new(sizeof *event);
    uv_fs_event_init(watch->loop, event);
    event->data = watch;
    const int code = uv_fs_event_start(event, on_event, path, 0);
    if (code == 0) {
        map_put(&watch->folders, bytes_of_text(path), event);
        return;
    }
    uv_close((uv_handle_t *)event, free_event);
    char above[4096];
    strcpy(above, path);
    const char *parent = dirname(above);
    if (code == UV_ENOENT && strcmp(parent, path) != 0)
        watch_folder(watch, parent);
    else
        log_warn("changes in %s will not be noticed: %s", path, uv_strerror(code));
}

static void watch_folder_of(struct watch *watch, const char *path)
{
    char copy[4096];
    check(strlen(path) < sizeof copy);
    strcpy(copy, path);
    watch_folder(watch, dirname(copy));
}

void watch_mark(struct watch *watch)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&watch->files, &place)) != NULL;) {
        char path[4096];
        bool empty;
        path_of(entry, path);
        ((struct watched_file *)entry->value)->seen = content_hash(path, &empty);
    }
}

static void on_quiet(uv_timer_t *timer)
{
    struct watch *watch = timer->data;
    bool differs = false, any_empty = false;
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&watch->files, &place)) != NULL;) {
        char path[4096];
        bool empty;
        path_of(entry, path);
        watch_folder_of(watch, path); /* it may have come into being */
        const uint64_t now = content_hash(path, &empty);
        differs = differs || now != ((struct watched_file *)entry->value)->seen;
        any_empty = any_empty || empty || now == 0;
    }
    if (!differs)
        return;
    /* A file that is empty or away for a moment is being saved: look once more before believing it. */
    if (any_empty && !watch->looked_twice) {
        watch->looked_twice = true;
        uv_timer_start(timer, on_quiet, EMPTY_QUIET_MS, 0);
        return;
    }
    watch->changed(watch->context);
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct watch *watch = event->data;
    watch->looked_twice = false;
    uv_timer_start(&watch->timer, on_quiet, QUIET_MS, 0);
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
    struct watch *watch = handle->data;
    map_deinit(&watch->folders);
    map_deinit(&watch->files);
    memory_free(watch);
}

void watch_free(struct watch *watch)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&watch->folders, &place)) != NULL;)
        uv_close(entry->value, free_event);
    place = 0;
    for (struct map_entry *entry; (entry = map_next(&watch->files, &place)) != NULL;)
        memory_free(entry->value);
    uv_close((uv_handle_t *)&watch->timer, free_watch);
}

void watch_add(struct watch *watch, const char *path)
{
    if (map_find(&watch->files, bytes_of_text(path)) != NULL)
        return;
    bool empty;
    const struct watched_file file = { content_hash(path, &empty) };
    map_put(&watch->files, bytes_of_text(path), memory_copy(&file, sizeof file));
    watch_folder_of(watch, path);
}
