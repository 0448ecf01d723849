#include "txn/cancel.h"

#include "base/hash.h"

enum { COMPARISONS_MAX = 64 }; /* up to here comparing is cheaper than hashing */
#define PLACE_FREE UINT32_MAX

static void list_remove(bytes *rows, uint32_t *count, uint32_t idx)
{
    rows[idx] = rows[--*count];
}

static void cancel_few(bytes *deletes, uint32_t *delete_count, bytes *inserts, uint32_t *insert_count)
{
    for (uint32_t come = *insert_count; come > 0; come--) {
        for (uint32_t went = 0; went < *delete_count; went++) {
            if (!bytes_equal(inserts[come - 1], deletes[went]))
                continue;
            list_remove(deletes, delete_count, went);
            list_remove(inserts, insert_count, come - 1);
            break;
        }
    }
}

/* The place in the table where the row's number is, or where it would be. */
static uint32_t *place_find(uint32_t *places, uint32_t capacity, const bytes *rows, bytes row)
{
    uint32_t at = (uint32_t)hash_bytes(row.at, row.size) & (capacity - 1);
    while (places[at] != PLACE_FREE && !bytes_equal(rows[places[at]], row))
        at = (at + 1) & (capacity - 1);
    return &places[at];
}

/* Closes the gaps that removed rows have left; a removed row has no address. */
static void list_close_up(bytes *rows, uint32_t *count)
{
    uint32_t kept = 0;
    for (uint32_t idx = 0; idx < *count; idx++)
        if (rows[idx].at != NULL)
            rows[kept++] = rows[idx];
    *count = kept;
}

/* Removed rows stay where the table can find them until all are compared: each is met once at most, since the
 * inserts differ from one another. */
static void cancel_many(bytes *deletes, uint32_t *delete_count, bytes *inserts, uint32_t *insert_count,
                        struct buf *scratch)
{
    uint32_t capacity = 64;
    while (capacity < *delete_count * 2)
        capacity *= 2;
    buf_clear(scratch);
    uint32_t *places = (uint32_t *)buf_extend(scratch, (capacity + (size_t)*delete_count) * sizeof *places);
    uint32_t *removed = places + capacity;
    uint32_t removed_count = 0;
    memset(places, 0xff, capacity * sizeof *places);

    for (uint32_t went = 0; went < *delete_count; went++)
        *place_find(places, capacity, deletes, deletes[went]) = went;
    for (uint32_t come = 0; come < *insert_count; come++) {
        const uint32_t went = *place_find(places, capacity, deletes, inserts[come]);
        if (went == PLACE_FREE)
            continue;
        removed[removed_count++] = went;
        inserts[come].at = NULL;
    }
    for (uint32_t idx = 0; idx < removed_count; idx++)
        deletes[removed[idx]].at = NULL;
    list_close_up(deletes, delete_count);
    list_close_up(inserts, insert_count);
}

void cancel_equal(bytes *deletes, uint32_t *delete_count, bytes *inserts, uint32_t *insert_count, struct buf *scratch)
{
    if (*delete_count == 0 || *insert_count == 0)
        return;
    if ((uint64_t)*delete_count * *insert_count <= COMPARISONS_MAX)
        cancel_few(deletes, delete_count, inserts, insert_count);
    else
        cancel_many(deletes, delete_count, inserts, insert_count, scratch);
}
