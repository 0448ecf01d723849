#include "wal/walk.h"

#include "base/hash.h"
#include "wal/flip.h"

#include <inttypes.h>

enum { CHUNK_SIZE = 1 << 20, UNREADABLE_STEP = 4096 };

void walk_init(struct walk *walk, const struct disk *disk, const char *dir, const uint8_t database_id[16])
{
    *walk = (struct walk){
        .disk = disk,
        .dir = dir,
        .database_id = database_id,
        .chain_known = true,
    };
}

void walk_deinit(struct walk *walk)
{
    segment_close(&walk->segment);
    buf_deinit(&walk->frame);
    buf_deinit(&walk->reading);
}

err walk_refuse(const struct walk *walk, const char *why, struct diag *diag)
{
    return diag_set(diag, ERR_CORRUPT,
                    "%s: the frame at byte %" PRIu64 " (record %" PRIu64 ") is damaged: %s; nothing was changed",
                    walk->segment.path, walk->segment.position, walk->next_offset, why);
}

static err refuse_header(const struct walk *walk, const char *why, struct diag *diag)
{
    return diag_set(diag, ERR_CORRUPT,
                    "%s: the segment header at byte 0 is refused: %s (record %" PRIu64
                    " is expected next); nothing was changed",
                    walk->segment.path, why, walk->next_offset);
}

/* A read that must be complete: the size of the file was asked for, so that less is a damaged disk. */
static err bytes_read(const struct walk *walk, uint64_t position, void *out, size_t size, struct diag *diag)
{
    const struct segment *segment = &walk->segment;
    size_t done = 0;
    TRY(segment->disk->read_at(segment->disk->self, segment->file, position, out, size, &done, diag));
    if (done < size)
        return diag_set(diag, ERR_DISK, "%s: the disk ends at byte %" PRIu64 ", before the file's size", segment->path,
                        position + done);
    return OK;
}

static bool is_zero(const uint8_t *at, size_t size)
{
    return size == 0 || (at[0] == 0 && memcmp(at, at + 1, size - 1) == 0);
}

/* Room for what is left from `position` on, or for a part of it. */
static uint8_t *chunk_new(const struct walk *walk, uint64_t position)
{
    const uint64_t left = walk->segment.size > position ? walk->segment.size - position : 1;
    return memory_resize(NULL, left < CHUNK_SIZE ? (size_t)left : CHUNK_SIZE);
}

/* Looks from `position` to the end of the file for anything that is not zero. */
static err rest_is_zero(const struct walk *walk, uint64_t position, bool *zero, struct diag *diag)
{
    uint8_t *chunk = chunk_new(walk, position);
    const uint64_t end = walk->segment.size;
    err code = OK;
    *zero = true;
    while (code == OK && *zero && position < end) {
        const size_t size = end - position < CHUNK_SIZE ? (size_t)(end - position) : CHUNK_SIZE;
        code = bytes_read(walk, position, chunk, size, diag);
        *zero = code == OK && is_zero(chunk, size);
        position += size;
    }
    memory_free(chunk);
    return code;
}

/* A whole header is proof enough: it is written only after the frame before is synced (W1), so that the
 * body behind it need not be read. Offset and salt tell it from bytes that merely look like a frame; 0 is no
 * segment's salt: its header is damaged, and any will do. */
static size_t header_find(const uint8_t *chunk, size_t size, uint32_t salt, uint64_t offset_min)
{
    struct frame_header header;
    for (size_t at = 0; at + FRAME_HEADER_SIZE <= size; at += FRAME_ALIGNMENT) {
        if (frame_header_read(chunk + at, &header) && (salt == 0 || header.salt == salt) &&
            header.first_offset >= offset_min)
            return at;
    }
    return size;
}

/* Tries every place from `position` on where a frame may begin. */
static err frame_find(const struct walk *walk, uint64_t position, uint64_t *found, struct diag *diag)
{
    uint8_t *chunk = chunk_new(walk, position);
    const uint64_t end = walk->segment.size;
    err code = OK;
    *found = 0;
    while (code == OK && *found == 0 && position < end && end - position >= FRAME_HEADER_SIZE) {
        const size_t size = end - position < CHUNK_SIZE ? (size_t)(end - position) : CHUNK_SIZE;
        code = bytes_read(walk, position, chunk, size, diag);
        const size_t at = code == OK ? header_find(chunk, size, walk->segment.salt, walk->next_offset) : size;
        if (at < size)
            *found = position + at;
        position += CHUNK_SIZE - FRAME_HEADER_SIZE + FRAME_ALIGNMENT; /* a header may lie across two chunks */
    }
    memory_free(chunk);
    return code;
}

