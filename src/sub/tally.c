#include "sub/tally.h"

#include "base/hash.h"

enum { PLACES_MIN = 64, PLACES_KEPT_MAX = 1 << 16 };

void tally_deinit(struct tally *tally)
{
    memory_free(tally->entries);
    memory_free(tally->places);
    memset(tally, 0, sizeof *tally);
}

/* The entry's place, or the free one where it belongs. */
static uint32_t *find_place(const struct tally *tally, bytes row, uint64_t hash)
{
    for (uint32_t at = (uint32_t)hash;; at++) {
        uint32_t *place = &tally->places[at & (tally->place_count - 1)];
        if (*place == 0)
            return place;
        const struct tally_entry *entry = &tally->entries[*place - 1];
        if (entry->hash == hash && bytes_equal(entry->row, row))
            return place;
    }
}

/* At most half of the places are taken. */
static void grow(struct tally *tally)
{
    memory_free(tally->places);
    tally->place_count = tally->place_count == 0 ? PLACES_MIN : tally->place_count * 2;
    tally->places = memory_new(sizeof *tally->places * tally->place_count);
    for (uint32_t idx = 0; idx < tally->count; idx++)
        *find_place(tally, tally->entries[idx].row, tally->entries[idx].hash) = idx + 1;
    tally->capacity = tally->place_count / 2;
    tally->entries = memory_resize(tally->entries, sizeof *tally->entries * tally->capacity);
}

void tally_add(struct tally *tally, bytes row, int64_t count)
{
    if (tally->count == tally->capacity)
        grow(tally);
    const uint64_t hash = hash_bytes(row.at, row.size);
    uint32_t *place = find_place(tally, row, hash);
    if (*place == 0) {
        tally->entries[tally->count++] = (struct tally_entry){ row, hash, 0 };
        *place = tally->count;
    }
    tally->entries[*place - 1].count += count;
}

void tally_clear(struct tally *tally)
{
    if (tally->place_count > PLACES_KEPT_MAX) {
        tally_deinit(tally);
        return;
    }
    if (tally->count > 0)
        memset(tally->places, 0, sizeof *tally->places * tally->place_count);
    tally->count = 0;
}
