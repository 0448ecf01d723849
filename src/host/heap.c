#include "host/heap.h"

#include <sys/mman.h>

enum { PAGE = 4096, FINE_STEP = 16, FINE_MAX = 256, FINE_CLASSES = FINE_MAX / FINE_STEP };

struct free_item {
    struct free_item *next;
};

/* At the start of each block, which is aligned to its size. */
struct heap_block {
    struct heap_block *next, *previous; /* in with_room; next also in heap.free */
    struct free_item *items;            /* given back */
    uint32_t fresh;                     /* where the never used part begins */
    uint32_t item_size;
    uint32_t live;
    uint32_t class;
};

struct heap_large {
    struct heap_large *next, *previous;
    size_t size; /* of the whole mapping */
    size_t padding;
};

_Static_assert(sizeof(struct heap_large) % 16 == 0, "items are aligned to 16");
enum { ITEMS_AT = (sizeof(struct heap_block) + 15) & ~15 };

/* Steps of 16 bytes up to 256, then four classes for each doubling. */
static uint32_t class_of(size_t size)
{
    if (size <= FINE_MAX)
        return (uint32_t)((size - 1) / FINE_STEP);
    const uint32_t top = 63 - (uint32_t)__builtin_clzll(size - 1);
    return FINE_CLASSES + (top - 8) * 4 + (uint32_t)(((size - 1) >> (top - 2)) & 3);
}

static uint32_t class_size(uint32_t class)
{
    if (class < FINE_CLASSES)
        return (class + 1) * FINE_STEP;
    const uint32_t step = class - FINE_CLASSES;
    return (5 + step % 4) << (step / 4 + 6);
}

bool heap_init(struct heap *heap, size_t limit)
{
    const size_t cap = limit + limit / 8;
    *heap = (struct heap){ .limit = limit, .cap = cap, .mapping_size = cap + 2 * HEAP_BLOCK_SIZE };
    void *mapping =
        mmap(NULL, heap->mapping_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED)
        return false;
    heap->mapping = mapping;
    heap->next = (uint8_t *)(((uintptr_t)mapping + HEAP_BLOCK_SIZE - 1) & ~(uintptr_t)(HEAP_BLOCK_SIZE - 1));
    heap->end = heap->mapping + heap->mapping_size;
    check(class_of(HEAP_SMALL_MAX) == HEAP_CLASS_COUNT - 1 && class_size(HEAP_CLASS_COUNT - 1) == HEAP_SMALL_MAX);
    return true;
}

void heap_deinit(struct heap *heap)
{
    while (heap->large != NULL) {
        struct heap_large *large = heap->large;
        heap->large = large->next;
        munmap(large, large->size);
    }
    if (heap->mapping != NULL)
        munmap(heap->mapping, heap->mapping_size);
    *heap = (struct heap){ 0 };
}

static bool may_use(struct heap *heap, size_t more)
{
    if (more > heap->limit || heap->used > heap->limit - more)
        heap->exceeded = true;
    return more <= heap->cap - heap->used;
}

static void room_link(struct heap *heap, struct heap_block *block)
{
    struct heap_block **first = &heap->with_room[block->class];
    block->previous = NULL;
    block->next = *first;
    if (*first != NULL)
        (*first)->previous = block;
    *first = block;
}

static void room_unlink(struct heap *heap, struct heap_block *block)
{
    if (block->previous != NULL)
        block->previous->next = block->next;
    else
        heap->with_room[block->class] = block->next;
    if (block->next != NULL)
        block->next->previous = block->previous;
}

static bool has_room(const struct heap_block *block)
{
    return block->items != NULL || block->fresh + block->item_size <= HEAP_BLOCK_SIZE;
}

static struct heap_block *block_new(struct heap *heap, uint32_t class)
{
    if (!may_use(heap, HEAP_BLOCK_SIZE))
        return NULL;
    struct heap_block *block = heap->free;
    if (block != NULL) {
        heap->free = block->next;
    } else {
        check(heap->next + HEAP_BLOCK_SIZE <= heap->end);
        block = (struct heap_block *)heap->next;
        heap->next += HEAP_BLOCK_SIZE;
    }
    heap->used += HEAP_BLOCK_SIZE;
    *block = (struct heap_block){ .fresh = ITEMS_AT, .item_size = class_size(class), .class = class };
    room_link(heap, block);
    return block;
}

