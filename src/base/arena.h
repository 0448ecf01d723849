/* arena — memory that dies all at once.
 *
 * A parser, a schema or a plan makes hundreds of small things with one lifetime. An arena hands them
 * out by moving a pointer and frees them together. Nothing is freed singly. */
#pragma once

#include "base/base.h"

struct arena_block;

struct arena {
    struct arena_block *block; /* owned: newest first */
    size_t used;               /* bytes taken from the newest block */
};

void arena_init(struct arena *arena);
void arena_deinit(struct arena *arena);

/* Forgets all that was handed out and keeps the newest block for the next use. */
void arena_reset(struct arena *arena);

/* Zeroed, aligned to 16. */
void *arena_take(struct arena *arena, size_t size);
bytes arena_copy(struct arena *arena, bytes from);
/* A terminated copy; `size` does not count the terminator. */
bytes arena_format(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);

#define ARENA_NEW(arena, type) ((type *)arena_take(arena, sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_take(arena, sizeof(type) * (count)))
