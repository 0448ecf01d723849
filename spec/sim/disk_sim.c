#include "disk_sim.h"

#include "disk_sim_file.h"

#include "base/hash.h"

#include <pthread.h>
#include <stdio.h>

enum { PATH_MAX_SIM = 256 };

/* Where a name leads, or that it is gone. */
struct name {
    char path[PATH_MAX_SIM];
    struct inode *inode;
};

struct names {
    struct name *all; /* owned */
    size_t count;
    size_t capacity;
};

/* What happened to names since their folder was synced. */
struct name_change {
    enum { NAME_MADE, NAME_REMOVED, NAME_MOVED } kind;
    char path[PATH_MAX_SIM];
    char to[PATH_MAX_SIM]; /* NAME_MOVED */
    struct inode *inode;   /* NAME_MADE */
};

struct trouble {
    uint64_t nth;
    bool ever_after;
    enum disk_fault fault;
    uint64_t calls;
    uint32_t millionths;
    enum disk_fault often;
};

struct disk_file {
    struct inode *inode;
    uint64_t life; /* the one it was opened in */
    bool holds_lock;
    char path[PATH_MAX_SIM];
};

struct disk_sim {
    struct disk disk;
    pthread_mutex_t lock;
    struct chance random;
    uint64_t life; /* goes up with each restart */
    bool dead;
    bool is_kill;  /* only the process ends, or has ended */
    bool lies;
    struct disk_strike strike;
    uint64_t crash_at;
    uint64_t changes; /* calls that change something, since crash_at was set */
    uint64_t capacity;
    uint64_t largest_read;
    uint64_t counts[DISK_CALLS];
    struct trouble troubles[DISK_CHANGES + 1];
    struct inode *inodes; /* owned */
    struct names seen;
    struct names stored;
    struct buf name_changes; /* struct name_change */
    struct buf dirs;         /* their paths, sized */
    struct buf shown;        /* by disk_sim_get() */
};

/* Names. */

static struct name *name_find(const struct names *names, const char *path)
{
    for (size_t idx = 0; idx < names->count; idx++) {
        if (strcmp(names->all[idx].path, path) == 0)
            return &names->all[idx];
    }
    return NULL;
}

static void path_copy(char to[static PATH_MAX_SIM], const char *path)
{
    check(snprintf(to, PATH_MAX_SIM, "%s", path) < PATH_MAX_SIM);
}

static void name_set(struct names *names, const char *path, struct inode *inode)
{
    struct name *name = name_find(names, path);
    if (name == NULL) {
        if (names->count == names->capacity) {
            names->capacity = names->capacity > 0 ? names->capacity * 2 : 16;
            names->all = memory_resize(names->all, sizeof *names->all * names->capacity);
        }
        name = &names->all[names->count++];
        path_copy(name->path, path);
    }
    name->inode = inode;
}

static void name_remove(struct names *names, const char *path)
{
    struct name *name = name_find(names, path);
    if (name != NULL)
        *name = names->all[--names->count];
}

static void name_change_apply(struct names *names, const struct name_change *change)
{
    const struct name *from = name_find(names, change->path);
    struct inode *inode = from != NULL ? from->inode : NULL;
    if (change->kind == NAME_MADE) {
        name_set(names, change->path, change->inode);
    } else {
        name_remove(names, change->path);
        if (change->kind == NAME_MOVED && inode != NULL)
            name_set(names, change->to, inode);
    }
}

/* Changes what is seen, and remembers it for the folder's sync. */
static void name_change(struct disk_sim *sim, const struct name_change *change)
{
    name_change_apply(&sim->seen, change);
    buf_put(&sim->name_changes, change, sizeof *change);
}

static bool is_in(const char *path, const char *dir)
{
    const size_t size = strlen(dir);
    return strncmp(path, dir, size) == 0 && path[size] == '/' && strchr(path + size + 1, '/') == NULL;
}

/* A name without a folder lies in ".". */
static bool lies_in(const char *path, const char *dir)
{
    return strchr(path, '/') == NULL ? strcmp(dir, ".") == 0 : is_in(path, dir);
}

