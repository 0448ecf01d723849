#include "wal/reader.h"

#include "wal/folder.h"
#include "wal/walk.h"

#include <inttypes.h>

struct wal_reader {
    struct walk walk;
    char *dir; /* owned: walk.dir */
    uint8_t database_id[16];
    uint64_t limit;
    struct reader records; /* of the frame at hand, from the next one on */
    uint64_t offset;       /* of the next record */
    bool reads_on;         /* R5: what the folder should have is not asked any more */
    bool entered_damaged;  /* the segment at hand has been refused once */
};

err wal_reader_oldest(const struct disk *disk, const char *dir, uint64_t *offset, struct diag *diag)
{
    struct folder folder;
    TRY(folder_read(&folder, disk, dir, diag));
    *offset = folder.count > 0 ? folder.firsts[0] : 0;
    folder_free(&folder);
    return OK;
}

err wal_reader_segments(const struct disk *disk, const char *dir, struct buf *firsts, struct diag *diag)
{
    struct folder folder;
    TRY(folder_read(&folder, disk, dir, diag));
    buf_put(firsts, folder.firsts, folder.count * sizeof *folder.firsts);
    folder_free(&folder);
    return OK;
}

static err begins_later(uint64_t first_offset, struct diag *diag)
{
    return diag_set(diag, ERR_NOT_FOUND, "the log begins at offset %" PRIu64, first_offset);
}

/* A segment may be in the making when it is looked at: what is refused then is looked at once more, and what had
 * no header yet is entered again by frame_take(). */
static err segment_enter(struct wal_reader *reader, uint64_t first_offset, bool is_last, struct diag *diag)
{
    reader->entered_damaged = false;
    const err code = walk_enter(&reader->walk, first_offset, is_last, diag);
    return code == ERR_CORRUPT ? walk_enter(&reader->walk, first_offset, is_last, diag) : code;
}

/* As walk_next(); a frame that is found is at hand. */
static err frame_try(struct wal_reader *reader, enum walk_found *found, struct diag *diag)
{
    TRY(walk_next(&reader->walk, found, diag));
    if (*found == WALK_FRAME) {
        reader->records = walk_records(&reader->walk);
        reader->offset = reader->walk.header.first_offset;
    }
    return OK;
}

/* This segment is read to its end, or to something broken, and others are there. */
static err goes_on(struct wal_reader *reader, const struct folder *folder, enum walk_found found, struct diag *diag)
{
    struct walk *walk = &reader->walk;
    size_t idx;
    if (found == WALK_BROKEN)
        return walk_refuse(walk, "the log goes on in a later segment", diag);
    if (!folder_find(folder, reader->reads_on ? walk->segment.first_offset : walk->next_offset, &idx))
        return begins_later(folder->firsts[0], diag); /* R4 */
    if (folder->firsts[idx] <= walk->segment.first_offset)
        idx++; /* not the one it should be: that is for walk_enter() to refuse */
    return segment_enter(reader, folder->firsts[idx], idx + 1 == folder->count, diag);
}

/* The last segment is read to its end or to something broken. *more is true when the log has gone on meanwhile. */
static err ends_here(struct wal_reader *reader, enum walk_found found, bool *more, struct diag *diag)
{
    struct walk *walk = &reader->walk;
    uint64_t proof = 0;
    if (found == WALK_BROKEN)
        TRY(walk_find_proof(walk, &proof, diag));
    if (proof > 0) { /* the frame may have been on its way to the disk when it was read */
        TRY(frame_try(reader, &found, diag));
        *more = found == WALK_FRAME;
        return *more ? OK : walk_refuse(walk, "a later frame stands behind it", diag);
    }
    bool is_flipped = false;
    if (found == WALK_BROKEN)
        TRY(walk_is_flipped(walk, &is_flipped, diag));
    if (is_flipped)
        return walk_refuse(walk, "it was written whole, and one bit of it has turned", diag);
    if (reader->limit != WAL_NO_LIMIT) /* R2 */
        return walk_refuse(walk, "records that were acknowledged are missing from here on", diag);
    return OK; /* R3 */
}

