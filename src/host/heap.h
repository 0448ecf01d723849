/* heap — the memory of one VM: counted, capped, and dropped as a whole.
 *
 *     region   | block 64 KiB | block | ...      reserved once, as large as the cap
 *     block    | head | item | item | ...        items of one size class
 *     large    | head | item                     beyond 16 KiB: a mapping of its own
 *
 * Lua says the size of what it gives back, so items carry no heads. What counts against the cap is blocks
 * and mappings in use: the memory that the process really has.
 *
 * Rules
 *   H1  What goes beyond the limit is remembered, and the VM is not used again. Some is still given, up to the
 *       cap, an eighth above: so a call comes to a place where it can be ended in order.
 *   H2  heap_deinit() needs nothing of what Lua left behind, so a VM may be left in any state. */
#pragma once

#include "base/base.h"

enum { HEAP_BLOCK_SIZE = 65536, HEAP_CLASS_COUNT = 40, HEAP_SMALL_MAX = 16384 };

struct heap_block;
struct heap_large;

struct heap {
    uint8_t *mapping;   /* owned */
    size_t mapping_size;
    uint8_t *next;      /* the first block never used, and the region's end */
    uint8_t *end;
    struct heap_block *free;                       /* blocks used before, empty now */
    struct heap_block *with_room[HEAP_CLASS_COUNT]; /* blocks that have a free item */
    struct heap_large *large;                      /* owned */
    size_t used;        /* H1 */
    size_t limit;
    size_t cap;
    bool exceeded;      /* H1 */
};

/* False when the address space cannot be had. */
bool heap_init(struct heap *heap, size_t limit);
void heap_deinit(struct heap *heap);

/* What lua_newstate() wants, without its context: NULL when H1 says no. */
void *heap_resize(struct heap *heap, void *memory, size_t old_size, size_t new_size);
