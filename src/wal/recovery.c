/* What stands in the files is either whole, or the torn tail of the very last write, or a reason to stop.
 * Telling the second from the third is the point of this file (W1). */
#include "wal/recovery.h"

#include "base/buf.h"
#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>

enum { SCAN_SIZE = 1 << 20 };

struct recovery {
    const struct wal_options *options;
    err (*replay)(void *context, uint64_t offset, bytes record, struct diag *diag);
    void *context;
    struct recovery_end *end;
    struct wal_report *report;
    struct diag *diag;
    uint64_t *firsts; /* owned: the first offsets of the segments, ascending */
    size_t count;
    size_t capacity;
    struct buf reading;      /* the frame at hand: header and body */
    struct buf frame;        /* the last whole one */
    uint64_t frame_position; /* where that stands in the segment; 0: the segment has none yet */
};

static void name_found(void *context, const char *name)
{
    struct recovery *recovery = context;
    uint64_t first_offset;
    if (!segment_name_parse(name, &first_offset))
        return;
    if (recovery->count == recovery->capacity) {
        recovery->capacity = recovery->capacity > 0 ? recovery->capacity * 2 : 16;
        recovery->firsts = memory_resize(recovery->firsts, sizeof *recovery->firsts * recovery->capacity);
    }
    recovery->firsts[recovery->count++] = first_offset;
}

/* A read that must be complete: the size of the file was asked for, so that less is a damaged disk. */
static err bytes_read(const struct recovery *recovery, uint64_t position, void *out, size_t size)
{
    const struct segment *segment = &recovery->end->segment;
    size_t done = 0;
    TRY(segment->disk->read_at(segment->disk->self, segment->file, position, out, size, &done, recovery->diag));
    if (done < size)
        return diag_set(recovery->diag, ERR_DISK, "%s: the disk ends at byte %" PRIu64 ", before the file's size",
                        segment->path, position + done);
    return OK;
}

static err corrupt_frame(const struct recovery *recovery, const char *why)
{
    return diag_set(recovery->diag, ERR_CORRUPT,
                    "%s: the frame at byte %" PRIu64 " (record %" PRIu64 ") is damaged: %s; nothing was changed",
                    recovery->end->segment.path, recovery->end->segment.position, recovery->end->next_offset, why);
}

static bool is_zero(const uint8_t *at, size_t size)
{
    return size == 0 || (at[0] == 0 && memcmp(at, at + 1, size - 1) == 0);
}

/* Looks from `position` to the end of the file for anything that is not zero. */
static err rest_is_zero(const struct recovery *recovery, uint64_t position, bool *zero)
{
    uint8_t *chunk = memory_resize(NULL, SCAN_SIZE);
    const uint64_t end = recovery->end->segment.size;
    err code = OK;
    *zero = true;
    while (code == OK && *zero && position < end) {
        const size_t size = end - position < SCAN_SIZE ? (size_t)(end - position) : SCAN_SIZE;
        code = bytes_read(recovery, position, chunk, size);
        *zero = code == OK && is_zero(chunk, size);
        position += size;
    }
    memory_free(chunk);
    return code;
}

/* A whole header is proof enough: it is written only after the frame before is synced (W1), so that the
 * body behind it need not be read. Its offset tells it from bytes that merely look like a frame. */
static size_t header_find(const uint8_t *chunk, size_t size, uint64_t offset_min)
{
    struct frame_header header;
    for (size_t at = 0; at + FRAME_HEADER_SIZE <= size; at += FRAME_ALIGNMENT) {
        if (frame_header_read(chunk + at, &header) && header.first_offset >= offset_min)
            return at;
    }
    return size;
}

/* Tries every place where a frame may begin. *found is 0 when there is none. */
static err frame_find(const struct recovery *recovery, uint64_t position, uint64_t *found)
{
    uint8_t *chunk = memory_resize(NULL, SCAN_SIZE);
    const uint64_t end = recovery->end->segment.size;
    err code = OK;
    *found = 0;
    while (code == OK && *found == 0 && position < end && end - position >= FRAME_HEADER_SIZE) {
        const size_t size = end - position < SCAN_SIZE ? (size_t)(end - position) : SCAN_SIZE;
        code = bytes_read(recovery, position, chunk, size);
        const size_t at = code == OK ? header_find(chunk, size, recovery->end->next_offset) : size;
        if (at < size)
            *found = position + at;
        position += SCAN_SIZE - FRAME_HEADER_SIZE + FRAME_ALIGNMENT; /* a header may lie across two chunks */
    }
    memory_free(chunk);
    return code;
}

/* Takes away what stands behind the last whole frame. It is zeros again, durably, before anything else is
 * written, so that no later recovery can take the remains for a frame. */