static void dir_store(struct disk_sim *sim, const char *dir)
{
    struct buf left;
    buf_init(&left);
    const struct name_change *changes = (const struct name_change *)(const void *)sim->name_changes.data;
    const size_t count = sim->name_changes.size / sizeof *changes;
    for (size_t idx = 0; idx < count; idx++) {
        const struct name_change *change = &changes[idx];
        if (lies_in(change->path, dir) || (change->kind == NAME_MOVED && lies_in(change->to, dir)))
            name_change_apply(&sim->stored, change);
        else
            buf_put(&left, change, sizeof *change);
    }
    buf_deinit(&sim->name_changes);
    sim->name_changes = left;
}

/* Three ways in which a file system may lose names: not at all, the latest, or any. */
static void names_tear(struct disk_sim *sim)
{
    const struct name_change *changes = (const struct name_change *)(const void *)sim->name_changes.data;
    const size_t count = sim->name_changes.size / sizeof *changes;
    const size_t way = chance_below(&sim->random, 3);
    const size_t kept = way == 1 ? chance_below(&sim->random, count + 1) : count;
    for (size_t idx = 0; idx < kept; idx++) {
        if (way != 2 || chance_coin(&sim->random))
            name_change_apply(&sim->stored, &changes[idx]);
    }
}

static struct inode *inode_add(struct disk_sim *sim)
{
    struct inode *inode = memory_new(sizeof *inode);
    inode->next = sim->inodes;
    sim->inodes = inode;
    return inode;
}

/* Trouble. */

static bool trouble_strikes(struct disk_sim *sim, struct trouble *trouble, enum disk_fault *fault)
{
    trouble->calls++;
    *fault = trouble->fault;
    if (trouble->nth > 0 && (trouble->calls == trouble->nth || (trouble->ever_after && trouble->calls > trouble->nth)))
        return true;
    *fault = trouble->often;
    return trouble->millionths > 0 && chance_below(&sim->random, 1000000) < trouble->millionths;
}

static bool is_change(enum disk_call call)
{
    return call != DISK_SIZE && call != DISK_READ && call != DISK_LIST && call != DISK_LOCK && call != DISK_OPEN;
}

static void note_strike(struct disk_sim *sim, int what, enum disk_call call, const char *path)
{
    sim->strike.count++;
    sim->strike.what = what;
    sim->strike.call = call;
    path_copy(sim->strike.path, path);
}

static err refuse(struct diag *diag, enum disk_fault fault, const char *doing, const char *path)
{
    return diag_set(diag, ERR_DISK, "cannot %s %s: %s", doing, path,
                    fault == DISK_ENOSPC ? "No space left on device (the disk is full)" : "Input/output error");
}

static err refuse_dead(struct diag *diag, const char *doing, const char *path)
{
    return diag_set(diag, ERR_DISK, "cannot %s %s: the power was cut", doing, path);
}

/* Counts a call and says whether it may go on. *dying: the power goes in the middle of it. */
static err call_begin(struct disk_sim *sim, enum disk_call call, const char *doing, const char *path, bool *dying,
                      struct diag *diag)
{
    enum disk_fault fault;
    *dying = false;
    sim->counts[call]++;
    if (sim->dead)
        return refuse_dead(diag, doing, path);
    if (is_change(call) && sim->crash_at > 0 && ++sim->changes == sim->crash_at) {
        sim->dead = *dying = true;
        note_strike(sim, sim->is_kill ? STRIKE_KILL : STRIKE_POWER_CUT, call, path);
    }
    bool strikes = trouble_strikes(sim, &sim->troubles[call], &fault);
    if (!strikes)
        strikes = trouble_strikes(sim, &sim->troubles[DISK_ANY], &fault);
    if (!strikes && is_change(call))
        strikes = trouble_strikes(sim, &sim->troubles[DISK_CHANGES], &fault);
    if (!strikes)
        return OK;
    note_strike(sim, fault == DISK_EIO ? STRIKE_EIO : STRIKE_ENOSPC, call, path);
    return refuse(diag, fault, doing, path);
}

static err refuse_full(struct disk_sim *sim, enum disk_call call, const char *doing, const char *path, struct diag *diag)
{
    note_strike(sim, STRIKE_ENOSPC, call, path);
    return refuse(diag, DISK_ENOSPC, doing, path);
}

/* The same for a call on an open file. */
static err file_begin(struct disk_sim *sim, enum disk_call call, const char *doing, const struct disk_file *file,
                      bool *dying, struct diag *diag)
{
    TRY(call_begin(sim, call, doing, file->path, dying, diag));
    return file->life == sim->life ? OK : refuse_dead(diag, doing, file->path);
}

