/* walk — the log's frames one after another, none believed before it is verified.
 *
 * It reads and judges, and changes nothing. What to do about a frame that is not whole is for those who walk:
 * recovery.c may cut a torn tail, reader.c only reports. Memory for two frames. */
#pragma once

#include "base/buf.h"
#include "wal/folder.h"
#include "wal/segment.h"

struct walk {
    const struct disk *disk;
    const char *dir;
    const uint8_t *database_id; /* 16 bytes */
    struct segment segment;     /* owned: the one at hand; `position` is that of the next frame */
    uint64_t next_offset;       /* of the record that must come next */
    uint32_t chain;             /* checksum of the frame before */
    bool chain_known;           /* false until a segment's header has said it */
    bool header_known;          /* the segment at hand has one */
    struct frame_header header; /* of the last whole frame */
    struct buf frame;           /* that frame: header and body */
    uint64_t frame_position;    /* where it stands in the segment; 0: the segment has none yet */
    struct buf reading;
    bool is_lost; /* after a skip: the next frame is taken wherever it belongs, if only it is later */
};

enum walk_found {
    WALK_FRAME,  /* whole: it is in `header` and `frame`, and the walk stands behind it */
    WALK_END,    /* nothing but zeros from here to the end of the segment */
    WALK_BROKEN, /* something that is not a whole frame */
};

/* Stands before the record at 0, where the chain begins. */
void walk_init(struct walk *walk, const struct disk *disk, const char *dir, const uint8_t database_id[16]);
void walk_deinit(struct walk *walk);

/* Stands before the segment that must be read first to get to the record at `offset`, which no segment may begin
 * behind. Its header will say what came before it. */
err walk_choose(struct walk *walk, const struct folder *folder, uint64_t offset, size_t *idx, struct diag *diag);

/* Goes into the segment that begins with `first_offset` and verifies its header. Only the last may be without
 * one: its header did not get to the disk, and neither did any frame. */
err walk_enter(struct walk *walk, uint64_t first_offset, bool is_last, struct diag *diag);
/* The next frame of this segment. After WALK_FRAME all of it is verified, its place in the chain too. */
err walk_next(struct walk *walk, enum walk_found *found, struct diag *diag);
/* After WALK_BROKEN: looks for a frame behind the broken one, which proves that the broken one was acknowledged
 * (W1). *proof is its place, 0 when there is none. */
err walk_find_proof(struct walk *walk, uint64_t *proof, struct diag *diag);
/* After WALK_BROKEN: whether the broken frame was whole once, with records in it, and one bit of it has turned since. */
err walk_is_flipped(struct walk *walk, bool *is_flipped, struct diag *diag);

/* For those who go on after damage: the records that come then do not follow those before.
 *
 * After walk_next() has failed or found something broken: stands before the next frame that may be whole, further
 * on in the segment; *found is false when there is none. Parts that cannot be read are passed over. */
err walk_skip(struct walk *walk, bool *found, struct diag *diag);
/* After walk_enter() has refused a segment: goes into it all the same. Not into another database's or a newer
 * format's: *usable is false then. */
err walk_enter_damaged(struct walk *walk, uint64_t first_offset, bool *usable, struct diag *diag);

/* The records of the last whole frame. */
struct reader walk_records(const struct walk *walk);

/* ERR_CORRUPT for the place the walk stands at. */
err walk_refuse(const struct walk *walk, const char *why, struct diag *diag);
