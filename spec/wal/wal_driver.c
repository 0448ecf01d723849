/* What spec/wal/wal_spec.lua cannot do itself: be called from the log's thread, which must not enter LuaJIT.
 * Built as a library of its own beside libstdb-core.so, together with the simulated disk. */
#include "disk_sim.h"

#include "base/buf.h"
#include "wal/wal.h"

#include <pthread.h>

struct driver {
    struct wal *wal;        /* NULL when opening was refused */
    struct buf replayed;    /* u32 size and bytes of each record */
    uint64_t replay_next;   /* the offset that replay must give next */
    uint64_t durable_told;  /* atomic: the last that on_durable told */
    uint32_t failures_told; /* atomic: calls of on_failure */
    struct diag failure;    /* what it told */
    struct wal_report report;
    struct diag diag;
    pthread_t retirer;
    bool retire_stop; /* atomic */
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
    driver->failure = *diag;
    __atomic_fetch_add(&driver->failures_told, 1, __ATOMIC_RELAXED);
}

static struct wal_options options_make(struct disk_sim *disk, const char *dir, uint8_t database, uint64_t segment_size)
{
    struct wal_options options = {
        .disk = disk != NULL ? disk_sim_disk(disk) : disk_real(),
        .dir = dir,
        .segment_size = segment_size,
        .rest_after_ms = 20,
    };
    memset(options.database_id, database, sizeof options.database_id);
    return options;
}

/* On the simulated disk, or on the real one when `disk` is NULL. */
struct driver *driver_open(struct disk_sim *disk, const char *dir, uint8_t database, uint64_t segment_size,
                           uint64_t from)
{
    struct driver *driver = memory_new(sizeof *driver);
    struct wal_options options = options_make(disk, dir, database, segment_size);
    options.from = driver->replay_next = from;
    options.on_durable = durable_tell;
    options.on_failure = failure_tell;
    options.context = driver;
    const err code = wal_open(&driver->wal, &options, record_replay, driver, &driver->report, &driver->diag);
    check((code == OK) == (driver->wal != NULL));
    if (code == OK)
        driver->diag.code = OK;
    return driver;
}

int driver_create(struct disk_sim *disk, const char *dir, uint64_t segment_size, uint64_t first_offset,
                  struct diag *diag)
{
    const struct wal_options options = options_make(disk, dir, 1, segment_size);
    return (int)wal_create(&options, first_offset, diag);
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

void driver_trim(struct driver *driver)
{
    wal_trim(driver->wal);
}

void driver_flush(struct driver *driver)
{
    wal_flush(driver->wal);
}

bool driver_step(struct driver *driver)
{
    return wal_step(driver->wal);
}

/* The bytes it removed; -1 when the disk refused. */
int64_t driver_retire(struct driver *driver, uint64_t below)
{
    uint64_t removed;
    return wal_retire(driver->wal, below, &removed, &driver->diag) == OK ? (int64_t)removed : -1;
}

uint64_t driver_oldest(struct driver *driver)
{
    return wal_oldest_offset(driver->wal);
}

uint64_t driver_size(struct driver *driver)
{
    return wal_size(driver->wal);
}

/* As the engine does it: another thread lets go of what is old, all the while the log goes on. */
static void *retire_run(void *context)
{
    struct driver *driver = context;
    struct diag diag;
    uint64_t removed;
    while (!__atomic_load_n(&driver->retire_stop, __ATOMIC_RELAXED)) {
        check(wal_retire(driver->wal, wal_durable_offset(driver->wal), &removed, &diag) == OK);
        check(wal_oldest_offset(driver->wal) <= wal_durable_offset(driver->wal) && wal_size(driver->wal) > 0);
    }
    return NULL;
}

void driver_retire_always(struct driver *driver)
{
    check(pthread_create(&driver->retirer, NULL, retire_run, driver) == 0);
}

void driver_retire_stop(struct driver *driver)
{
    __atomic_store_n(&driver->retire_stop, true, __ATOMIC_RELAXED);
    pthread_join(driver->retirer, NULL);
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
const char *driver_failure_text(const struct driver *driver)
{
    return driver->failure.text;
}
uint64_t driver_byte_count(const struct driver *driver)
{
    return driver->report.byte_count;
}