static err call_end(bool dying, const char *doing, const char *path, struct diag *diag)
{
    return dying ? refuse_dead(diag, doing, path) : OK;
}

static uint64_t bytes_taken(const struct disk_sim *sim)
{
    uint64_t taken = 0;
    for (size_t idx = 0; idx < sim->seen.count; idx++)
        taken += sim->seen.all[idx].inode->seen.size;
    return taken;
}

static bool is_too_much(const struct disk_sim *sim, const struct inode *inode, uint64_t size)
{
    return sim->capacity > 0 && size > inode->seen.size && bytes_taken(sim) + size - inode->seen.size > sim->capacity;
}

/* The calls, each under the lock. */

static bool dir_is_known(const struct disk_sim *sim, const char *path)
{
    struct reader dirs = reader_of(sim->dirs.size > 0 ? buf_bytes(&sim->dirs) : BYTES_LITERAL(""));
    while (reader_left(&dirs) > 0) {
        if (bytes_equal_text(reader_get_sized(&dirs), path))
            return true;
    }
    return false;
}

static struct disk_file *file_new(const struct disk_sim *sim, struct inode *inode, const char *path)
{
    struct disk_file *file = memory_new(sizeof *file);
    file->inode = inode;
    file->life = sim->life;
    path_copy(file->path, path);
    return file;
}

static err open_locked(struct disk_sim *sim, const char *path, bool create, struct disk_file **file, struct diag *diag)
{
    struct name *name = name_find(&sim->seen, path);
    *file = NULL;
    if (name == NULL && !create)
        return diag_set(diag, ERR_NOT_FOUND, "cannot open %s: No such file or directory", path);
    if (name == NULL) {
        struct name_change made = { .kind = NAME_MADE, .inode = inode_add(sim) };
        path_copy(made.path, path);
        name_change(sim, &made);
        name = name_find(&sim->seen, path);
    }
    *file = file_new(sim, name->inode, path);
    return OK;
}

static err sim_open(void *self, const char *path, bool create, struct disk_file **file, struct diag *diag)
{
    struct disk_sim *sim = self;
    bool dying;
    pthread_mutex_lock(&sim->lock);
    *file = NULL;
    err code = call_begin(sim, DISK_OPEN, "open", path, &dying, diag);
    if (code == OK)
        code = open_locked(sim, path, create, file, diag);
    pthread_mutex_unlock(&sim->lock);
    return code;
}

static void sim_close(void *self, struct disk_file *file)
{
    struct disk_sim *sim = self;
    if (file == NULL)
        return;
    pthread_mutex_lock(&sim->lock);
    if (file->holds_lock && file->life == sim->life)
        file->inode->locked = false;
    pthread_mutex_unlock(&sim->lock);
    memory_free(file);
}

static err sim_size(void *self, struct disk_file *file, uint64_t *size, struct diag *diag)
{
    struct disk_sim *sim = self;
    bool dying;
    pthread_mutex_lock(&sim->lock);
    const err code = file_begin(sim, DISK_SIZE, "measure", file, &dying, diag);
    if (code == OK)
        *size = file->inode->seen.size;
    pthread_mutex_unlock(&sim->lock);
    return code;
}

static err sim_read_at(void *self, struct disk_file *file, uint64_t offset, void *out, size_t size, size_t *done,
                       struct diag *diag)
{
    struct disk_sim *sim = self;
    bool dying;
    pthread_mutex_lock(&sim->lock);
    *done = 0;
    const err code = file_begin(sim, DISK_READ, "read", file, &dying, diag);
    if (code == OK) {
        const struct buf *seen = &file->inode->seen;
        const size_t left = offset < seen->size ? seen->size - (size_t)offset : 0;
        *done = size < left ? size : left;
        if (*done > 0)
            memcpy(out, seen->data + offset, *done);
        sim->largest_read = size > sim->largest_read ? size : sim->largest_read;
    }
    pthread_mutex_unlock(&sim->lock);
    return code;
}

static err sim_write_at(void *self, struct disk_file *file, uint64_t offset, const void *from, size_t size,
                        struct diag *diag)
{
    struct disk_sim *sim = self;
    bool dying;
    pthread_mutex_lock(&sim->lock);
    const bool alive = !sim->dead && file->life == sim->life;
    err code = file_begin(sim, DISK_WRITE, "write", file, &dying, diag);
    if (code != OK && alive) /* it fails in the middle */
        inode_write(file->inode, offset, from, chance_below(&sim->random, size + 1));
    if (code == OK && is_too_much(sim, file->inode, offset + size))
        code = refuse_full(sim, DISK_WRITE, "write", file->path, diag);
    if (code == OK) {
        inode_write(file->inode, offset, from, size);
        code = call_end(dying, "write", file->path, diag);
    }
    pthread_mutex_unlock(&sim->lock);
    return code;
}