/* The bytes between this frame and the end of its segment; none when the segment is not longer. */
static uint64_t bytes_left(const struct walk *walk)
{
    const struct segment *segment = &walk->segment;
    return segment->size > segment->position ? segment->size - segment->position : 0;
}

/* The header of the frame at hand, when it stands there. */
static err header_try(const struct walk *walk, struct frame_header *header, bool *present, struct diag *diag)
{
    uint8_t start[FRAME_HEADER_SIZE];
    *present = false;
    if (bytes_left(walk) < sizeof start)
        return OK;
    TRY(bytes_read(walk, walk->segment.position, start, sizeof start, diag));
    *present = frame_header_read(start, header);
    return OK;
}

/* A good header says where the next frame begins: then nothing inside the body can be taken for one, which a
 * record may hold on purpose. */
err walk_find_proof(struct walk *walk, uint64_t *proof, struct diag *diag)
{
    struct frame_header header;
    bool present;
    TRY(header_try(walk, &header, &present, diag));
    const uint64_t span = present ? frame_span(header.size) : FRAME_ALIGNMENT;
    return frame_find(walk, walk->segment.position + span, proof, diag);
}

struct reader walk_records(const struct walk *walk)
{
    return reader_of(bytes_of(walk->frame.data + FRAME_HEADER_SIZE, walk->header.size));
}

/* The body must be its records and nothing else, so that reading them later cannot fail. */
static err records_verify(const struct walk *walk, bytes body, uint32_t count, struct diag *diag)
{
    struct reader reader = reader_of(body);
    for (uint32_t idx = 0; idx < count && !reader.failed; idx++)
        (void)reader_get_sized(&reader);
    if (reader.failed)
        return walk_refuse(walk, "its records are longer than its body", diag);
    return reader_left(&reader) == 0 ? OK : walk_refuse(walk, "its body is longer than its records", diag);
}

/* The zeros behind the body belong to no checksum. A torn write leaves zeros there as well, since the space
 * was zeros before; anything else is damage. */
static err padding_verify(const struct walk *walk, uint64_t position, uint64_t end, struct diag *diag)
{
    uint8_t padding[FRAME_ALIGNMENT];
    if (end > walk->segment.size)
        end = walk->segment.size;
    if (position >= end)
        return OK;
    const size_t size = (size_t)(end - position);
    TRY(bytes_read(walk, position, padding, size, diag));
    return is_zero(padding, size) ? OK : walk_refuse(walk, "the bytes behind it are not zero", diag);
}

/* Header and sum are good: the frame must continue what was before (W4), then its records count. */
static err frame_accept(struct walk *walk, const struct frame_header *header, struct diag *diag)
{
    struct segment *segment = &walk->segment;
    if (header->salt != segment->salt)
        return walk_refuse(walk, "it belongs to another log", diag);
    if (walk->is_lost ? header->first_offset < walk->next_offset
                      : header->first_offset != walk->next_offset || header->chain != walk->chain)
        return walk_refuse(walk, "it does not continue the frame before", diag);
    if (header->first_offset > UINT64_MAX - header->record_count)
        return walk_refuse(walk, "its offset is out of range", diag);
    const uint64_t body_end = segment->position + FRAME_HEADER_SIZE + header->size;
    if (!walk->is_lost)
        TRY(padding_verify(walk, body_end, segment->position + frame_span(header->size), diag));
    const bytes body = bytes_of(walk->reading.data + FRAME_HEADER_SIZE, header->size);
    TRY(records_verify(walk, body, header->record_count, diag));

    walk->is_lost = false;
    walk->next_offset = header->first_offset;
    const struct buf older = walk->frame;
    walk->frame = walk->reading;
    walk->reading = older;
    walk->header = *header;
    walk->frame_position = segment->position;
    segment->position += frame_span(header->size);
    walk->next_offset += header->record_count;
    walk->chain = header->checksum;
    return OK;
}

/* Reads header and body of the frame at hand. The size is bounded by the file, so that a header cannot ask for
 * more memory than there are bytes. */