static err folder_look(const struct wal_reader *reader, struct folder *folder, struct diag *diag)
{
    const struct walk *walk = &reader->walk;
    return reader->reads_on ? folder_list(folder, walk->disk, walk->dir, diag)
                            : folder_read(folder, walk->disk, walk->dir, diag);
}

/* No whole frame was found. What looks so in a log that is being written may be the past already: so the names
 * of the files are read, and then the place is looked at once more. */
static err frame_retry(struct wal_reader *reader, bool *more, struct diag *diag)
{
    struct walk *walk = &reader->walk;
    struct folder folder;
    enum walk_found found;
    TRY(folder_look(reader, &folder, diag));
    err code = segment_measure(&walk->segment, diag);
    if (code == OK)
        code = frame_try(reader, &found, diag);
    if (code == OK && found == WALK_FRAME) {
        *more = true;
    } else if (code == OK && folder.count > 0 && folder.firsts[folder.count - 1] > walk->segment.first_offset) {
        code = goes_on(reader, &folder, found, diag);
        *more = code == OK;
    } else if (code == OK) {
        code = ends_here(reader, found, more, diag);
    }
    folder_free(&folder);
    return code;
}

/* A segment that still has no header has no frames either. It may get both while this is being said, and frames mean
 * nothing before the header says whose they are. */
static err header_wait(struct wal_reader *reader, bool *more, struct diag *diag)
{
    const uint64_t first_offset = reader->walk.segment.first_offset;
    struct folder folder;
    TRY(folder_look(reader, &folder, diag));
    const bool is_last = folder.count == 0 || folder.firsts[folder.count - 1] <= first_offset;
    folder_free(&folder);
    TRY(segment_enter(reader, first_offset, is_last, diag));
    *more = reader->walk.header_known;
    return *more ? OK : ends_here(reader, WALK_END, more, diag);
}

/* Takes the next frame, or enters the next segment; *more is false at the end of the log. */
static err frame_take(struct wal_reader *reader, bool *more, struct diag *diag)
{
    enum walk_found found;
    if (!reader->walk.header_known)
        return header_wait(reader, more, diag);
    TRY(frame_try(reader, &found, diag));
    *more = found == WALK_FRAME;
    return *more ? OK : frame_retry(reader, more, diag);
}

err wal_reader_next(struct wal_reader *reader, bool *found, uint64_t *offset, bytes *record, struct diag *diag)
{
    *found = false;
    while (reader->offset < reader->limit) { /* R1 */
        if (reader->offset < reader->walk.next_offset) {
            *found = true;
            *offset = reader->offset++;
            *record = reader_get_sized(&reader->records);
            return OK;
        }
        bool more;
        TRY(frame_take(reader, &more, diag));
        if (!more)
            return OK;
    }
    return OK;
}

/* Passes over the records before `from`. */
static err records_skip(struct wal_reader *reader, uint64_t from, struct diag *diag)
{
    uint64_t offset;
    bytes record;
    bool found = true;
    while (found && reader->offset < from)
        TRY(wal_reader_next(reader, &found, &offset, &record, diag));
    if (reader->offset < from)
        return diag_set(diag, ERR_NOT_FOUND, "the log ends at offset %" PRIu64, reader->offset);
    return OK;
}

static err segment_begin(struct wal_reader *reader, const struct folder *folder, uint64_t from, struct diag *diag)
{
    struct walk *walk = &reader->walk;
    size_t idx;
    if (folder->count == 0)
        return diag_set(diag, ERR_NOT_FOUND, "there is no log in %s", reader->dir);
    if (!folder_find(folder, from, &idx))
        return begins_later(folder->firsts[0], diag);
    TRY(walk_choose(walk, folder, from, &idx, diag));
    reader->offset = walk->next_offset;
    return segment_enter(reader, walk->next_offset, idx + 1 == folder->count, diag);
}

static struct wal_reader *reader_new(const struct disk *disk, const char *dir, const uint8_t database_id[16],
                                     uint64_t limit)
{
    struct wal_reader *made = memory_new(sizeof *made);
    made->dir = memory_copy(dir, strlen(dir) + 1);
    memcpy(made->database_id, database_id, sizeof made->database_id);
    made->limit = limit;
    walk_init(&made->walk, disk, made->dir, made->database_id);
    return made;
}

