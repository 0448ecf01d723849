/* segments — those of a log that is open: how much disk they take, and letting go of old ones.
 *
 * Threads: any, at any time. The log's thread adds what is new, others ask and retire. */
#pragma once

#include "wal/folder.h"
#include "wal/segment.h"

#include <pthread.h>

struct segments_entry {
    uint64_t first_offset;
    uint64_t size;
};

struct segments {
    const struct disk *disk;
    const char *dir;
    pthread_mutex_t retiring;       /* held by the one who removes, also while the disk works */
    pthread_mutex_t lock;           /* held for what follows */
    struct segments_entry *entries; /* owned, ascending; the last is the newest */
    size_t count;
    size_t capacity;
};

/* Measures the segments of the folder. One that cannot be measured counts as empty. */
void segments_init(struct segments *segments, const struct disk *disk, const char *dir, const struct folder *folder);
void segments_deinit(struct segments *segments);
/* The newest segment as it is now: a new one, or the last one grown. */
void segments_note(struct segments *segments, const struct segment *newest);
/* wal_retire(), wal_oldest_offset(), wal_size(). */
err segments_retire(struct segments *segments, uint64_t below, uint64_t *removed_bytes, struct diag *diag);
uint64_t segments_oldest(struct segments *segments);
uint64_t segments_size(struct segments *segments);