static err tail_cut(struct recovery *recovery)
{
    struct segment *segment = &recovery->end->segment;
    const struct disk *disk = segment->disk;
    struct wal_report *report = recovery->report;
    report->tail_cut = true;
    snprintf(report->tail_text, sizeof report->tail_text,
             "%020" PRIu64 ".wal: an unfinished write was cut: %" PRIu64 " bytes from byte %" PRIu64
             ", where record %" PRIu64 " would begin",
             segment->first_offset, segment->size - segment->position, segment->position, recovery->end->next_offset);

    TRY(disk->truncate(disk->self, segment->file, segment->position, recovery->diag));
    segment->size = segment->position;
    TRY(segment_reserve(segment, FRAME_HEADER_SIZE, recovery->options->segment_size, recovery->diag));
    return disk->sync(disk->self, segment->file, recovery->diag);
}

/* The frame at `position` is not whole. Frames that follow it could begin at `behind`. */
static err frame_bad(struct recovery *recovery, uint64_t behind, bool is_last)
{
    if (!is_last)
        return corrupt_frame(recovery, "the log goes on in a later segment");
    uint64_t found;
    TRY(frame_find(recovery, behind, &found));
    if (found == 0)
        return tail_cut(recovery);

    char why[80];
    snprintf(why, sizeof why, "a later frame stands at byte %" PRIu64, found);
    return corrupt_frame(recovery, why); /* W1 */
}

static err records_replay(struct recovery *recovery, const struct frame_header *header)
{
    struct reader reader = reader_of(bytes_of(recovery->reading.data + FRAME_HEADER_SIZE, header->size));
    for (uint32_t idx = 0; idx < header->record_count; idx++) {
        const bytes record = reader_get_sized(&reader);
        if (reader.failed)
            return corrupt_frame(recovery, "its records are longer than its body");
        TRY(recovery->replay(recovery->context, header->first_offset + idx, record, recovery->diag));
    }
    return reader_left(&reader) == 0 ? OK : corrupt_frame(recovery, "its body is longer than its records");
}

/* The zeros behind the body belong to no checksum. A torn write leaves zeros there as well, since the space
 * was zeros before; anything else is damage. */
static err padding_verify(const struct recovery *recovery, uint64_t position, uint64_t end)
{
    uint8_t padding[FRAME_ALIGNMENT];
    if (end > recovery->end->segment.size)
        end = recovery->end->segment.size;
    if (position >= end)
        return OK;
    const size_t size = (size_t)(end - position);
    TRY(bytes_read(recovery, position, padding, size));
    return is_zero(padding, size) ? OK : corrupt_frame(recovery, "the bytes behind it are not zero");
}

/* Header and sum are good: the frame must continue what was before (W4), then its records count. */
static err frame_accept(struct recovery *recovery, const struct frame_header *header)
{
    struct recovery_end *end = recovery->end;
    if (header->first_offset != end->next_offset || header->chain != end->chain)
        return corrupt_frame(recovery, "it does not continue the frame before");
    if (header->first_offset > UINT64_MAX - header->record_count)
        return corrupt_frame(recovery, "its offset is out of range");
    const uint64_t body_end = end->segment.position + FRAME_HEADER_SIZE + header->size;
    TRY(padding_verify(recovery, body_end, end->segment.position + frame_span(header->size)));
    TRY(records_replay(recovery, header));

    const struct buf older = recovery->frame;
    recovery->frame = recovery->reading;
    recovery->reading = older;
    recovery->frame_position = end->segment.position;
    end->segment.position += frame_span(header->size);
    end->next_offset += header->record_count;
    end->chain = header->checksum;
    end->marked = header->record_count == 0;
    recovery->report->record_count += header->record_count;
    recovery->report->byte_count += frame_span(header->size);
    return OK;
}

/* No header stands at `position`: the end of the segment, or a frame that lost its header. */
static err header_absent(struct recovery *recovery, bool is_last)
{
    bool zero;
    TRY(rest_is_zero(recovery, recovery->end->segment.position, &zero));
    return zero ? OK : frame_bad(recovery, recovery->end->segment.position + FRAME_ALIGNMENT, is_last);
}

/* Reads the frame at `position`; *more tells whether it was whole. */
static err frame_take(struct recovery *recovery, bool is_last, bool *more)
{
    const struct segment *segment = &recovery->end->segment;
    const uint64_t left = segment->size > segment->position ? segment->size - segment->position : 0;
    struct frame_header header;
    uint8_t start[FRAME_HEADER_SIZE];
    *more = false;
    if (left < FRAME_HEADER_SIZE)
        return header_absent(recovery, is_last);
    TRY(bytes_read(recovery, segment->position, start, sizeof start));
    if (!frame_header_read(start, &header))
        return header_absent(recovery, is_last);
    if (header.size > left - FRAME_HEADER_SIZE)
        return frame_bad(recovery, segment->size, is_last);

    /* Bounded by the file, so that a header cannot ask for more memory than there are bytes. */
    buf_clear(&recovery->reading);
    buf_put(&recovery->reading, start, sizeof start);
    uint8_t *body = buf_extend(&recovery->reading, header.size);
    TRY(bytes_read(recovery, segment->position + FRAME_HEADER_SIZE, body, header.size));
    if (crc32c(0, body, header.size) != header.body_sum)
        return frame_bad(recovery, segment->position + frame_span(header.size), is_last);
    *more = true;
    return frame_accept(recovery, &header);
}

