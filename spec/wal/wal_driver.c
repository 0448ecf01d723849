/* What spec/wal/wal_spec.lua cannot do itself: stand in for the disk, and be called from the log's thread,
 * which must not enter LuaJIT. Built as a library of its own beside libstdb-core.so. */
#include "memory_disk.h"

#include "wal/wal.h"

struct memory_disk *driver_disk_new(uint64_t seed)
{
    struct memory_disk *disk = memory_disk_new();
    disk->random = seed | 1;
    return disk;
}

void driver_disk_free(struct memory_disk *disk)
{
    memory_disk_free(disk);
}

void driver_disk_fail(struct memory_disk *disk, uint64_t fails_from, uint64_t fails_sync)
{
    disk->fails_from = fails_from;
    disk->fails_sync = fails_sync;
    disk->calls = disk->syncs = 0;
}

void driver_disk_restart(struct memory_disk *disk)
{
    memory_disk_restart(disk);
}

uint64_t driver_disk_largest_read(const struct memory_disk *disk)
{
    return disk->largest_read;
}

/* The content of a file; NULL when there is none. */
const uint8_t *driver_file_get(struct memory_disk *disk, const char *path, size_t *size)
{
    const struct memory_file *file = memory_find(disk, path);
    *size = file != NULL ? file->seen.size : 0;
    return file != NULL ? file->seen.data : NULL;
}

/* Replaces or makes a file; NULL removes it. Without `synced`, reads see it and a power cut tears it. */
void driver_file_set(struct memory_disk *disk, const char *path, const uint8_t *data, size_t size, bool synced)
{
    struct memory_file *file = memory_find(disk, path);
    if (file != NULL)
        memory_drop(file);
    if (data == NULL)
        return;
    file = memory_add(disk, path);
    file->name_stored = synced;
    buf_put(&file->seen, data, size);
    if (synced)
        buf_put(&file->stored, data, size);
    else
        memory_mark_dirty(file, 0, size);
}

struct driver {
    struct wal *wal;        /* NULL when opening was refused */
    struct buf replayed;    /* u32 size and bytes of each record */
    uint64_t replay_next;   /* the offset that replay must give next */
    uint64_t durable_told;  /* atomic: the last that on_durable told */
    uint32_t failures_told; /* atomic: calls of on_failure */
    struct wal_report report;
    struct diag diag;
};

static err record_replay(void *context, uint64_t offset, bytes record, struct diag *diag)
{
    struct driver *driver = context;
    check(offset == driver->replay_next);
    driver->replay_next++;
    buf_put_sized(&driver->replayed, record);
    return OK;
}

static void durable_tell(void *context, uint64_t durable)
{
    struct driver *driver = context;
    check(durable > __atomic_load_n(&driver->durable_told, __ATOMIC_RELAXED));
    __atomic_store_n(&driver->durable_told, durable, __ATOMIC_RELAXED);
}

static void failure_tell(void *context, const struct diag *diag)
{
    struct driver *driver = context;
    check(diag->code != OK);
    __atomic_fetch_add(&driver->failures_told, 1, __ATOMIC_RELAXED);
}

/* On the disk in memory, or on the real one when `disk` is NULL. */
struct driver *driver_open(struct memory_disk *disk, const char *dir, uint8_t database, uint64_t segment_size)
{
    struct driver *driver = memory_new(sizeof *driver);
    struct wal_options options = {
        .disk = disk != NULL ? &disk->disk : disk_real(),
        .dir = dir,
        .segment_size = segment_size,
        .on_durable = durable_tell,
        .on_failure = failure_tell,
        .context = driver,
    };
    memset(options.database_id, database, sizeof options.database_id);
    const err code = wal_open(&driver->wal, &options, record_replay, driver, &driver->report, &driver->diag);
    check((code == OK) == (driver->wal != NULL));
    if (code == OK)
        driver->diag.code = OK;
    return driver;
}

void driver_start(struct driver *driver)
{
    wal_start(driver->wal);
}

uint64_t driver_append(struct driver *driver, const uint8_t *data, size_t size)
{
    buf_put(wal_append_begin(driver->wal), data, size);
    return wal_append_end(driver->wal);
}

/* Hands over what was appended and waits until it is durable; false when the log has failed. */
bool driver_sync(struct driver *driver)
{
    wal_flush(driver->wal);
    return wal_wait(driver->wal);
}

void driver_flush(struct driver *driver)
{
    wal_flush(driver->wal);
}

void driver_close(struct driver *driver)
{
    wal_close(driver->wal);
    driver->wal = NULL;
}

void driver_free(struct driver *driver)
{
    wal_close(driver->wal);
    buf_deinit(&driver->replayed);
    memory_free(driver);
}

int driver_code(const struct driver *driver)
{
    return (int)driver->diag.code;
}
const char *driver_text(const struct driver *driver)
{
    return driver->diag.text;
}
const char *driver_tail_text(const struct driver *driver)
{
    return driver->report.tail_text;
}
bool driver_tail_cut(const struct driver *driver)
{
    return driver->report.tail_cut;
}
const uint8_t *driver_replayed(const struct driver *driver)
{
    return driver->replayed.data;
}
size_t driver_replayed_size(const struct driver *driver)
{
    return driver->replayed.size;
}
uint64_t driver_durable(const struct driver *driver)
{
    return wal_durable_offset(driver->wal);
}
uint64_t driver_durable_told(struct driver *driver)
{
    return __atomic_load_n(&driver->durable_told, __ATOMIC_RELAXED);
}
uint32_t driver_failures_told(struct driver *driver)
{
    return __atomic_load_n(&driver->failures_told, __ATOMIC_RELAXED);
}
