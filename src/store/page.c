#include "store/page.h"

#include <stdatomic.h>

enum {
    HEAD_SIZE = 4,
    EXACT_MAX = 64,     /* slots up to here differ by 4 bytes; above, 16 classes an octave waste 6 % at most */
    SHARED_MAX = 16384, /* a longer slot has a block of its own: four in a page would leave too much of it idle */
    CLASS_COUNT = 145,  /* class_of(SHARED_MAX) + 1 */
    CLASS_OWN = UINT8_MAX,
    NUMBERS_MAX = (1 << (32 - ROWREF_PAGE_SHIFT)) - 1, /* the last one is part of ROWREF_NONE */
};
#define PAGE_NONE UINT32_MAX
/* Who holds a page: the writer's list in one bit, views counted in the others. */
#define HELD_BY_WRITER (1u << 31)

/* All but `holders` stays as it is while a view holds the page. */
struct page {
    atomic_uint holders;
    uint32_t number;
    uint32_t class;
    uint32_t slot_size;
    uint32_t slot_count;
    uint32_t live_count;
    uint32_t first_slot; /* offset of the first slot */
    uint32_t hint;       /* no word of `live` before this one has a free bit */
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

/* The last holder that lets go of a page frees it. All that the others have read happens before that. */
static void page_release(struct page *page, uint32_t holder)
{
    if (atomic_fetch_sub_explicit(&page->holders, holder, memory_order_acq_rel) == holder)
        block_free(page, block_size(page));
}

static void pages_release(struct pages *pages, uint32_t holder)
{
    for (uint32_t number = 0; number < pages->count; number++)
        if (pages->pages[number] != NULL)
            page_release(pages->pages[number], holder);
    memory_free(pages->pages);
    memory_free(pages->roomy);
    memory_free(pages->notes);
    *pages = (struct pages){ 0 };
}

void pages_init(struct pages *pages)
{
    *pages = (struct pages){ .roomy = memory_new(CLASS_COUNT * sizeof *pages->roomy) };
    memset(pages->roomy, 0xff, CLASS_COUNT * sizeof *pages->roomy);
}

void pages_deinit(struct pages *pages)
{
    pages_release(pages, HELD_BY_WRITER);
}

static void roomy_link(struct pages *pages, const struct page *page)
{
    struct page_note *note = &pages->notes[page->number];
    uint32_t *first = &pages->roomy[page->class];
    note->previous = PAGE_NONE;
    note->next = *first;
    if (*first != PAGE_NONE)
        pages->notes[*first].previous = page->number;
    *first = page->number;
}

static void roomy_unlink(struct pages *pages, const struct page *page)
{
    struct page_note *note = &pages->notes[page->number];
    if (note->previous == PAGE_NONE)
        pages->roomy[page->class] = note->next;
    else
        pages->notes[note->previous].next = note->next;
    if (note->next != PAGE_NONE)
        pages->notes[note->next].previous = note->previous;
    note->previous = note->next = PAGE_NONE;
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
            pages->notes = memory_resize(pages->notes, pages->capacity * sizeof *pages->notes);
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
    const struct page head = { .holders = HELD_BY_WRITER,
                               .number = number,
                               .class = class,
                               .slot_size = slot_size,
                               .slot_count = slot_count,
                               .first_slot = slots_begin(slot_count) };
    const size_t size = block_size(&head);
    struct page *page = block_new(size);
    *page = head; /* the rest is zero: no slot is live */
    pages->pages[number] = page;
    pages->notes[number] = (struct page_note){ PAGE_NONE, PAGE_NONE, false };
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
    page_release(page, HELD_BY_WRITER);
}

/* --- Views --- */

void pages_freeze(struct pages *pages, struct pages *view)
{
    *view = *pages;
    view->capacity = view->count;
    view->roomy = NULL;
    view->notes = NULL;
    view->pages = memory_copy(pages->pages, pages->count * sizeof *pages->pages);
    for (uint32_t number = 0; number < pages->count; number++) {
        if (pages->pages[number] == NULL)
            continue;
        atomic_fetch_add_explicit(&pages->pages[number]->holders, 1, memory_order_relaxed);
        pages->notes[number].shared = true;
    }
}

void pages_drop(struct pages *view)
{
    check(view->notes == NULL);
    pages_release(view, 1);
}

uint64_t pages_left_behind(const struct pages *view)
{
    uint64_t size = 0;
    for (uint32_t number = 0; number < view->count; number++) {
        const struct page *page = view->pages[number];
        if (page != NULL && !(atomic_load_explicit(&page->holders, memory_order_relaxed) & HELD_BY_WRITER))
            size += block_size(page);
    }
    return size;
}

/* Views may be letting go of the page meanwhile, so its count of holders is not read along. */
static struct page *page_copy(const struct page *page)
{
    const size_t size = block_size(page), skipped = offsetof(struct page, number);
    struct page *copy = block_new_for_copy(size);
    memcpy((uint8_t *)copy + skipped, (const uint8_t *)page + skipped, size - skipped);
    atomic_init(&copy->holders, HELD_BY_WRITER);
    return copy;
}

void pages_part(struct pages *pages, uint32_t number)
{
    struct page *page = pages->pages[number];
    pages->notes[number].shared = false;
    /* What a view read before it let go happens before what is written now. New views come from this thread only. */
    if (atomic_load_explicit(&page->holders, memory_order_acquire) == HELD_BY_WRITER)
        return;
    pages->pages[number] = page_copy(page);
    page_release(page, HELD_BY_WRITER);
}

/* --- Slots --- */

static struct page *page_writable(struct pages *pages, uint32_t number)
{
    if (pages->notes[number].shared)
        pages_part(pages, number);
    return pages->pages[number];
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

