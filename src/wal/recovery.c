/* What stands in the files is either whole, or the torn tail of the very last write, or a reason to stop.
 * Telling the second from the third is the point of this file (W1). */
#include "wal/recovery.h"

#include "wal/walk.h"

#include <inttypes.h>
#include <stdio.h>

struct recovery {
    const struct wal_options *options;
    err (*replay)(void *context, uint64_t offset, bytes record, struct diag *diag);
    void *context;
    struct recovery_end *end;
    struct wal_report *report;
    struct diag *diag;
    struct walk walk;
};

/* It is end_settle() that cuts, after everything else was found good. */
static err tail_report(struct recovery *recovery)
{
    const struct segment *segment = &recovery->walk.segment;
    struct wal_report *report = recovery->report;
    report->tail_cut = true;
    snprintf(report->tail_text, sizeof report->tail_text,
             "%020" PRIu64 ".wal: an unfinished write was cut: %" PRIu64 " bytes from byte %" PRIu64
             ", where record %" PRIu64 " would begin",
             segment->first_offset, segment->size - segment->position, segment->position, recovery->walk.next_offset);
    return OK;
}

/* Torn, or damaged? Three things prove that a frame was acknowledged: a later segment, a later frame (W1), and a
 * snapshot, which is never ahead of the durable log. And one proves that it was not torn (W6). */
static err frame_broken(struct recovery *recovery, bool is_last)
{
    struct walk *walk = &recovery->walk;
    if (!is_last)
        return walk_refuse(walk, "the log goes on in a later segment", recovery->diag);

    uint64_t proof;
    bool is_flipped;
    char why[80];
    TRY(walk_find_proof(walk, &proof, recovery->diag));
    TRY(walk_is_flipped(walk, &is_flipped, recovery->diag));
    if (proof > 0)
        snprintf(why, sizeof why, "a later frame stands at byte %" PRIu64, proof);
    else if (walk->next_offset < recovery->options->from)
        snprintf(why, sizeof why, "the snapshot is at record %" PRIu64, recovery->options->from);
    else if (is_flipped)
        snprintf(why, sizeof why, "it was written whole, and one bit of it has turned"); /* W6 */
    else
        return tail_report(recovery);
    return walk_refuse(walk, why, recovery->diag);
}

static err records_replay(struct recovery *recovery)
{
    const struct frame_header *header = &recovery->walk.header;
    struct reader reader = walk_records(&recovery->walk);
    for (uint32_t idx = 0; idx < header->record_count; idx++) {
        const bytes record = reader_get_sized(&reader);
        const uint64_t offset = header->first_offset + idx;
        if (offset < recovery->options->from)
            continue;
        TRY(recovery->replay(recovery->context, offset, record, recovery->diag));
        recovery->report->record_count++;
    }
    recovery->report->byte_count += frame_span(header->size);
    return OK;
}

static err segment_take(struct recovery *recovery, uint64_t first_offset, bool is_last)
{
    struct walk *walk = &recovery->walk;
    enum walk_found found;
    TRY(walk_enter(walk, first_offset, is_last, recovery->diag));
    for (;;) {
        TRY(walk_next(walk, &found, recovery->diag));
        if (found != WALK_FRAME)
            return found == WALK_END ? OK : frame_broken(recovery, is_last);
        TRY(records_replay(recovery));
    }
}

/* What comes before the segments may have been retired, but nothing that is needed. */
static err begins_too_late(const struct recovery *recovery)
{
    const struct wal_options *options = recovery->options;
    const uint64_t first_offset = recovery->end->folder.firsts[0];
    return diag_set(recovery->diag, ERR_CORRUPT,
                    "%s/%020" PRIu64 ".wal: the log begins at offset %" PRIu64 ", but record %" PRIu64
                    " is needed: a segment before it is missing; nothing was changed",
                    options->dir, first_offset, first_offset, options->from);
}

