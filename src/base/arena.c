/* Blocks in a chain. They double from one to the next, so that there are few. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

enum { ARENA_ALIGNMENT = 16, ARENA_BLOCK_MIN = 4096, ARENA_BLOCK_MAX = 1 << 20 };

struct arena_block {
    struct arena_block *older; /* owned */
    size_t capacity;           /* bytes of `data` */
    _Alignas(16) uint8_t data[];
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){ 0 };
}

static void blocks_free(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *older = block->older;
        memory_free(block);
        block = older;
    }
}

void arena_deinit(struct arena *arena)
{
    blocks_free(arena->block);
    arena_init(arena);
}

void arena_reset(struct arena *arena)
{
    arena->used = 0;
    if (arena->block == NULL)
        return;
    blocks_free(arena->block->older);
    arena->block->older = NULL;
}

/* Blocks double up to ARENA_BLOCK_MAX; a single larger thing gets a block of its own size. */
static void block_add(struct arena *arena, size_t size)
{
    size_t capacity = arena->block != NULL ? arena->block->capacity * 2 : ARENA_BLOCK_MIN;
    if (capacity > ARENA_BLOCK_MAX)
        capacity = ARENA_BLOCK_MAX;
    if (capacity < size)
        capacity = size;

    check(capacity <= SIZE_MAX - sizeof(struct arena_block));
    struct arena_block *block = memory_resize(NULL, sizeof *block + capacity);
    block->older = arena->block;
    block->capacity = capacity;
    arena->block = block;
    arena->used = 0;
}

void *arena_take(struct arena *arena, size_t size)
{
    check(size <= SIZE_MAX - ARENA_ALIGNMENT);
    const size_t rounded = (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    if (arena->block == NULL || arena->block->capacity - arena->used < rounded)
        block_add(arena, rounded);

    uint8_t *taken = arena->block->data + arena->used;
    arena->used += rounded;
    memset(taken, 0, rounded);
    return taken;
}

bytes arena_copy(struct arena *arena, bytes from)
{
    uint8_t *copy = arena_take(arena, from.size);
    if (from.size > 0)
        memcpy(copy, from.at, from.size);
    return bytes_of(copy, from.size);
}

bytes arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);

    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    check(length >= 0);
    char *text = arena_take(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return bytes_of(text, (size_t)length);
}
