/* Making, filling and closing one file of the log. */
#include "wal/segment.h"

#include "base/clock.h"
#include "wal/folder.h"

#include <inttypes.h>
#include <stdio.h>

err segment_open(struct segment *segment, const struct disk *disk, const char *dir, uint64_t first_offset, bool create,
                 struct diag *diag)
{
    *segment = (struct segment){ .disk = disk, .first_offset = first_offset, .position = SEGMENT_HEADER_SIZE };
    const int length = snprintf(segment->path, sizeof segment->path, "%s/%020" PRIu64 ".wal", dir, first_offset);
    if (length < 0 || (size_t)length >= sizeof segment->path)
        return diag_set(diag, ERR_DISK, "the path of the log's folder is too long: %.200s…", dir);
    TRY(disk->open(disk->self, segment->path, create, &segment->file, diag));

    const err code = segment_measure(segment, diag);
    if (code != OK)
        segment_close(segment);
    return code;
}

err segment_measure(struct segment *segment, struct diag *diag)
{
    return segment->disk->size(segment->disk->self, segment->file, &segment->size, diag);
}

err segment_read_header(const struct segment *segment, struct segment_header *header, bool *present, struct diag *diag)
{
    uint8_t start[SEGMENT_HEADER_SIZE] = { 0 };
    size_t done = 0;
    TRY(segment->disk->read_at(segment->disk->self, segment->file, 0, start, sizeof start, &done, diag));
    *present = segment_header_read(start, header);
    return OK;
}

void segment_close(struct segment *segment)
{
    if (segment->file != NULL)
        segment->disk->close(segment->disk->self, segment->file);
    segment->file = NULL;
}

static err header_store(struct segment *segment, const char *dir, const struct segment_header *header,
                        uint64_t size_limit, struct diag *diag)
{
    const struct disk *disk = segment->disk;
    uint8_t bytes_out[SEGMENT_HEADER_SIZE];
    segment_header_write(header, bytes_out);
    TRY(disk->write_at(disk->self, segment->file, 0, bytes_out, sizeof bytes_out, diag));
    if (segment->size < sizeof bytes_out)
        segment->size = sizeof bytes_out;
    TRY(segment_reserve(segment, FRAME_HEADER_SIZE, size_limit, diag));
    TRY(disk->sync(disk->self, segment->file, diag));
    TRY(disk->dir_sync(disk->self, dir, diag)); /* D2: a new name */
    return folder_set_newest(disk, dir, header->first_offset, diag);
}

err segment_create(struct segment *segment, const struct disk *disk, const char *dir,
                   const struct segment_header *header, uint64_t size_limit, struct diag *diag)
{
    struct segment_header salted = *header;
    if (salted.salt == 0) {
        random_bytes(&salted.salt, sizeof salted.salt);
        salted.salt |= 1;
    }
    TRY(segment_open(segment, disk, dir, header->first_offset, true, diag));
    segment->salt = salted.salt;
    const err code = header_store(segment, dir, &salted, size_limit, diag);
    if (code != OK)
        segment_close(segment);
    return code;
}

/* Room is promised in steps of the one size and zeroed in steps of the other: a sync that has to write a step of zeros
 * first is to take half a millisecond longer, not five. */
enum { PROMISE_STEP = 4 << 20, ZEROS_STEP = 512 << 10, SMALL_FRAME_MAX = 64 << 10 };

static err promise_room(struct segment *segment, uint64_t needed, uint64_t size_limit, struct diag *diag)
{
    if (needed <= segment->size)
        return OK;
    uint64_t wanted = needed + PROMISE_STEP;
    if (wanted > size_limit)
        wanted = needed > size_limit ? needed : size_limit;
    TRY(segment->disk->reserve(segment->disk->self, segment->file, wanted, diag));
    segment->size = wanted;
    return OK;
}

static err write_zeros(struct segment *segment, uint64_t needed, struct diag *diag)
{
    static const uint8_t zeros[ZEROS_STEP + SMALL_FRAME_MAX];
    if (needed <= segment->zeroed)
        return OK;
    const uint64_t from = segment->zeroed > segment->position ? segment->zeroed : segment->position;
    const uint64_t to = needed + ZEROS_STEP < segment->size ? needed + ZEROS_STEP : segment->size;
    check(to - from <= sizeof zeros);
    TRY(segment->disk->write_at(segment->disk->self, segment->file, from, zeros, (size_t)(to - from), diag));
    segment->zeroed = to;
    return OK;
}

err segment_reserve(struct segment *segment, uint64_t size, uint64_t size_limit, struct diag *diag)
{
    const uint64_t needed = segment->position + size;
    TRY(promise_room(segment, needed, size_limit, diag));
    const bool is_mark = size <= FRAME_HEADER_SIZE; /* the last one on a full disk must need no more than itself (W5) */
    return is_mark || size > SMALL_FRAME_MAX ? OK : write_zeros(segment, needed, diag);
}

/* Nobody reads the log while it is written, as a rule. What stayed in memory of it would push out what is needed, and each
 * group would meet fresh pages. */
static void release_written(struct segment *segment)
{
    enum { STEP = 1 << 20, PAGE = 4096 };
    const uint64_t to = segment->position & ~(uint64_t)(PAGE - 1); /* the next frame may begin in the last page */
    if (to < segment->released + STEP)
        return;
    segment->disk->release(segment->disk->self, segment->file, segment->released, to);
    segment->released = to;
}

err segment_append(struct segment *segment, bytes frame, uint64_t size_limit, struct diag *diag)
{
    const struct disk *disk = segment->disk;
    check(segment->position % FRAME_ALIGNMENT == 0 && frame.size % FRAME_ALIGNMENT == 0);
    TRY(segment_reserve(segment, frame.size, size_limit, diag));
    TRY(disk->write_at(disk->self, segment->file, segment->position, frame.at, frame.size, diag));
    TRY(disk->sync(disk->self, segment->file, diag));
    segment->position += frame.size;
    release_written(segment);
    return OK;
}
