/* Appending, and the log's thread. Opening an existing log is recovery.c.
 *
 * Three buffers take turns: `filling` belongs to the engine's thread, `waiting` lies between the threads
 * under the lock, `writing` belongs to the log's thread. Each starts with room for a frame header, so that
 * a group goes to disk as it was appended, without a copy. */
#include "wal/wal.h"

#include "base/buf.h"
#include "base/hash.h"
#include "wal/recovery.h"
#include "wal/segments.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

enum { SEGMENT_SIZE_DEFAULT = 64 << 20, BACKLOG_MAX = 256 << 20 };
/* So much of a buffer is never given back. */
enum { KEPT_BYTES_MIN = 16 << 20 };
/* What has gathered before the end of a turn is handed over from this size on. */
enum { FILLING_ENOUGH = 16 << 20 };
/* So long nothing is appended before the log counts as idle (W2). A client that calls, waits for its answer
 * and calls again must not find the thread in the middle of syncing a mark. */
enum { IDLE_AFTER_NS = 10 * 1000 * 1000 };
/* And so long before the thread of an idle log gives back a large buffer: the next group may be as large. */
enum { REST_AFTER_MS = 10000 };
/* A frame counts its body in 32 bits. Three quarters of that for the largest record, with what is appended before it is
 * handed over, leave room for what may already be waiting. */
#define FILLING_MAX (UINT32_MAX / 4 * 3)

struct wal {
    struct wal_options options;
    char *dir; /* owned: options.dir */

    /* the engine's thread */
    struct buf filling;
    uint32_t filling_count;
    size_t record_start; /* of the record being written, 0 between records */
    size_t filling_peak; /* the most that was handed over at once since wal_trim() */
    uint64_t next_offset;
    bool started;
    pthread_t thread;

    /* both, under the lock */
    pthread_mutex_t lock;
    pthread_cond_t work;     /* for the log's thread: something waits, or stop */
    pthread_cond_t progress; /* for the engine's thread: something is durable, or the log has failed */
    struct buf waiting;
    uint32_t waiting_count;
    size_t writing_size;
    uint64_t flushed_offset; /* records below it were handed over, or dropped after a failure */
    bool stopping;
    bool failed;

    uint64_t durable_offset; /* atomic; moved by the log's thread */
    struct segments segments; /* has locks of its own */

    /* the log's thread */
    struct buf writing;
    uint32_t writing_count;
    struct segment segment;
    uint64_t written_offset; /* of the first record that is in no frame yet */
    uint32_t chain;
    bool marked;
};