    page = page_writable(pages, page->number);
    const rowref ref = ref_of(page, slot_take(pages, page));
    pages_locate(pages, ref)->head = (uint32_t)size;
    pages->row_count++;
    return ref;
}

void pages_free(struct pages *pages, rowref ref)
{
    struct page *page = page_writable(pages, page_of(pages, ref)->number);
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
    const struct page_note *note = &pages->notes[page->number];
    if (page->live_count == 0 && (note->previous != PAGE_NONE || note->next != PAGE_NONE)) {
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
    struct row *row = pages_writable(pages, ref);
    check(!(row->head & ROW_GONE));
    row->head |= ROW_GONE;
    pages->row_count--;
}

void pages_show(struct pages *pages, rowref ref)
{
    struct row *row = pages_writable(pages, ref);
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

const struct row *pages_next(const struct pages *pages, rowref *ref)
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
            const struct row *row = pages_row(pages, *ref);
            if (!(row->head & ROW_GONE))
                return row;
        }
    }
    *ref = ROWREF_NONE;
    return NULL;
}

const struct row *pages_pass(struct pages *view, rowref *ref)
{
    check(view->notes == NULL);
    const struct row *row = pages_next(view, ref);
    const uint32_t reached = row != NULL ? *ref >> ROWREF_PAGE_SHIFT : view->count;
    for (; view->passed < reached; view->passed++) {
        struct page *page = view->pages[view->passed];
        if (page == NULL)
            continue;
        view->pages[view->passed] = NULL;
        page_release(page, 1);
        block_prepare_spares();
    }
    return row;
}

static bool page_is_roomy(const struct pages *pages, const struct page *page)
{
    for (uint32_t number = pages->roomy[page->class]; number != PAGE_NONE; number = pages->notes[number].next)
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
        const uint32_t holders = atomic_load_explicit(&page->holders, memory_order_relaxed);
        check(holders == HELD_BY_WRITER || (holders > HELD_BY_WRITER && pages->notes[number].shared)); /* P4 */
        page_check(pages, page);
        byte_count += block_size(page);
    }
    rowref ref = ROWREF_NONE;
    while (pages_next(pages, &ref) != NULL)
        row_count++;
    check(row_count == pages->row_count);
    check(byte_count == pages->byte_count);
}
