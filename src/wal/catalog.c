#include "wal/catalog.h"

static void entry_add(struct catalog *catalog, uint64_t first_offset, uint64_t size)
{
    if (catalog->count == catalog->capacity) {
        catalog->capacity = catalog->capacity > 0 ? catalog->capacity * 2 : 16;
        catalog->entries = memory_resize(catalog->entries, sizeof *catalog->entries * catalog->capacity);
    }
    catalog->entries[catalog->count++] = (struct catalog_entry){ first_offset, size };
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

void catalog_init(struct catalog *catalog, const struct disk *disk, const char *dir, const struct folder *folder)
{
    *catalog = (struct catalog){ .disk = disk, .dir = dir };
    pthread_mutex_init(&catalog->retiring, NULL);
    pthread_mutex_init(&catalog->lock, NULL);
    for (size_t idx = 0; idx < folder->count; idx++)
        entry_add(catalog, folder->firsts[idx], size_measure(disk, dir, folder->firsts[idx]));
}

void catalog_deinit(struct catalog *catalog)
{
    pthread_mutex_destroy(&catalog->retiring);
    pthread_mutex_destroy(&catalog->lock);
    memory_free(catalog->entries);
}

void catalog_note(struct catalog *catalog, const struct segment *newest)
{
    pthread_mutex_lock(&catalog->lock);
    if (catalog->count == 0 || catalog->entries[catalog->count - 1].first_offset != newest->first_offset)
        entry_add(catalog, newest->first_offset, newest->size);
    catalog->entries[catalog->count - 1].size = newest->size;
    pthread_mutex_unlock(&catalog->lock);
}

/* The oldest segment, when all of its records are below: the next one tells where they end. So the newest is
 * never told. */
static bool oldest_below(struct catalog *catalog, uint64_t below, struct catalog_entry *oldest)
{
    pthread_mutex_lock(&catalog->lock);
    const bool found = catalog->count > 1 && catalog->entries[1].first_offset <= below;
    if (found)
        *oldest = catalog->entries[0];
    pthread_mutex_unlock(&catalog->lock);
    return found;
}

static void oldest_forget(struct catalog *catalog)
{
    pthread_mutex_lock(&catalog->lock);
    catalog->count--;
    memmove(catalog->entries, catalog->entries + 1, sizeof *catalog->entries * catalog->count);
    pthread_mutex_unlock(&catalog->lock);
}

/* Each name is gone from the disk before the next one goes: whenever the power is cut, what remains has no
 * gap. */
err catalog_retire(struct catalog *catalog, uint64_t below, uint64_t *removed_bytes, struct diag *diag)
{
    struct catalog_entry oldest;
    err code = OK;
    *removed_bytes = 0;
    pthread_mutex_lock(&catalog->retiring);
    while (code == OK && oldest_below(catalog, below, &oldest)) {
        code = folder_remove(catalog->disk, catalog->dir, oldest.first_offset, diag);
        if (code == OK) {
            oldest_forget(catalog);
            *removed_bytes += oldest.size;
        }
    }
    pthread_mutex_unlock(&catalog->retiring);
    return code;
}

uint64_t catalog_oldest(struct catalog *catalog)
{
    pthread_mutex_lock(&catalog->lock);
    const uint64_t oldest = catalog->count > 0 ? catalog->entries[0].first_offset : 0;
    pthread_mutex_unlock(&catalog->lock);
    return oldest;
}

uint64_t catalog_size(struct catalog *catalog)
{
    uint64_t size = 0;
    pthread_mutex_lock(&catalog->lock);
    for (size_t idx = 0; idx < catalog->count; idx++)
        size += catalog->entries[idx].size;
    pthread_mutex_unlock(&catalog->lock);
    return size;
}
