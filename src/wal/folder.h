/* folder — which segments the log has, by the names of its files.
 *
 * Beside the segments stands one small file, "newest": the first offset of the newest segment, stored anew
 * before that segment gets its first frame. Without it a log whose last file is gone would look whole.
 *
 *      0  u64      first offset of the newest segment
 *      8  u32      crc32c of bytes 0..7 */
#pragma once

#include "base/disk.h"

struct folder {
    uint64_t *firsts; /* owned: the first offsets of the segments, ascending */
    size_t count;
    uint64_t newest; /* as the file says */
    bool newest_known;
};

/* The names alone: what there is, whether it is all or not. */
err folder_list(struct folder *folder, const struct disk *disk, const char *dir, struct diag *diag);
/* ERR_CORRUPT when segments are missing at the end. */
err folder_read(struct folder *folder, const struct disk *disk, const char *dir, struct diag *diag);
void folder_free(struct folder *folder); /* twice is fine */
/* The place of the segment that holds the record at `offset`: the last that begins at or before it. False when
 * all begin later. */
bool folder_find(const struct folder *folder, uint64_t offset, size_t *idx);

err folder_set_newest(const struct disk *disk, const char *dir, uint64_t first_offset, struct diag *diag);
/* Removes one segment, durably. One that is gone already is fine. */
err folder_remove(const struct disk *disk, const char *dir, uint64_t first_offset, struct diag *diag);