static void *small_new(struct heap *heap, size_t size)
{
    const uint32_t class = class_of(size);
    struct heap_block *block = heap->with_room[class];
    if (block == NULL && (block = block_new(heap, class)) == NULL)
        return NULL;
    void *item = block->items;
    if (item != NULL) {
        block->items = block->items->next;
    } else {
        item = (uint8_t *)block + block->fresh;
        block->fresh += block->item_size;
    }
    block->live++;
    if (!has_room(block))
        room_unlink(heap, block);
    return item;
}

static void small_free(struct heap *heap, void *memory)
{
    struct heap_block *block = (struct heap_block *)((uintptr_t)memory & ~(uintptr_t)(HEAP_BLOCK_SIZE - 1));
    if (!has_room(block))
        room_link(heap, block);
    struct free_item *item = memory;
    item->next = block->items;
    block->items = item;
    if (--block->live > 0)
        return;
    room_unlink(heap, block);
    block->next = heap->free;
    heap->free = block;
    heap->used -= HEAP_BLOCK_SIZE;
}

/* A size beyond all reason becomes one that is refused, not one that wraps. */
static size_t large_mapping_size(size_t size)
{
    if (size > SIZE_MAX / 2)
        return SIZE_MAX / 2;
    return (size + sizeof(struct heap_large) + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static void large_link(struct heap *heap, struct heap_large *large)
{
    large->previous = NULL;
    large->next = heap->large;
    if (large->next != NULL)
        large->next->previous = large;
    heap->large = large;
}

static void large_unlink(struct heap *heap, struct heap_large *large)
{
    if (large->previous != NULL)
        large->previous->next = large->next;
    else
        heap->large = large->next;
    if (large->next != NULL)
        large->next->previous = large->previous;
}

static void *large_new(struct heap *heap, size_t size)
{
    const size_t whole = large_mapping_size(size);
    if (!may_use(heap, whole))
        return NULL;
    struct heap_large *large = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (large == MAP_FAILED) {
        heap->exceeded = true;
        return NULL;
    }
    large->size = whole;
    large_link(heap, large);
    heap->used += whole;
    return large + 1;
}

static void large_free(struct heap *heap, void *memory)
{
    struct heap_large *large = (struct heap_large *)memory - 1;
    large_unlink(heap, large);
    heap->used -= large->size;
    munmap(large, large->size);
}

/* Tables and buffers grow by doubling: the kernel moves pages instead of bytes. */
static void *large_resize(struct heap *heap, void *memory, size_t size)
{
    struct heap_large *large = (struct heap_large *)memory - 1;
    const size_t whole = large_mapping_size(size), before = large->size;
    if (whole == before)
        return memory;
    if (whole > before && !may_use(heap, whole - before))
        return NULL;
    large_unlink(heap, large);
    struct heap_large *moved = mremap(large, before, whole, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) {
        heap->exceeded = true;
        large_link(heap, large);
        return NULL;
    }
    moved->size = whole;
    large_link(heap, moved);
    heap->used += whole - before;
    return moved + 1;
}

static void item_free(struct heap *heap, void *memory, size_t size)
{
    if (size > HEAP_SMALL_MAX)
        large_free(heap, memory);
    else
        small_free(heap, memory);
}

void *heap_resize(struct heap *heap, void *memory, size_t old_size, size_t new_size)
{
    if (memory == NULL || old_size == 0)
        return new_size == 0 ? NULL : new_size > HEAP_SMALL_MAX ? large_new(heap, new_size) : small_new(heap, new_size);
    if (new_size == 0) {
        item_free(heap, memory, old_size);
        return NULL;
    }
    if (old_size > HEAP_SMALL_MAX && new_size > HEAP_SMALL_MAX)
        return large_resize(heap, memory, new_size);
    if (old_size <= HEAP_SMALL_MAX && new_size <= HEAP_SMALL_MAX && class_of(old_size) == class_of(new_size))
        return memory;
    void *moved = new_size > HEAP_SMALL_MAX ? large_new(heap, new_size) : small_new(heap, new_size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, memory, old_size < new_size ? old_size : new_size);
    item_free(heap, memory, old_size);
    return moved;
}