static err segments_take(struct recovery *recovery)
{
    const struct wal_options *options = recovery->options;
    const struct folder *folder = &recovery->end->folder;
    size_t idx = 0;
    if (folder->count > 0 && !folder_find(folder, options->from, &idx))
        return begins_too_late(recovery);
    if (folder->count > 0)
        TRY(walk_choose(&recovery->walk, folder, options->from, &idx, recovery->diag));
    for (; idx < folder->count; idx++)
        TRY(segment_take(recovery, folder->firsts[idx], idx + 1 == folder->count));
    if (recovery->walk.next_offset < options->from)
        return diag_set(recovery->diag, ERR_CORRUPT,
                        "%s: the log ends at offset %" PRIu64 ", the snapshot is at %" PRIu64
                        ": records are missing; nothing was changed",
                        options->dir, recovery->walk.next_offset, options->from);
    return OK;
}

/* Nothing stands in the last segment: it is made anew, and its chain vouches for the frame before. Its salt stays:
 * the torn frame that is being cut may come back with the next power cut. */
static err header_settle(struct recovery *recovery)
{
    const struct wal_options *options = recovery->options;
    struct walk *walk = &recovery->walk;
    struct segment_header header = { SEGMENT_VERSION, { 0 }, walk->next_offset, walk->chain, walk->segment.salt };
    memcpy(header.database_id, options->database_id, sizeof header.database_id);
    segment_close(&walk->segment);
    return segment_create(&walk->segment, options->disk, options->dir, &header, options->segment_size, recovery->diag);
}

static err frame_settle(struct recovery *recovery)
{
    const struct disk *disk = recovery->options->disk;
    const struct folder *folder = &recovery->end->folder;
    const struct walk *walk = &recovery->walk;
    TRY(disk->write_at(disk->self, walk->segment.file, walk->frame_position, walk->frame.data, walk->frame.size,
                       recovery->diag));
    TRY(disk->dir_sync(disk->self, recovery->options->dir, recovery->diag));
    if (folder->newest_known && folder->newest == walk->segment.first_offset)
        return OK;
    return folder_set_newest(disk, recovery->options->dir, walk->segment.first_offset, recovery->diag);
}

/* Zeros from the end of the log to the end of the file. They take no room that the file does not have. */
static err rest_settle(struct recovery *recovery)
{
    static const uint8_t zeros[1 << 16];
    struct segment *segment = &recovery->walk.segment;
    const struct disk *disk = segment->disk;
    for (uint64_t at = segment->position; at < segment->size; at += sizeof zeros) {
        const uint64_t left = segment->size - at;
        const size_t size = left < sizeof zeros ? (size_t)left : sizeof zeros;
        TRY(disk->write_at(disk->self, segment->file, at, zeros, size, recovery->diag));
    }
    segment->zeroed = segment->size;
    return disk->sync(disk->self, segment->file, recovery->diag);
}

/* The end of the log may have been read from memory that never got to the disk: the process before this one
 * was killed between write and sync, or its sync failed, after which the kernel takes the pages for clean
 * (D3). So the last write is repeated, byte for byte, and so are the zeros behind it, over a torn tail or over
 * what looks like zeros already, and all is synced before anything counts on it. */
static err end_settle(struct recovery *recovery)
{
    TRY(recovery->walk.frame_position > 0 ? frame_settle(recovery) : header_settle(recovery));
    return rest_settle(recovery);
}

static err log_read(struct recovery *recovery)
{
    const struct wal_options *options = recovery->options;
    const struct disk *disk = options->disk;
    TRY(disk->make_dir(disk->self, options->dir, recovery->diag));
    TRY(folder_read(&recovery->end->folder, disk, options->dir, recovery->diag));
    TRY(segments_take(recovery));
    return end_settle(recovery);
}

err recovery_run(const struct wal_options *options,
                 err (*replay)(void *context, uint64_t offset, bytes record, struct diag *diag), void *context,
                 struct recovery_end *end, struct wal_report *report, struct diag *diag)
{
    *end = (struct recovery_end){ 0 };
    *report = (struct wal_report){ 0 };
    struct recovery recovery = {
        .options = options, .replay = replay, .context = context, .end = end, .report = report, .diag = diag
    };
    struct walk *walk = &recovery.walk;
    walk_init(walk, options->disk, options->dir, options->database_id);
    const err code = log_read(&recovery);
    if (code == OK) {
        end->segment = walk->segment;
        end->next_offset = walk->next_offset;
        end->chain = walk->chain;
        end->marked = walk->frame_position == 0 || walk->header.record_count == 0;
        walk->segment = (struct segment){ 0 };
    } else {
        folder_free(&end->folder);
    }
    walk_deinit(walk);
    return code;
}