static void locks_init(struct wal *wal)
{
    pthread_condattr_t attributes;
    pthread_mutex_init(&wal->lock, NULL);
    pthread_cond_init(&wal->progress, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&wal->work, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void wal_free(struct wal *wal)
{
    segment_close(&wal->segment);
    segments_deinit(&wal->segments);
    buf_deinit(&wal->filling);
    buf_deinit(&wal->waiting);
    buf_deinit(&wal->writing);
    pthread_cond_destroy(&wal->work);
    pthread_cond_destroy(&wal->progress);
    pthread_mutex_destroy(&wal->lock);
    memory_free(wal->dir);
    memory_free(wal);
}

static struct wal_options options_settle(const struct wal_options *options)
{
    struct wal_options settled = *options;
    if (settled.segment_size == 0)
        settled.segment_size = SEGMENT_SIZE_DEFAULT;
    if (settled.rest_after_ms == 0)
        settled.rest_after_ms = REST_AFTER_MS;
    return settled;
}

err wal_create(const struct wal_options *options, uint64_t first_offset, struct diag *diag)
{
    const struct wal_options settled = options_settle(options);
    const struct disk *disk = settled.disk;
    struct folder folder;
    TRY(disk->make_dir(disk->self, settled.dir, diag));
    TRY(folder_read(&folder, disk, settled.dir, diag));
    const bool is_empty = folder.count == 0;
    folder_free(&folder);
    if (!is_empty)
        return diag_set(diag, ERR_IN_USE, "%s has a log already", settled.dir);

    struct segment segment;
    struct segment_header header = { .version = SEGMENT_VERSION, .first_offset = first_offset };
    memcpy(header.database_id, settled.database_id, sizeof header.database_id);
    TRY(segment_create(&segment, disk, settled.dir, &header, settled.segment_size, diag));
    segment_close(&segment);
    return OK;
}

err wal_open(struct wal **wal, const struct wal_options *options,
             err (*replay)(void *context, uint64_t offset, bytes record, struct diag *diag), void *context,
             struct wal_report *report, struct diag *diag)
{
    *wal = NULL;
    const struct wal_options settled = options_settle(options);
    struct recovery_end end;
    TRY(recovery_run(&settled, replay, context, &end, report, diag));

    struct wal *made = memory_new(sizeof *made);
    made->dir = memory_copy(settled.dir, strlen(settled.dir) + 1);
    made->options = settled;
    made->options.dir = made->dir;
    made->segment = end.segment;
    made->chain = end.chain;
    made->marked = end.marked;
    made->next_offset = made->flushed_offset = made->written_offset = made->durable_offset = end.next_offset;
    locks_init(made);
    segments_init(&made->segments, settled.disk, made->dir, &end.folder);
    segments_note(&made->segments, &made->segment);
    folder_free(&end.folder);
    *wal = made;
    return OK;
}

/* The log's thread: writing. */

static err segment_rotate(struct wal *wal, struct diag *diag)
{
    struct segment next;
    struct segment_header header = { SEGMENT_VERSION, { 0 }, wal->written_offset, wal->chain, 0 };
    memcpy(header.database_id, wal->options.database_id, sizeof header.database_id);
    TRY(segment_create(&next, wal->options.disk, wal->dir, &header, wal->options.segment_size, diag));
    segment_close(&wal->segment);
    wal->segment = next;
    wal->marked = true; /* the header's chain vouches for the frame before */
    return OK;
}

/* A segment is named after its first record, so it must have one before the next can begin. */
static bool segment_is_full(const struct wal *wal, uint64_t frame_size)
{
    return wal->written_offset > wal->segment.first_offset &&
           wal->segment.position + frame_size > wal->options.segment_size;
}

/* Makes a frame of `writing`: fills in its header, and the zeros behind its body. Returns its checksum. */
static uint32_t frame_finish(struct wal *wal)
{
    struct buf *frame = &wal->writing;
    check(frame->size >= FRAME_HEADER_SIZE && frame->size - FRAME_HEADER_SIZE <= UINT32_MAX);
    struct frame_header header = {
        .salt = wal->segment.salt,
        .size = (uint32_t)(frame->size - FRAME_HEADER_SIZE),
        .first_offset = wal->written_offset,
        .record_count = wal->writing_count,
        .chain = wal->chain, /* W4 */
    };
    header.body_sum = crc32c(0, frame->data + FRAME_HEADER_SIZE, header.size);
    frame_header_write(&header, frame->data);
    const size_t padding = (size_t)(frame_span(header.size) - frame->size);
    memset(buf_extend(frame, padding), 0, padding);
    return header.checksum;
}

/* Stores and syncs the frame in `writing`. Nothing else is written before this returns (W1). */
static err frame_store(struct wal *wal, struct diag *diag)
{
    const uint32_t checksum = frame_finish(wal);
    TRY(segment_append(&wal->segment, buf_bytes(&wal->writing), wal->options.segment_size, diag));
    wal->chain = checksum;
    wal->written_offset += wal->writing_count;
    wal->marked = wal->writing_count == 0;
    segments_note(&wal->segments, &wal->segment);
    return OK;
}

/* W2 */
static err mark_store(struct wal *wal, struct diag *diag)
{
    buf_clear(&wal->writing);
    buf_extend(&wal->writing, FRAME_HEADER_SIZE);
    wal->writing_count = 0;
    return frame_store(wal, diag);
}

/* W5. When there is no room, the last thing the log does is to mark its end; should even that fail, the mark is
 * missing and nothing else. */
static err room_make(struct wal *wal, struct diag *diag)
{
    const uint64_t size = frame_span((uint32_t)(wal->writing.size - FRAME_HEADER_SIZE));
    struct diag ignored;
    if (segment_is_full(wal, size))
        return segment_rotate(wal, diag);
    const err code = segment_reserve(&wal->segment, size + FRAME_HEADER_SIZE, wal->options.segment_size, diag);
    if (code != OK && !wal->marked)
        (void)mark_store(wal, &ignored);
    return code;
}

static err group_store(struct wal *wal, struct diag *diag)
{
    TRY(room_make(wal, diag));
    return frame_store(wal, diag);
}

/* Who has waited for it (wal_wait()) may rely on that it was told. */
static void durable_publish(struct wal *wal)
{
    if (wal->options.on_durable != NULL)
        wal->options.on_durable(wal->options.context, wal->written_offset);
    pthread_mutex_lock(&wal->lock);
    __atomic_store_n(&wal->durable_offset, wal->written_offset, __ATOMIC_RELEASE);
    wal->writing_size = 0;
    pthread_cond_broadcast(&wal->progress);
    pthread_mutex_unlock(&wal->lock);
}

/* W3: what was handed over and what will be is dropped; the durable offset stays where it is. */
static void failure_publish(struct wal *wal, const struct diag *diag)
{
    pthread_mutex_lock(&wal->lock);
    wal->failed = true;
    buf_deinit(&wal->waiting);
    wal->waiting_count = 0;
    pthread_cond_broadcast(&wal->progress);
    pthread_mutex_unlock(&wal->lock);
    if (wal->options.on_failure != NULL)
        wal->options.on_failure(wal->options.context, diag);
}

enum work { WORK_GROUP, WORK_MARK, WORK_REST, WORK_STOP };

/* Waits for something to be appended; true when it is time for what an idle log does. */
static bool idle_wait(struct wal *wal)
{
    if (wal->marked && wal->writing.capacity <= KEPT_BYTES_MIN) {
        pthread_cond_wait(&wal->work, &wal->lock);
        return false;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const int64_t nanoseconds = until.tv_nsec + (wal->marked ? wal->options.rest_after_ms * 1000000ll : IDLE_AFTER_NS);
    until.tv_sec += nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    return pthread_cond_timedwait(&wal->work, &wal->lock, &until) == ETIMEDOUT;
}

/* A group is all that has gathered; it is in `writing` afterwards. Under the lock. */
static void group_take(struct wal *wal)
{
    const struct buf empty = wal->writing;
    wal->writing = wal->waiting;
    wal->waiting = empty;
    wal->writing_count = wal->waiting_count;
    wal->waiting_count = 0;
    wal->writing_size = wal->writing.size;
}

/* The next thing to do; with `wait` it is waited for. */
static enum work work_take(struct wal *wal, bool wait)
{
    pthread_mutex_lock(&wal->lock);
    bool idle = false;
    while (wait && wal->waiting_count == 0 && !wal->stopping && !idle)
        idle = idle_wait(wal);

    enum work work = WORK_GROUP;
    if (wal->failed)
        work = WORK_STOP;
    else if (wal->waiting_count > 0)
        group_take(wal);
    else if (!wal->marked)
        work = WORK_MARK;
    else
        work = idle ? WORK_REST : WORK_STOP;
    pthread_mutex_unlock(&wal->lock);
    return work;
}

static bool work_do(struct wal *wal, enum work work)
{
    struct diag diag;
    if (work == WORK_REST) {
        buf_deinit(&wal->writing);
        return true;
    }
    const err code = work == WORK_MARK ? mark_store(wal, &diag) : group_store(wal, &diag);
    if (code != OK) {
        failure_publish(wal, &diag);
        return false;
    }
    buf_clear(&wal->writing);
    if (work == WORK_GROUP)
        durable_publish(wal);
    return true;
}

/* Until told to stop: then the rest is written, and a mark behind it. */
static void *thread_run(void *context)
{
    struct wal *wal = context;
    enum work work = work_take(wal, true);
    while (work != WORK_STOP && work_do(wal, work))
        work = work_take(wal, true);
    return NULL;
}

bool wal_step(struct wal *wal)
{
    check(!wal->started);
    const enum work work = work_take(wal, false);
    return work != WORK_STOP && work_do(wal, work);
}

/* The engine's thread. */

void wal_start(struct wal *wal)
{
    check(!wal->started);
    /* Signals are the main thread's. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    check(pthread_create(&wal->thread, NULL, thread_run, wal) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_setname_np(wal->thread, "log");
    wal->started = true;
}

void wal_close(struct wal *wal)
{
    if (wal == NULL)
        return;
    wal_flush(wal);
    pthread_mutex_lock(&wal->lock);
    wal->stopping = true;
    pthread_cond_signal(&wal->work);
    pthread_mutex_unlock(&wal->lock);
    if (wal->started)
        pthread_join(wal->thread, NULL);
    else
        thread_run(wal);
    wal_free(wal);
}

struct buf *wal_append_begin(struct wal *wal)
{
    check(wal->record_start == 0);
    if (wal->filling.size > FILLING_ENOUGH)
        wal_flush(wal);
    if (wal->filling.size == 0)
        buf_extend(&wal->filling, FRAME_HEADER_SIZE);
    wal->record_start = wal->filling.size;
    buf_put_u32(&wal->filling, 0);
    return &wal->filling;
}

uint64_t wal_append_end(struct wal *wal)
{
    const size_t body_start = wal->record_start + sizeof(uint32_t);
    check(wal->record_start > 0 && wal->filling.size >= body_start && wal->filling.size <= FILLING_MAX);
    const uint32_t size = (uint32_t)(wal->filling.size - body_start);
    memcpy(wal->filling.data + wal->record_start, &size, sizeof size);
    wal->record_start = 0;
    wal->filling_count++;
    return wal->next_offset++;
}

/* With nothing waiting the buffers change places; else the group joins those that wait. */
static void filling_hand_over(struct wal *wal)
{
    if (wal->waiting_count == 0) {
        const struct buf empty = wal->waiting;
        wal->waiting = wal->filling;
        wal->filling = empty;
    } else {
        buf_put(&wal->waiting, wal->filling.data + FRAME_HEADER_SIZE, wal->filling.size - FRAME_HEADER_SIZE);
    }
    wal->waiting_count += wal->filling_count;
}

static void backlog_wait(struct wal *wal)
{
    pthread_mutex_lock(&wal->lock);
    while (!wal->failed && wal->waiting.size + wal->writing_size > BACKLOG_MAX)
        pthread_cond_wait(&wal->progress, &wal->lock);
    pthread_mutex_unlock(&wal->lock);
}

void wal_flush(struct wal *wal)
{
    check(wal->record_start == 0);
    if (wal->filling_count == 0)
        return;
    if (wal->filling.size > wal->filling_peak)
        wal->filling_peak = wal->filling.size;
    pthread_mutex_lock(&wal->lock);
    if (!wal->failed)
        filling_hand_over(wal);
    wal->flushed_offset = wal->next_offset;
    const bool is_far_ahead = wal->started && wal->waiting.size + wal->writing_size > BACKLOG_MAX;
    pthread_mutex_unlock(&wal->lock);
    pthread_cond_signal(&wal->work);

    buf_clear(&wal->filling);
    wal->filling_count = 0;
    if (is_far_ahead)
        backlog_wait(wal);
}

void wal_trim(struct wal *wal)
{
    const size_t most = wal->filling_peak * 2 + KEPT_BYTES_MIN;
    if (wal->filling_count == 0 && wal->record_start == 0)
        buf_trim(&wal->filling, most);
    pthread_mutex_lock(&wal->lock);
    if (wal->waiting_count == 0)
        buf_trim(&wal->waiting, most);
    pthread_mutex_unlock(&wal->lock);
    wal->filling_peak = 0;
}

uint64_t wal_next_offset(const struct wal *wal)
{
    return wal->next_offset;
}

uint64_t wal_durable_offset(const struct wal *wal)
{
    return __atomic_load_n(&wal->durable_offset, __ATOMIC_ACQUIRE);
}

bool wal_wait(struct wal *wal)
{
    while (!wal->started && wal_durable_offset(wal) < wal->flushed_offset && wal_step(wal))
        ;
    pthread_mutex_lock(&wal->lock);
    while (!wal->failed && wal_durable_offset(wal) < wal->flushed_offset)
        pthread_cond_wait(&wal->progress, &wal->lock);
    const bool durable = wal_durable_offset(wal) >= wal->flushed_offset;
    pthread_mutex_unlock(&wal->lock);
    return durable;
}

err wal_retire(struct wal *wal, uint64_t below, uint64_t *removed_bytes, struct diag *diag)
{
    return segments_retire(&wal->segments, below, removed_bytes, diag);
}

uint64_t wal_oldest_offset(struct wal *wal)
{
    return segments_oldest(&wal->segments);
}

uint64_t wal_size(struct wal *wal)
{
    return segments_size(&wal->segments);
}