err wal_reader_open(struct wal_reader **reader, const struct disk *disk, const char *dir, const uint8_t database_id[16],
                    uint64_t from, uint64_t durable_limit, struct diag *diag)
{
    *reader = NULL;
    if (from > durable_limit)
        return diag_set(diag, ERR_NOT_FOUND, "the log ends at offset %" PRIu64, durable_limit);
    struct wal_reader *made = reader_new(disk, dir, database_id, durable_limit);
    struct folder folder;
    err code = folder_read(&folder, disk, dir, diag);
    if (code == OK)
        code = segment_begin(made, &folder, from, diag);
    folder_free(&folder);
    if (code == OK)
        code = records_skip(made, from, diag);
    if (code == OK)
        *reader = made;
    else
        wal_reader_close(made);
    return code;
}

uint64_t wal_reader_offset(const struct wal_reader *reader)
{
    return reader->offset;
}

const char *wal_reader_place(const struct wal_reader *reader, uint64_t *position)
{
    const struct walk *walk = &reader->walk;
    *position = reader->offset < walk->next_offset ? walk->frame_position : walk->segment.position;
    return walk->segment.path;
}

/* --- Behind damage (R5) --- */

err wal_reader_open_oldest(struct wal_reader **reader, const struct disk *disk, const char *dir,
                           const uint8_t database_id[16], struct diag *diag)
{
    struct folder folder;
    struct diag ignored;
    *reader = NULL;
    const err code = folder_read(&folder, disk, dir, diag);
    if (code != OK && folder_list(&folder, disk, dir, &ignored) != OK)
        return code;
    struct wal_reader *made = reader_new(disk, dir, database_id, WAL_NO_LIMIT);
    if (folder.count > 0)
        made->walk.next_offset = made->offset = folder.firsts[0];
    folder_free(&folder);
    made->walk.segment.first_offset = UINT64_MAX; /* none yet */
    made->reads_on = true;
    *reader = made;
    return code;
}

/* The segment behind the one at hand. What is missing before it, the offset of its first record tells. */
static err next_enter(struct wal_reader *reader, bool *found, struct diag *diag)
{
    struct walk *walk = &reader->walk;
    struct folder folder;
    TRY(folder_list(&folder, walk->disk, walk->dir, diag));
    size_t idx = 0;
    while (idx < folder.count && walk->segment.first_offset != UINT64_MAX &&
           folder.firsts[idx] <= walk->segment.first_offset)
        idx++;
    *found = idx < folder.count;
    err code = OK;
    if (*found) {
        walk->chain = 0;
        walk->chain_known = folder.firsts[idx] == 0;
        if (folder.firsts[idx] > walk->next_offset)
            walk->next_offset = folder.firsts[idx];
        code = segment_enter(reader, folder.firsts[idx], idx + 1 == folder.count, diag);
    }
    folder_free(&folder);
    return code;
}

static err refused_enter(struct wal_reader *reader, bool *found, struct diag *diag)
{
    reader->entered_damaged = true;
    return walk_enter_damaged(&reader->walk, reader->walk.segment.first_offset, found, diag);
}

err wal_reader_resume(struct wal_reader *reader, bool *found, struct diag *diag)
{
    struct walk *walk = &reader->walk;
    *found = false;
    reader->reads_on = true;
    if (walk->segment.file != NULL && walk->header_known)
        TRY(walk_skip(walk, found, diag));
    else if (walk->segment.file != NULL && !reader->entered_damaged)
        TRY(refused_enter(reader, found, diag));
    if (!*found)
        TRY(next_enter(reader, found, diag));
    reader->offset = walk->next_offset;
    return OK;
}

void wal_reader_set_limit(struct wal_reader *reader, uint64_t durable_limit)
{
    if (durable_limit > reader->limit)
        reader->limit = durable_limit;
}

void wal_reader_close(struct wal_reader *reader)
{
    if (reader == NULL)
        return;
    walk_deinit(&reader->walk);
    memory_free(reader->dir);
    memory_free(reader);
}