static err sim_sync(void *self, struct disk_file *file, struct diag *diag)
{
    struct disk_sim *sim = self;
    bool dying;
    pthread_mutex_lock(&sim->lock);
    const bool alive = !sim->dead && file->life == sim->life;
    err code = file_begin(sim, DISK_SYNC, "sync", file, &dying, diag);
    if (code == OK && !dying && !sim->lies)
        inode_store(file->inode);
    else if (code == OK && sim->lies)
        ;
    else if (alive && !dying)
        inode_tear(file->inode, &sim->random);
    if (code == OK)
        code = call_end(dying, "sync", file->path, diag);
    pthread_mutex_unlock(&sim->lock);
    return code;
}

static void sim_release(void *self, struct disk_file *file, uint64_t from, uint64_t to)
{
}

static err sim_truncate(void *self, struct disk_file *file, uint64_t size, struct diag *diag)
{
    struct disk_sim *sim = self;
    bool dying;
    pthread_mutex_lock(&sim->lock);
    err code = file_begin(sim, DISK_TRUNCATE, "cut", file, &dying, diag);
    if (code == OK) {
        inode_resize(file->inode, size);
        code = call_end(dying, "cut", file->path, diag);
    }
    pthread_mutex_unlock(&sim->lock);
    return code;
}

static err sim_reserve(void *self, struct disk_file *file, uint64_t size, struct diag *diag)
{
    struct disk_sim *sim = self;
    bool dying;
    pthread_mutex_lock(&sim->lock);
    err code = file_begin(sim, DISK_RESERVE, "reserve space for", file, &dying, diag);
    if (code == OK && is_too_much(sim, file->inode, size))
        code = refuse_full(sim, DISK_RESERVE, "reserve space for", file->path, diag);
    if (code == OK) {
        if (size > file->inode->seen.size)
            inode_resize(file->inode, size);
        code = call_end(dying, "reserve space for", file->path, diag);
    }
    pthread_mutex_unlock(&sim->lock);
    return code;
}

static err sim_rename(void *self, const char *from, const char *to, struct diag *diag)
{
    struct disk_sim *sim = self;
    bool dying;
    pthread_mutex_lock(&sim->lock);
    err code = call_begin(sim, DISK_RENAME, "rename", from, &dying, diag);
    if (code == OK && name_find(&sim->seen, from) == NULL)
        code = diag_set(diag, ERR_DISK, "cannot rename %s to %s: No such file or directory", from, to);
    if (code == OK) {
        struct name_change moved = { .kind = NAME_MOVED };
        path_copy(moved.path, from);
        path_copy(moved.to, to);
        name_change(sim, &moved);
        code = call_end(dying, "rename", from, diag);
    }
    pthread_mutex_unlock(&sim->lock);
    return code;
}

static err sim_remove(void *self, const char *path, struct diag *diag)
{
    struct disk_sim *sim = self;
    bool dying;
    pthread_mutex_lock(&sim->lock);
    err code = call_begin(sim, DISK_REMOVE, "remove", path, &dying, diag);
    if (code == OK && name_find(&sim->seen, path) == NULL)
        code = diag_set(diag, ERR_NOT_FOUND, "cannot remove %s: No such file or directory", path);
    if (code == OK) {
        struct name_change removed = { .kind = NAME_REMOVED };
        path_copy(removed.path, path);
        name_change(sim, &removed);
        code = call_end(dying, "remove", path, diag);
    }
    pthread_mutex_unlock(&sim->lock);
    return code;
}

/* Stored at once, and so are its parents: disk_real() syncs them before it returns. */
static err sim_make_dir(void *self, const char *path, struct diag *diag)
{
    struct disk_sim *sim = self;
    bool dying;
    pthread_mutex_lock(&sim->lock);
    err code = call_begin(sim, DISK_MAKE_DIR, "make the folder", path, &dying, diag);
    if (code == OK && !dir_is_known(sim, path))
        buf_put_sized(&sim->dirs, bytes_of_text(path));
    if (code == OK)
        code = call_end(dying, "make the folder", path, diag);
    pthread_mutex_unlock(&sim->lock);
    return code;
}