static err frame_read(struct walk *walk, const struct frame_header *header, bool *whole, struct diag *diag)
{
    const size_t size = FRAME_HEADER_SIZE + (size_t)header->size;
    *whole = size <= bytes_left(walk);
    if (!*whole)
        return OK;
    buf_clear(&walk->reading);
    uint8_t *at = buf_extend(&walk->reading, size);
    TRY(bytes_read(walk, walk->segment.position, at, size, diag));
    struct frame_header again;
    *whole = frame_header_read(at, &again) && again.checksum == header->checksum &&
             crc32c(0, at + FRAME_HEADER_SIZE, header->size) == header->body_sum;
    return OK;
}

static err frame_find_readable(const struct walk *walk, uint64_t position, uint64_t *found, struct diag *diag)
{
    while (frame_find(walk, position, found, diag) != OK) {
        if (diag->code != ERR_DISK)
            return diag->code;
        position = (position / UNREADABLE_STEP + 1) * UNREADABLE_STEP;
    }
    return OK;
}

/* A frame that is whole and refused for where it stands is taken when the walk is lost; else the search goes on
 * behind it. */
static bool is_misplaced(struct walk *walk)
{
    struct frame_header header;
    struct diag ignored;
    bool present, whole;
    return !walk->is_lost && header_try(walk, &header, &present, &ignored) == OK && present &&
           header.salt == walk->segment.salt && header.first_offset >= walk->next_offset &&
           frame_read(walk, &header, &whole, &ignored) == OK && whole;
}

err walk_skip(struct walk *walk, bool *found, struct diag *diag)
{
    struct frame_header header;
    struct diag ignored;
    bool present;
    uint64_t position = walk->segment.position;
    *found = true;
    if (!is_misplaced(walk)) {
        const bool has_size = header_try(walk, &header, &present, &ignored) == OK && present;
        position += has_size ? frame_span(header.size) : FRAME_ALIGNMENT;
        TRY(frame_find_readable(walk, position, &position, diag));
        *found = position > 0;
    }
    if (*found)
        walk->segment.position = position;
    walk->is_lost = true;
    return OK;
}

/* The header as it was written: as it stands there, or with one bit turned back. */
static err header_repair(const struct walk *walk, struct frame_header *header, bool *is_flipped, bool *present,
                         struct diag *diag)
{
    uint8_t start[FRAME_HEADER_SIZE];
    *is_flipped = false;
    TRY(header_try(walk, header, present, diag));
    if (*present || bytes_left(walk) < sizeof start)
        return OK;
    TRY(bytes_read(walk, walk->segment.position, start, sizeof start, diag));
    *present = *is_flipped = flip_in_header(start, header);
    return OK;
}

err walk_is_flipped(struct walk *walk, bool *is_flipped, struct diag *diag)
{
    struct frame_header header = { 0 };
    bool present;
    TRY(header_repair(walk, &header, is_flipped, &present, diag));
    const uint64_t size = FRAME_HEADER_SIZE + (uint64_t)header.size;
    if (!present || header.record_count == 0 || header.salt != walk->segment.salt || size > bytes_left(walk)) {
        *is_flipped = false;
        return OK;
    }
    buf_clear(&walk->reading);
    uint8_t *at = buf_extend(&walk->reading, (size_t)size);
    TRY(bytes_read(walk, walk->segment.position, at, (size_t)size, diag));
    const bytes body = bytes_of(at + FRAME_HEADER_SIZE, header.size);
    const bool is_whole = crc32c(0, body.at, body.size) == header.body_sum;
    *is_flipped = *is_flipped ? is_whole : !is_whole && flip_in_body(body, header.body_sum);
    return OK;
}

err walk_next(struct walk *walk, enum walk_found *found, struct diag *diag)
{
    struct frame_header header;
    bool present, whole;
    *found = WALK_BROKEN;
    TRY(header_try(walk, &header, &present, diag));
    if (!present) {
        bool zero;
        TRY(rest_is_zero(walk, walk->segment.position, &zero, diag));
        *found = zero ? WALK_END : WALK_BROKEN;
        return OK;
    }
    TRY(frame_read(walk, &header, &whole, diag));
    if (!whole)
        return OK;
    TRY(frame_accept(walk, &header, diag));
    *found = WALK_FRAME;
    return OK;
}

