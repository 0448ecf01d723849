#include "store/hashindex.h"

enum { CAPACITY_MIN = 8, MARGIN_MAX = 256 };

static uint32_t home_of(const struct hashindex *index, uint32_t hash)
{
    return (uint32_t)((uint64_t)hash * index->capacity >> 32);
}

/* The last place stays free: it ends every search. */
static uint32_t place_count(const struct hashindex *index)
{
    return index->capacity + index->margin;
}

static uint32_t count_max(uint32_t capacity)
{
    return (uint32_t)((uint64_t)capacity * 9 / 10);
}

static void entries_new(struct hashindex *index, uint32_t capacity)
{
    index->capacity = capacity;
    index->margin = capacity < MARGIN_MAX ? capacity : MARGIN_MAX;
    const size_t size = (size_t)hashindex_memory(index);
    index->entries = memory_resize(NULL, size);
    memset(index->entries, 0xff, size);
}

void hashindex_init(struct hashindex *index)
{
    *index = (struct hashindex){ 0 };
    entries_new(index, CAPACITY_MIN);
}

void hashindex_deinit(struct hashindex *index)
{
    memory_free(index->entries);
    *index = (struct hashindex){ 0 };
}

/* Spreads the entries of `from`, which ascend by hash, over `to`. False when they run over the margin. */
static bool entries_spread(struct hashindex *to, const struct hashindex *from)
{
    uint32_t place = 0;
    for (uint32_t idx = 0; idx < place_count(from); idx++) {
        if (from->entries[idx].hash == HASH_FREE)
            continue;
        const uint32_t home = home_of(to, from->entries[idx].hash);
        if (home > place)
            place = home;
        if (place + 1 >= place_count(to))
            return false;
        to->entries[place++] = from->entries[idx];
    }
    return true;
}

static void resize(struct hashindex *index, uint32_t capacity)
{
    struct hashindex fresh = { .count = index->count };
    entries_new(&fresh, capacity);
    while (!entries_spread(&fresh, index)) {
        check(capacity < UINT32_MAX / 2); /* as many entries of one hash as that takes cannot be */
        memory_free(fresh.entries);
        entries_new(&fresh, capacity *= 2);
    }
    memory_free(index->entries);
    *index = fresh;
}

/* Small tables double, large ones grow by a fifth: memory stays near what the entries need. */
static uint32_t capacity_after(uint32_t capacity)
{
    const uint64_t larger = capacity < 4096 ? (uint64_t)capacity * 2 : (uint64_t)capacity + capacity / 5;
    return larger < UINT32_MAX - MARGIN_MAX ? (uint32_t)larger : UINT32_MAX - MARGIN_MAX;
}

void hashindex_add(struct hashindex *index, uint32_t hash, rowref ref)
{
    if (index->count >= count_max(index->capacity))
        resize(index, capacity_after(index->capacity));
    for (;;) {
        struct hashindex_entry *entry = (struct hashindex_entry *)hashindex_seek(index, hash);
        while (entry->hash == hash)
            entry++;
        struct hashindex_entry *end = entry;
        while (end->hash != HASH_FREE)
            end++;
        if (end + 1 < index->entries + place_count(index)) {
            memmove(entry + 1, entry, (size_t)(end - entry) * sizeof *entry);
            *entry = (struct hashindex_entry){ hash, ref };
            index->count++;
            return;
        }
        resize(index, capacity_after(index->capacity));
    }
}

static void shrink(struct hashindex *index)
{
    if (index->capacity > CAPACITY_MIN && index->count < index->capacity / 2 - index->capacity / 8) {
        const uint32_t wanted = index->count + index->count / 2;
        resize(index, wanted < CAPACITY_MIN ? CAPACITY_MIN : wanted);
    }
}

void hashindex_remove(struct hashindex *index, uint32_t hash, rowref ref)
{
    struct hashindex_entry *entry = (struct hashindex_entry *)hashindex_seek(index, hash);
    while (entry->ref != ref) {
        check(entry->hash == hash);
        entry++;
    }
    check(entry->hash == hash);

    struct hashindex_entry *end = entry + 1;
    while (end->hash != HASH_FREE && home_of(index, end->hash) < (uint32_t)(end - index->entries))
        end++;
    memmove(entry, entry + 1, (size_t)(end - entry - 1) * sizeof *entry);
    end[-1] = (struct hashindex_entry){ HASH_FREE, ROWREF_NONE };
    index->count--;
    shrink(index);
}

uint64_t hashindex_memory(const struct hashindex *index)
{
    return ((uint64_t)place_count(index) + HASHINDEX_LOOKAHEAD) * sizeof *index->entries;
}

void hashindex_check(const struct hashindex *index)
{
    uint32_t count = 0, last_hash = 0, first_of_run = 0;
    for (uint32_t place = 0; place < place_count(index); place++) {
        const struct hashindex_entry *entry = &index->entries[place];
        if (entry->hash == HASH_FREE) {
            check(entry->ref == ROWREF_NONE);
            first_of_run = place + 1;
            continue;
        }
        check(entry->hash >= last_hash); /* H1 */
        check(home_of(index, entry->hash) >= first_of_run && home_of(index, entry->hash) <= place);
        last_hash = entry->hash;
        count++;
    }
    check(count == index->count);
    check(count <= count_max(index->capacity)); /* H2 */
    check(index->entries[place_count(index) - 1].hash == HASH_FREE);
}