static err sim_dir_sync(void *self, const char *path, struct diag *diag)
{
    struct disk_sim *sim = self;
    bool dying;
    pthread_mutex_lock(&sim->lock);
    err code = call_begin(sim, DISK_DIR_SYNC, "sync the folder", path, &dying, diag);
    if (code == OK && !dying && !sim->lies)
        dir_store(sim, path);
    if (code == OK)
        code = call_end(dying, "sync the folder", path, diag);
    pthread_mutex_unlock(&sim->lock);
    return code;
}

/* The smallest name of the folder above `last`; NULL when there is none. */
static const char *name_above(const struct disk_sim *sim, const char *dir, const char *last)
{
    const char *next = NULL;
    for (size_t idx = 0; idx < sim->seen.count; idx++) {
        const char *path = sim->seen.all[idx].path;
        const char *name = is_in(path, dir) ? path + strlen(dir) + 1 : "";
        if (strcmp(name, last) > 0 && (next == NULL || strcmp(name, next) < 0))
            next = name;
    }
    return next;
}

static bool dir_has_names(const struct disk_sim *sim, const char *dir)
{
    return name_above(sim, dir, "") != NULL;
}

static err sim_list(void *self, const char *path, void (*found)(void *context, const char *name), void *found_context,
                    struct diag *diag)
{
    struct disk_sim *sim = self;
    bool dying;
    pthread_mutex_lock(&sim->lock);
    err code = call_begin(sim, DISK_LIST, "read the folder", path, &dying, diag);
    if (code == OK && !dir_is_known(sim, path) && !dir_has_names(sim, path))
        code = diag_set(diag, ERR_NOT_FOUND, "cannot open the folder %s: No such file or directory", path);
    const char *name = "";
    while (code == OK && (name = name_above(sim, path, name)) != NULL)
        found(found_context, name);
    pthread_mutex_unlock(&sim->lock);
    return code;
}

static err sim_lock(void *self, const char *path, struct disk_file **file, struct diag *diag)
{
    struct disk_sim *sim = self;
    bool dying;
    pthread_mutex_lock(&sim->lock);
    *file = NULL;
    err code = call_begin(sim, DISK_LOCK, "lock", path, &dying, diag);
    const struct name *name = name_find(&sim->seen, path);
    if (code == OK && name != NULL && name->inode->locked)
        code = diag_set(diag, ERR_IN_USE, "%s is in use by another process", path);
    if (code == OK)
        code = open_locked(sim, path, true, file, diag);
    if (code == OK)
        (*file)->holds_lock = (*file)->inode->locked = true;
    pthread_mutex_unlock(&sim->lock);
    return code;
}

/* Making, breaking and mending it. */

struct disk_sim *disk_sim_new(uint64_t seed)
{
    struct disk_sim *sim = memory_new(sizeof *sim);
    pthread_mutex_init(&sim->lock, NULL);
    sim->random.state = seed;
    sim->disk = (struct disk){
        .self = sim,
        .open = sim_open,
        .close = sim_close,
        .size = sim_size,
        .read_at = sim_read_at,
        .write_at = sim_write_at,
        .sync = sim_sync,
        .release = sim_release,
        .truncate = sim_truncate,
        .reserve = sim_reserve,
        .rename = sim_rename,
        .remove = sim_remove,
        .make_dir = sim_make_dir,
        .dir_sync = sim_dir_sync,
        .list = sim_list,
        .lock = sim_lock,
    };
    return sim;
}

static void inodes_free(struct disk_sim *sim, bool named_too)
{
    struct inode **link = &sim->inodes;
    while (*link != NULL) {
        struct inode *inode = *link;
        if (inode->named && !named_too) {
            link = &inode->next;
        } else {
            *link = inode->next;
            inode_free(inode);
        }
    }
}

void disk_sim_free(struct disk_sim *sim)
{
    if (sim == NULL)
        return;
    inodes_free(sim, true);
    memory_free(sim->seen.all);
    memory_free(sim->stored.all);
    buf_deinit(&sim->name_changes);
    buf_deinit(&sim->dirs);
    buf_deinit(&sim->shown);
    pthread_mutex_destroy(&sim->lock);
    memory_free(sim);
}

const struct disk *disk_sim_disk(struct disk_sim *sim)
{
    return &sim->disk;
}