static err header_verify(const struct walk *walk, const struct segment_header *header, struct diag *diag)
{
    if (header->version > SEGMENT_VERSION)
        return diag_set(diag, ERR_NEWER_FORMAT,
                        "%s: the log is written in format %u by a newer version; this one reads format %u",
                        walk->segment.path, header->version, SEGMENT_VERSION);
    if (header->version != SEGMENT_VERSION)
        return refuse_header(walk, "its format version does not exist", diag);
    if (memcmp(header->database_id, walk->database_id, sizeof header->database_id) != 0)
        return refuse_header(walk, "it belongs to another database", diag);
    if (header->first_offset != walk->segment.first_offset)
        return refuse_header(walk, "its first record is not the one in its name", diag);
    if (walk->chain_known && header->chain != walk->chain)
        return refuse_header(walk, "it does not continue the segment before", diag);
    return OK;
}

/* Without a header nobody vouches for the chain, unless the segment before was read. */
static err header_damaged(const struct walk *walk, bool is_last, struct diag *diag)
{
    bool zero;
    if (!is_last || !walk->chain_known)
        return refuse_header(walk, "its checksum is wrong", diag);
    TRY(rest_is_zero(walk, SEGMENT_HEADER_SIZE, &zero, diag));
    return zero ? OK : refuse_header(walk, "its checksum is wrong", diag);
}

err walk_enter(struct walk *walk, uint64_t first_offset, bool is_last, struct diag *diag)
{
    segment_close(&walk->segment);
    walk->frame_position = 0;
    walk->header_known = false;
    TRY(segment_open(&walk->segment, walk->disk, walk->dir, first_offset, false, diag));
    if (first_offset != walk->next_offset)
        return refuse_header(walk, "a segment before it is missing, or it is a stranger", diag); /* W4 */

    struct segment_header header;
    bool present;
    TRY(segment_read_header(&walk->segment, &header, &present, diag));
    if (!present)
        return header_damaged(walk, is_last, diag);
    TRY(header_verify(walk, &header, diag));
    walk->header_known = true;
    walk->segment.salt = header.salt;
    walk->chain = header.chain;
    walk->chain_known = true;
    return OK;
}

/* Without its header nobody says the salt; then the first frame that is whole does. */
static err salt_find(struct walk *walk, struct diag *diag)
{
    struct frame_header header;
    uint64_t found;
    bool present;
    TRY(frame_find_readable(walk, SEGMENT_HEADER_SIZE, &found, diag));
    if (found == 0)
        return OK;
    walk->segment.position = found;
    TRY(header_try(walk, &header, &present, diag));
    walk->segment.salt = header.salt;
    return OK;
}

err walk_enter_damaged(struct walk *walk, uint64_t first_offset, bool *usable, struct diag *diag)
{
    struct segment_header header;
    bool present;
    segment_close(&walk->segment);
    walk->frame_position = 0;
    *usable = false;
    TRY(segment_open(&walk->segment, walk->disk, walk->dir, first_offset, false, diag));
    TRY(segment_read_header(&walk->segment, &header, &present, diag));
    if (present && (header.version != SEGMENT_VERSION ||
                    memcmp(header.database_id, walk->database_id, sizeof header.database_id) != 0))
        return OK;
    walk->segment.salt = present ? header.salt : 0;
    if (!present)
        TRY(salt_find(walk, diag));
    walk->header_known = walk->chain_known = walk->is_lost = *usable = true;
    return OK;
}

static err header_look(const struct walk *walk, uint64_t first_offset, bool *present, struct diag *diag)
{
    struct segment segment;
    struct segment_header header;
    TRY(segment_open(&segment, walk->disk, walk->dir, first_offset, false, diag));
    const err code = segment_read_header(&segment, &header, present, diag);
    segment_close(&segment);
    return code;
}

/* The last segment may have lost its header to a power cut; then the one before says how the chain goes on. */
err walk_choose(struct walk *walk, const struct folder *folder, uint64_t offset, size_t *idx, struct diag *diag)
{
    check(folder_find(folder, offset, idx));
    if (*idx > 0 && *idx + 1 == folder->count) {
        bool present;
        TRY(header_look(walk, folder->firsts[*idx], &present, diag));
        *idx -= present ? 0 : 1;
    }
    walk->next_offset = folder->firsts[*idx];
    walk->chain = 0;
    walk->chain_known = walk->next_offset == 0;
    return OK;
}
