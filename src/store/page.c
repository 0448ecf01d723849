#include "store/page.h"

#include <sys/mman.h>

enum {
    HEAD_SIZE = 4,
    EXACT_MAX = 64,     /* slots up to here differ by 4 bytes; above, 16 classes an octave waste 6 % at most */
    SHARED_MAX = 16384, /* a longer slot has a block of its own: four in a page would leave too much of it idle */
    CLASS_COUNT = 145,  /* class_of(SHARED_MAX) + 1 */
    CLASS_OWN = UINT8_MAX,
    NUMBERS_MAX = (1 << (32 - ROWREF_PAGE_SHIFT)) - 1, /* the last one is part of ROWREF_NONE */
};
#define PAGE_NONE UINT32_MAX

struct page {
    uint32_t number;
    uint32_t class;
    uint32_t slot_size;
    uint32_t slot_count;
    uint32_t live_count;
    uint32_t first_slot; /* offset of the first slot */
    uint32_t hint;       /* no word of `live` before this one has a free bit */
    uint32_t previous;   /* neighbours among the class's pages with room */
    uint32_t next;
    uint64_t live[];
};

/* The class of a slot size, and the slot size that all of its class get. */
static uint32_t class_of(uint32_t size, uint32_t *slot_size)
{
    if (size <= EXACT_MAX) {
        *slot_size = size < HEAD_SIZE ? HEAD_SIZE : (size + 3) & ~3u;
        return *slot_size / 4;
    }
    const uint32_t octave = 31 - (uint32_t)__builtin_clz(size - 1);
    const uint32_t step = (size - 1) >> (octave - 4);
    *slot_size = (step + 1) << (octave - 4);
    return EXACT_MAX / 4 + (octave - 6) * 16 + (step - 16) + 1;
}

static uint32_t word_count(uint32_t slot_count)
{
    return (slot_count + 63) / 64;
}

static uint32_t slots_begin(uint32_t slot_count)
{
    return (uint32_t)sizeof(struct page) + word_count(slot_count) * 8;
}

static uint32_t slots_in_page(uint32_t slot_size)
{
    uint32_t count = (PAGE_SIZE_BYTES - (uint32_t)sizeof(struct page)) * 8 / (slot_size * 8 + 1);
    while (slots_begin(count) + count * slot_size > PAGE_SIZE_BYTES)
        count--;
    return count;
}

static size_t block_size(const struct page *page)
{
    return page->class == CLASS_OWN ? page->first_slot + page->slot_size : PAGE_SIZE_BYTES;
}

static struct page *page_of(const struct pages *pages, rowref ref)
{
    const uint32_t number = ref >> ROWREF_PAGE_SHIFT;
    check(number < pages->count && pages->pages[number] != NULL);
    return pages->pages[number];
}

static rowref ref_of(const struct page *page, uint32_t slot)
{
    return page->number << ROWREF_PAGE_SHIFT | (page->first_slot + slot * page->slot_size) >> 2;
}

static uint32_t slot_of(const struct page *page, rowref ref)
{
    const uint32_t offset = (ref & ((1u << ROWREF_PAGE_SHIFT) - 1)) << 2;
    return (offset - page->first_slot) / page->slot_size;
}

static bool slot_is_live(const struct page *page, uint32_t slot)
{
    return page->live[slot / 64] >> (slot % 64) & 1;
}

static size_t mapped_size(size_t size)
{
    return (size + PAGE_SIZE_BYTES - 1) & ~(size_t)(PAGE_SIZE_BYTES - 1);
}

/* Memory from the system in whole pages, aligned to their size. A heap would need room beside each block to
 * align it. The system puts mappings side by side, so after the first one the plain call is aligned and all of
 * them together count as one mapping. */