void disk_sim_fail_at(struct disk_sim *sim, enum disk_call call, uint64_t nth, enum disk_fault fault, bool ever_after)
{
    pthread_mutex_lock(&sim->lock);
    struct trouble *trouble = &sim->troubles[call];
    trouble->nth = nth;
    trouble->fault = fault;
    trouble->ever_after = ever_after;
    trouble->calls = 0;
    pthread_mutex_unlock(&sim->lock);
}

void disk_sim_fail_often(struct disk_sim *sim, enum disk_call call, uint32_t millionths, enum disk_fault fault)
{
    pthread_mutex_lock(&sim->lock);
    sim->troubles[call].millionths = millionths;
    sim->troubles[call].often = fault;
    pthread_mutex_unlock(&sim->lock);
}

void disk_sim_set_capacity(struct disk_sim *sim, uint64_t bytes)
{
    pthread_mutex_lock(&sim->lock);
    sim->capacity = bytes;
    pthread_mutex_unlock(&sim->lock);
}

static void end_at(struct disk_sim *sim, uint64_t nth, bool is_kill)
{
    pthread_mutex_lock(&sim->lock);
    sim->crash_at = nth;
    sim->changes = 0;
    sim->is_kill = is_kill;
    pthread_mutex_unlock(&sim->lock);
}

/* What is dead already stays dead of what it died of. */
static void end_now(struct disk_sim *sim, bool is_kill)
{
    pthread_mutex_lock(&sim->lock);
    if (!sim->dead || !is_kill)
        sim->is_kill = is_kill;
    sim->dead = true;
    pthread_mutex_unlock(&sim->lock);
}

void disk_sim_crash_at(struct disk_sim *sim, uint64_t nth)
{
    end_at(sim, nth, false);
}

void disk_sim_crash(struct disk_sim *sim)
{
    end_now(sim, false);
}

void disk_sim_kill_at(struct disk_sim *sim, uint64_t nth)
{
    end_at(sim, nth, true);
}

void disk_sim_kill(struct disk_sim *sim)
{
    end_now(sim, true);
}

void disk_sim_lie(struct disk_sim *sim, bool lies)
{
    pthread_mutex_lock(&sim->lock);
    sim->lies = lies;
    pthread_mutex_unlock(&sim->lock);
}

/* Content first: a file whose name is lost has lost nothing that could still be seen. */
static void power_return(struct disk_sim *sim)
{
    for (struct inode *inode = sim->inodes; inode != NULL; inode = inode->next) {
        inode_tear(inode, &sim->random);
        inode_forget(inode);
    }
    names_tear(sim);
    buf_clear(&sim->name_changes);
    sim->seen.count = 0;
    for (size_t idx = 0; idx < sim->stored.count; idx++)
        name_set(&sim->seen, sim->stored.all[idx].path, sim->stored.all[idx].inode);
}

/* Files that no name leads to, not even one that a power cut could bring back, are gone for good. */
static void unnamed_free(struct disk_sim *sim)
{
    const struct name_change *changes = (const struct name_change *)(const void *)sim->name_changes.data;
    const size_t count = sim->name_changes.size / sizeof *changes;
    for (struct inode *inode = sim->inodes; inode != NULL; inode = inode->next)
        inode->named = inode->locked = false;
    for (size_t idx = 0; idx < sim->seen.count; idx++)
        sim->seen.all[idx].inode->named = true;
    for (size_t idx = 0; idx < sim->stored.count; idx++)
        sim->stored.all[idx].inode->named = true;
    for (size_t idx = 0; idx < count; idx++) {
        if (changes[idx].kind == NAME_MADE)
            changes[idx].inode->named = true;
    }
    inodes_free(sim, false);
}

void disk_sim_restart(struct disk_sim *sim)
{
    pthread_mutex_lock(&sim->lock);
    if (sim->dead && !sim->is_kill)
        power_return(sim);
    unnamed_free(sim);
    memset(sim->troubles, 0, sizeof sim->troubles);
    sim->dead = sim->is_kill = false;
    sim->crash_at = 0;
    sim->life++;
    pthread_mutex_unlock(&sim->lock);
}

/* Looking and meddling. */

uint64_t disk_sim_count(struct disk_sim *sim, enum disk_call call)
{
    pthread_mutex_lock(&sim->lock);
    const uint64_t count = sim->counts[call];
    pthread_mutex_unlock(&sim->lock);
    return count;
}

