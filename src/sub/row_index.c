#include "sub/row_index.h"

#include "base/hash.h"

enum { CAPACITY_MIN = 64 };

void row_index_deinit(struct row_index *index)
{
    memory_free(index->entries);
    memory_free(index->slots);
    *index = (struct row_index){ 0 };
}

static uint32_t *slot_of(const struct row_index *index, bytes value)
{
    return &index->slots[hash_bytes(value.at, value.size) & (index->capacity - 1)];
}

static void link_entry(struct row_index *index, uint32_t place)
{
    uint32_t *slot = slot_of(index, index->entries[place].value);
    index->entries[place].next = *slot;
    *slot = place + 1;
}

static void grow(struct row_index *index)
{
    index->capacity = index->capacity == 0 ? CAPACITY_MIN : index->capacity * 2;
    index->entries = memory_resize(index->entries, sizeof *index->entries * index->capacity);
    memory_free(index->slots);
    index->slots = memory_new(sizeof *index->slots * index->capacity);
    for (uint32_t place = 0; place < index->count; place++)
        link_entry(index, place);
}

void row_index_add(struct row_index *index, bytes row, bytes value, bool mark)
{
    if (index->count == index->capacity)
        grow(index);
    index->entries[index->count] = (struct row_entry){ row, value, mark, 0 };
    link_entry(index, index->count++);
}

static const struct row_entry *first_with(const struct row_index *index, uint32_t place, bytes value)
{
    while (place != 0 && !bytes_equal(index->entries[place - 1].value, value))
        place = index->entries[place - 1].next;
    return place == 0 ? NULL : &index->entries[place - 1];
}

const struct row_entry *row_index_find(const struct row_index *index, bytes value)
{
    return index->count == 0 ? NULL : first_with(index, *slot_of(index, value), value);
}

const struct row_entry *row_index_next(const struct row_index *index, const struct row_entry *entry)
{
    return first_with(index, entry->next, entry->value);
}
