#include "wal/segments.h"

static void entry_add(struct segments *segments, uint64_t first_offset, uint64_t size)
{
    if (segments->count == segments->capacity) {
        segments->capacity = segments->capacity > 0 ? segments->capacity * 2 : 16;
        segments->entries = memory_resize(segments->entries, sizeof *segments->entries * segments->capacity);
    }
    segments->entries[segments->count++] = (struct segments_entry){ first_offset, size };
}

static uint64_t size_measure(const struct disk *disk, const char *dir, uint64_t first_offset)
{
    struct segment segment;
    struct diag ignored;
    if (segment_open(&segment, disk, dir, first_offset, false, &ignored) != OK)
        return 0;
    segment_close(&segment);
    return segment.size;
}

void segments_init(struct segments *segments, const struct disk *disk, const char *dir, const struct folder *folder)
{
    *segments = (struct segments){ .disk = disk, .dir = dir };
    pthread_mutex_init(&segments->retiring, NULL);
    pthread_mutex_init(&segments->lock, NULL);
    for (size_t idx = 0; idx < folder->count; idx++)
        entry_add(segments, folder->firsts[idx], size_measure(disk, dir, folder->firsts[idx]));
}

void segments_deinit(struct segments *segments)
{
    pthread_mutex_destroy(&segments->retiring);
    pthread_mutex_destroy(&segments->lock);
    memory_free(segments->entries);
}

void segments_note(struct segments *segments, const struct segment *newest)
{
    pthread_mutex_lock(&segments->lock);
    if (segments->count == 0 || segments->entries[segments->count - 1].first_offset != newest->first_offset)
        entry_add(segments, newest->first_offset, newest->size);
    segments->entries[segments->count - 1].size = newest->size;
    pthread_mutex_unlock(&segments->lock);
}

/* The oldest segment, when all of its records are below: the next one tells where they end. So the newest is
 * never told. */
static bool oldest_below(struct segments *segments, uint64_t below, struct segments_entry *oldest)
{
    pthread_mutex_lock(&segments->lock);
    const bool found = segments->count > 1 && segments->entries[1].first_offset <= below;
    if (found)
        *oldest = segments->entries[0];
    pthread_mutex_unlock(&segments->lock);
    return found;
}

static void oldest_forget(struct segments *segments)
{
    pthread_mutex_lock(&segments->lock);
    segments->count--;
    memmove(segments->entries, segments->entries + 1, sizeof *segments->entries * segments->count);
    pthread_mutex_unlock(&segments->lock);
}

/* Each name is gone from the disk before the next one goes: whenever the power is cut, what remains has no
 * gap. */
err segments_retire(struct segments *segments, uint64_t below, uint64_t *removed_bytes, struct diag *diag)
{
    struct segments_entry oldest;
    err code = OK;
    *removed_bytes = 0;
    pthread_mutex_lock(&segments->retiring);
    while (code == OK && oldest_below(segments, below, &oldest)) {
        code = folder_remove(segments->disk, segments->dir, oldest.first_offset, diag);
        if (code == OK) {
            oldest_forget(segments);
            *removed_bytes += oldest.size;
        }
    }
    pthread_mutex_unlock(&segments->retiring);
    return code;
}

uint64_t segments_oldest(struct segments *segments)
{
    pthread_mutex_lock(&segments->lock);
    const uint64_t oldest = segments->count > 0 ? segments->entries[0].first_offset : 0;
    pthread_mutex_unlock(&segments->lock);
    return oldest;
}

uint64_t segments_size(struct segments *segments)
{
    uint64_t size = 0;
    pthread_mutex_lock(&segments->lock);
    for (size_t idx = 0; idx < segments->count; idx++)
        size += segments->entries[idx].size;
    pthread_mutex_unlock(&segments->lock);
    return size;
}