uint64_t disk_sim_largest_read(struct disk_sim *sim)
{
    pthread_mutex_lock(&sim->lock);
    const uint64_t largest = sim->largest_read;
    pthread_mutex_unlock(&sim->lock);
    return largest;
}

bool disk_sim_has_crashed(struct disk_sim *sim)
{
    pthread_mutex_lock(&sim->lock);
    const bool dead = sim->dead;
    pthread_mutex_unlock(&sim->lock);
    return dead;
}

const struct disk_strike *disk_sim_strike(const struct disk_sim *sim)
{
    return &sim->strike;
}

/* The smallest name above `last`; NULL when there is none. */
static const struct name *seen_above(const struct disk_sim *sim, const char *last)
{
    const struct name *next = NULL;
    for (size_t idx = 0; idx < sim->seen.count; idx++) {
        const struct name *name = &sim->seen.all[idx];
        if (strcmp(name->path, last) > 0 && (next == NULL || strcmp(name->path, next->path) < 0))
            next = name;
    }
    return next;
}

uint64_t disk_sim_hash(struct disk_sim *sim)
{
    uint64_t hash = 0;
    pthread_mutex_lock(&sim->lock);
    for (const struct name *name = seen_above(sim, ""); name != NULL; name = seen_above(sim, name->path)) {
        const struct buf *seen = &name->inode->seen;
        const uint32_t sum = crc32c(0, name->path, strlen(name->path));
        hash = hash_mix(hash ^ seen->size, ((uint64_t)sum << 32) | crc32c(0, seen->data, seen->size));
    }
    pthread_mutex_unlock(&sim->lock);
    return hash;
}

const char *disk_sim_name(struct disk_sim *sim, size_t idx)
{
    pthread_mutex_lock(&sim->lock);
    const struct name *name = seen_above(sim, "");
    while (name != NULL && idx-- > 0)
        name = seen_above(sim, name->path);
    pthread_mutex_unlock(&sim->lock);
    return name != NULL ? name->path : NULL;
}

const uint8_t *disk_sim_get(struct disk_sim *sim, const char *path, size_t *size)
{
    pthread_mutex_lock(&sim->lock);
    const struct name *name = name_find(&sim->seen, path);
    const bool found = name != NULL;
    buf_clear(&sim->shown);
    if (found)
        buf_put_bytes(&sim->shown, buf_bytes(&name->inode->seen));
    *size = sim->shown.size;
    buf_put_u8(&sim->shown, 0); /* an empty file has an address too */
    pthread_mutex_unlock(&sim->lock);
    return found ? sim->shown.data : NULL;
}

static void put_locked(struct disk_sim *sim, const char *path, const uint8_t *data, size_t size, bool stored)
{
    struct inode *inode = inode_add(sim);
    name_set(&sim->seen, path, inode);
    if (stored) {
        name_set(&sim->stored, path, inode);
        buf_put(&inode->seen, data, size);
        buf_put(&inode->stored, data, size);
        return;
    }
    struct name_change made = { .kind = NAME_MADE, .inode = inode };
    path_copy(made.path, path);
    buf_put(&sim->name_changes, &made, sizeof made);
    inode_write(inode, 0, data, size);
}

void disk_sim_put(struct disk_sim *sim, const char *path, const uint8_t *data, size_t size, bool stored)
{
    pthread_mutex_lock(&sim->lock);
    name_remove(&sim->seen, path);
    if (stored)
        name_remove(&sim->stored, path);
    if (data != NULL)
        put_locked(sim, path, data, size, stored);
    pthread_mutex_unlock(&sim->lock);
}

bool disk_sim_flip(struct disk_sim *sim, const char *path, uint64_t bit)
{
    bool flipped = false;
    pthread_mutex_lock(&sim->lock);
    const struct name *name = name_find(&sim->seen, path);
    struct buf *copies[2] = { name != NULL ? &name->inode->seen : NULL, name != NULL ? &name->inode->stored : NULL };
    for (size_t idx = 0; name != NULL && idx < COUNTOF(copies); idx++) {
        if (bit / 8 < copies[idx]->size) {
            copies[idx]->data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            flipped = true;
        }
    }
    pthread_mutex_unlock(&sim->lock);
    return flipped;
}

uint64_t disk_sim_random(struct disk_sim *sim)
{
    pthread_mutex_lock(&sim->lock);
    const uint64_t value = chance_draw(&sim->random);
    pthread_mutex_unlock(&sim->lock);
    return value;
}