static err frames_take(struct recovery *recovery, bool is_last)
{
    bool more = true;
    recovery->frame_position = 0;
    while (more)
        TRY(frame_take(recovery, is_last, &more));
    return OK;
}

static err corrupt_segment(const struct recovery *recovery, const char *why)
{
    return diag_set(recovery->diag, ERR_CORRUPT,
                    "%s: the segment header at byte 0 is refused: %s (record %" PRIu64
                    " is expected next); nothing was changed",
                    recovery->end->segment.path, why, recovery->end->next_offset);
}

static err header_verify(const struct recovery *recovery, const struct segment_header *header)
{
    const struct recovery_end *end = recovery->end;
    if (header->version > SEGMENT_VERSION)
        return diag_set(recovery->diag, ERR_NEWER_FORMAT,
                        "%s: the log is written in format %u by a newer version; this one reads format %u",
                        end->segment.path, header->version, SEGMENT_VERSION);
    if (header->version != SEGMENT_VERSION)
        return corrupt_segment(recovery, "its format version does not exist");
    if (memcmp(header->database_id, recovery->options->database_id, sizeof header->database_id) != 0)
        return corrupt_segment(recovery, "it belongs to another database");
    if (header->first_offset != end->segment.first_offset)
        return corrupt_segment(recovery, "its first record is not the one in its name");
    if (header->chain != end->chain)
        return corrupt_segment(recovery, "it does not continue the segment before");
    return OK;
}

/* A segment whose header did not get to the disk has no frames either, and nothing follows it. */
static err header_damaged(const struct recovery *recovery, bool is_last)
{
    bool zero;
    if (!is_last)
        return corrupt_segment(recovery, "its checksum is wrong");
    TRY(rest_is_zero(recovery, SEGMENT_HEADER_SIZE, &zero));
    return zero ? OK : corrupt_segment(recovery, "its checksum is wrong");
}

static err segment_take(struct recovery *recovery, size_t idx)
{
    struct recovery_end *end = recovery->end;
    const bool is_last = idx + 1 == recovery->count;
    segment_close(&end->segment);
    TRY(segment_open(&end->segment, recovery->options->disk, recovery->options->dir, recovery->firsts[idx], false,
                     recovery->diag));
    if (recovery->firsts[idx] != end->next_offset)
        return corrupt_segment(recovery, "a segment before it is missing, or it is a stranger"); /* W4 */

    struct segment_header header;
    uint8_t start[SEGMENT_HEADER_SIZE] = { 0 };
    const size_t size = end->segment.size < sizeof start ? (size_t)end->segment.size : sizeof start;
    TRY(bytes_read(recovery, 0, start, size));
    if (segment_header_read(start, &header))
        TRY(header_verify(recovery, &header));
    else
        TRY(header_damaged(recovery, is_last));
    return frames_take(recovery, is_last);
}

/* The end of the log may have been read from memory that never got to the disk: the process before this one
 * was killed between write and sync, or its sync failed, after which the kernel takes the pages for clean
 * (D3). So the last write is repeated, byte for byte, and synced before anything counts on it. */
static err end_settle(struct recovery *recovery)
{
    struct recovery_end *end = recovery->end;
    const struct wal_options *options = recovery->options;
    const struct disk *disk = options->disk;
    if (recovery->frame_position == 0) {
        struct segment_header header = { SEGMENT_VERSION, { 0 }, end->next_offset, end->chain };
        memcpy(header.database_id, options->database_id, sizeof header.database_id);
        segment_close(&end->segment);
        end->marked = true; /* the header's chain vouches for the frame before */
        return segment_create(&end->segment, disk, options->dir, &header, options->segment_size, recovery->diag);
    }
    TRY(disk->write_at(disk->self, end->segment.file, recovery->frame_position, recovery->frame.data,
                       recovery->frame.size, recovery->diag));
    TRY(disk->sync(disk->self, end->segment.file, recovery->diag));
    return disk->dir_sync(disk->self, options->dir, recovery->diag);
}

static err segments_take(struct recovery *recovery)
{
    const struct wal_options *options = recovery->options;
    const struct disk *disk = options->disk;
    TRY(disk->make_dir(disk->self, options->dir, recovery->diag));
    TRY(disk->list(disk->self, options->dir, name_found, recovery, recovery->diag));
    for (size_t idx = 0; idx < recovery->count; idx++)
        TRY(segment_take(recovery, idx));
    return end_settle(recovery);
}

err recovery_run(const struct wal_options *options,
                 err (*replay)(void *context, uint64_t offset, bytes record, struct diag *diag), void *context,
                 struct recovery_end *end, struct wal_report *report, struct diag *diag)
{
    *end = (struct recovery_end){ .marked = true };
    *report = (struct wal_report){ 0 };
    struct recovery recovery = {
        .options = options, .replay = replay, .context = context, .end = end, .report = report, .diag = diag
    };
    const err code = segments_take(&recovery);
    buf_deinit(&recovery.reading);
    buf_deinit(&recovery.frame);
    memory_free(recovery.firsts);
    if (code != OK)
        segment_close(&end->segment);
    return code;
}
