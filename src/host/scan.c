#include "host/scan.h"

#include "host/binding.h"

/* Lists that a call with big walks left are freed, those of ordinary ones stay for the next call. */
enum { KEPT_REFS_MAX = 1 << 18, PLACE_BITS = 14, USES_MASK = (1 << 16) - 1 };

_Static_assert(SCANS_MAX == 1 << PLACE_BITS, "a number holds a place");

static void free_lists(struct scans *scans)
{
    for (uint32_t idx = 0; idx < scans->capacity; idx++) {
        memory_free(scans->items[idx].refs);
        scans->items[idx].refs = NULL;
        scans->items[idx].capacity = 0;
    }
    scans->held = 0;
}

void scans_deinit(struct scans *scans)
{
    free_lists(scans);
    memory_free(scans->items);
    *scans = (struct scans){ 0 };
}

static void grow(struct scans *scans)
{
    const uint32_t capacity = scans->capacity == 0 ? 8 : scans->capacity * 2;
    scans->items = memory_resize(scans->items, capacity * sizeof *scans->items);
    memset(scans->items + scans->capacity, 0, (capacity - scans->capacity) * sizeof *scans->items);
    scans->capacity = capacity;
}

static struct scan *free_place(struct scans *scans)
{
    for (uint32_t idx = 0; scans->closed > 0 && idx < scans->count; idx++) {
        if (scans->items[idx].table == NULL) {
            scans->closed--;
            return &scans->items[idx];
        }
    }
    if (scans->count == SCANS_MAX)
        return NULL;
    if (scans->count == scans->capacity)
        grow(scans);
    return &scans->items[scans->count++];
}

struct scan *scans_open(struct scans *scans, const struct bound_table *table)
{
    struct scan *scan = free_place(scans);
    if (scan == NULL)
        return NULL;
    scan->table = table;
    scan->count = scan->place = 0;
    scan->uses = (scan->uses + 1) & USES_MASK;
    return scan;
}

int32_t scans_number(const struct scans *scans, const struct scan *scan)
{
    return (int32_t)(scan->uses << PLACE_BITS | (uint32_t)(scan - scans->items));
}

struct scan *scans_find(struct scans *scans, int32_t number)
{
    const uint32_t place = (uint32_t)number & (SCANS_MAX - 1);
    if (number < 0 || place >= scans->count)
        return NULL;
    struct scan *scan = &scans->items[place];
    return scan->table != NULL && scan->uses == (uint32_t)number >> PLACE_BITS ? scan : NULL;
}

void scans_close(struct scans *scans, struct scan *scan)
{
    scan->table = NULL;
    scans->closed++;
}

void scans_close_all(struct scans *scans)
{
    for (uint32_t idx = 0; idx < scans->count; idx++)
        scans->items[idx].table = NULL;
    scans->count = scans->closed = 0;
    if (scans->held > KEPT_REFS_MAX)
        free_lists(scans);
}

bool scans_add_ref(struct scans *scans, struct scan *scan, rowref ref)
{
    if (scan->count == scan->capacity) {
        const uint32_t capacity = scan->capacity == 0 ? 16 : scan->capacity * 2;
        if (scans->held + capacity - scan->capacity > SCAN_REFS_MAX)
            return false;
        scan->refs = memory_resize(scan->refs, capacity * sizeof *scan->refs);
        scans->held += capacity - scan->capacity;
        scan->capacity = capacity;
    }
    scan->refs[scan->count++] = ref;
    return true;
}