static void *block_map(size_t mapped)
{
    uint8_t *at = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(at != MAP_FAILED);
    if ((uintptr_t)at % PAGE_SIZE_BYTES == 0)
        return at;
    munmap(at, mapped);

    at = mmap(NULL, mapped + PAGE_SIZE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(at != MAP_FAILED);
    const size_t before = -(uintptr_t)at % PAGE_SIZE_BYTES;
    if (before > 0)
        munmap(at, before);
    munmap(at + before + mapped, PAGE_SIZE_BYTES - before);
    return at + before;
}

static void block_unmap(struct page *page)
{
    munmap(page, mapped_size(block_size(page)));
}

void pages_init(struct pages *pages)
{
    *pages = (struct pages){ .roomy = memory_new(CLASS_COUNT * sizeof *pages->roomy) };
    memset(pages->roomy, 0xff, CLASS_COUNT * sizeof *pages->roomy);
}

void pages_deinit(struct pages *pages)
{
    for (uint32_t number = 0; number < pages->count; number++)
        if (pages->pages[number] != NULL)
            block_unmap(pages->pages[number]);
    memory_free(pages->pages);
    memory_free(pages->roomy);
    *pages = (struct pages){ 0 };
}

static void roomy_link(struct pages *pages, struct page *page)
{
    uint32_t *first = &pages->roomy[page->class];
    page->previous = PAGE_NONE;
    page->next = *first;
    if (*first != PAGE_NONE)
        pages->pages[*first]->previous = page->number;
    *first = page->number;
}

static void roomy_unlink(struct pages *pages, struct page *page)
{
    if (page->previous == PAGE_NONE)
        pages->roomy[page->class] = page->next;
    else
        pages->pages[page->previous]->next = page->next;
    if (page->next != PAGE_NONE)
        pages->pages[page->next]->previous = page->previous;
    page->previous = page->next = PAGE_NONE;
}

/* The lowest unused page number, or PAGE_NONE. */
static uint32_t number_take(struct pages *pages)
{
    uint32_t number = pages->first_vacant;
    while (number < pages->count && pages->pages[number] != NULL)
        number++;
    if (number == NUMBERS_MAX)
        return PAGE_NONE;
    if (number == pages->count) {
        if (pages->count == pages->capacity) {
            pages->capacity = pages->capacity == 0 ? 4 : pages->capacity * 2;
            pages->pages = memory_resize(pages->pages, pages->capacity * sizeof *pages->pages);
        }
        pages->count++;
    }
    pages->first_vacant = number + 1;
    return number;
}

static struct page *page_new(struct pages *pages, uint32_t class, uint32_t slot_size)
{
    const uint32_t number = number_take(pages);
    if (number == PAGE_NONE)
        return NULL;
    const uint32_t slot_count = class == CLASS_OWN ? 1 : slots_in_page(slot_size);
    const struct page head = { .number = number,
                               .class = class,
                               .slot_size = slot_size,
                               .slot_count = slot_count,
                               .first_slot = slots_begin(slot_count),
                               .previous = PAGE_NONE,
                               .next = PAGE_NONE };
    const size_t size = block_size(&head);
    struct page *page = block_map(mapped_size(size));
    *page = head; /* the rest is zero: no slot is live */
    pages->pages[number] = page;
    pages->byte_count += size;
    if (class != CLASS_OWN)
        roomy_link(pages, page);
    return page;
}

static void page_free(struct pages *pages, struct page *page)
{
    pages->byte_count -= block_size(page);
    pages->pages[page->number] = NULL;
    if (page->number < pages->first_vacant)
        pages->first_vacant = page->number;
    block_unmap(page);
}

static uint32_t slot_take(struct pages *pages, struct page *page)
{
    while (page->live[page->hint] == UINT64_MAX)
        page->hint++;
    const uint32_t slot = page->hint * 64 + (uint32_t)__builtin_ctzll(~page->live[page->hint]);
    check(slot < page->slot_count);
    page->live[page->hint] |= 1ull << (slot % 64);
    if (++page->live_count == page->slot_count && page->class != CLASS_OWN)
        roomy_unlink(pages, page);
    return slot;
}

rowref pages_take(struct pages *pages, size_t size)
{
    check(size <= ROW_SIZE_MAX);
    uint32_t slot_size;
    const uint32_t class = class_of((uint32_t)size + HEAD_SIZE, &slot_size);
    struct page *page;
    if (slot_size > SHARED_MAX)
        page = page_new(pages, CLASS_OWN, slot_size);
    else if (pages->roomy[class] != PAGE_NONE)
        page = pages->pages[pages->roomy[class]];
    else
        page = page_new(pages, class, slot_size);
    if (page == NULL)
        return ROWREF_NONE;

    const rowref ref = ref_of(page, slot_take(pages, page));
    pages_row(pages, ref)->head = (uint32_t)size;
    pages->row_count++;
    return ref;
}

void pages_free(struct pages *pages, rowref ref)
{
    struct page *page = page_of(pages, ref);
    const uint32_t slot = slot_of(page, ref);
    check(slot_is_live(page, slot)); /* P1 */

    if (!(pages_row(pages, ref)->head & ROW_GONE))
        pages->row_count--;
    page->live[slot / 64] &= ~(1ull << (slot % 64));
    if (slot / 64 < page->hint)
        page->hint = slot / 64;
    page->live_count--;
    if (page->class == CLASS_OWN) {
        page_free(pages, page);
        return;
    }
    if (page->live_count + 1 == page->slot_count)
        roomy_link(pages, page);
    if (page->live_count == 0 && (page->previous != PAGE_NONE || page->next != PAGE_NONE)) {
        roomy_unlink(pages, page);
        page_free(pages, page);
    }
}

bool pages_fits(const struct pages *pages, rowref ref, size_t size)
{
    const size_t slot_size = page_of(pages, ref)->slot_size;
    const size_t needed = size + HEAD_SIZE;
    return needed <= slot_size && slot_size <= needed * 2 + EXACT_MAX;
}

void pages_hide(struct pages *pages, rowref ref)
{
    struct row *row = pages_row(pages, ref);
    check(!(row->head & ROW_GONE));
    row->head |= ROW_GONE;
    pages->row_count--;
}

void pages_show(struct pages *pages, rowref ref)
{
    struct row *row = pages_row(pages, ref);
    check(row->head & ROW_GONE);
    row->head &= ~(uint32_t)ROW_GONE;
    pages->row_count++;
}

/* The first live slot at or after `slot`; slot_count when there is none. */
static uint32_t page_next_live(const struct page *page, uint32_t slot)
{
    while (slot < page->slot_count) {
        const uint64_t word = page->live[slot / 64] >> (slot % 64);
        if (word != 0)
            return slot + (uint32_t)__builtin_ctzll(word);
        slot = (slot / 64 + 1) * 64;
    }
    return page->slot_count;
}

struct row *pages_next(const struct pages *pages, rowref *ref)
{
    uint32_t number = 0, slot = 0;
    if (*ref != ROWREF_NONE) {
        number = *ref >> ROWREF_PAGE_SHIFT;
        slot = slot_of(page_of(pages, *ref), *ref) + 1;
    }
    for (; number < pages->count; number++, slot = 0) {
        const struct page *page = pages->pages[number];
        if (page == NULL)
            continue;
        for (; (slot = page_next_live(page, slot)) < page->slot_count; slot++) {
            *ref = ref_of(page, slot);
            struct row *row = pages_row(pages, *ref);
            if (!(row->head & ROW_GONE))
                return row;
        }
    }
    *ref = ROWREF_NONE;
    return NULL;
}

static bool page_is_roomy(const struct pages *pages, const struct page *page)
{
    for (uint32_t number = pages->roomy[page->class]; number != PAGE_NONE; number = pages->pages[number]->next)
        if (number == page->number)
            return true;
    return false;
}

static void page_check(const struct pages *pages, const struct page *page)
{
    uint32_t live_count = 0;
    for (uint32_t word = 0; word < word_count(page->slot_count); word++) {
        live_count += (uint32_t)__builtin_popcountll(page->live[word]);
        check(word >= page->hint || page->live[word] == UINT64_MAX);
    }
    check(live_count == page->live_count);
    check(page_next_live(page, 0) < page->slot_count || live_count == 0); /* P1: no bit behind the last slot */
    check(page->class == CLASS_OWN || page_is_roomy(pages, page) == (live_count < page->slot_count));
}

void pages_check(const struct pages *pages)
{
    uint64_t row_count = 0, byte_count = 0;
    for (uint32_t number = 0; number < pages->count; number++) {
        const struct page *page = pages->pages[number];
        check(page != NULL || number >= pages->first_vacant);
        if (page == NULL)
            continue;
        check(page->number == number);
        page_check(pages, page);
        byte_count += block_size(page);
    }
    rowref ref = ROWREF_NONE;
    while (pages_next(pages, &ref) != NULL)
        row_count++;
    check(row_count == pages->row_count);
    check(byte_count == pages->byte_count);
}
