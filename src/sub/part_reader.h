/* part_reader — what was written in parts (struct update_part), read again without putting it into one piece. */
#pragma once

#include "sub/subs.h"

struct part_reader {
    const struct update_part *parts;
    uint32_t count, next;
    struct reader bytes; /* what is left of the part before the next */
};

static inline struct part_reader part_reader_of(const struct update_part *parts, uint32_t count)
{
    return (struct part_reader){ .parts = parts, .count = count };
}

/* The inline bytes that it stands at; none where a shared part comes next, or the end. */
struct reader *part_reader_bytes(struct part_reader *reader);
/* Moves over the shared part that comes next, and tells its place. */
uint32_t part_reader_take_shared(struct part_reader *reader);
bool part_reader_is_done(const struct part_reader *reader); /* having read all, and not beyond */
