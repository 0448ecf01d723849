#include "store/block.h"

#include "base/background.h"

#include <pthread.h>
#include <sys/mman.h>

enum { SPARES_MAX = 256 }; /* as many are given back by who drops the last view, 5 us each */

/* A spare block's first bytes lead to the next one. */
struct spare {
    struct spare *next;
};

static struct {
    pthread_mutex_t lock;
    struct spare *first;
    uint32_t count;
    uint32_t views; /* that live */
    uint32_t taken; /* copies that wanted a block since spares were last made ready */
} spares = { .lock = PTHREAD_MUTEX_INITIALIZER };

static size_t mapped_size(size_t size)
{
    return (size + BLOCK_SIZE - 1) & ~(size_t)(BLOCK_SIZE - 1);
}

/* A heap would need room beside each block to align it. The system puts mappings side by side, so after the first one
 * the plain call is aligned and all of them together count as one mapping. `more` is for mmap() as well. */
static void *map(size_t mapped, int more)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | more;
    uint8_t *at = mmap(NULL, mapped, PROT_READ | PROT_WRITE, flags, -1, 0);
    check(at != MAP_FAILED);
    if ((uintptr_t)at % BLOCK_SIZE == 0)
        return at;
    munmap(at, mapped);

    at = mmap(NULL, mapped + BLOCK_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0);
    check(at != MAP_FAILED);
    const size_t before = -(uintptr_t)at % BLOCK_SIZE;
    if (before > 0)
        munmap(at, before);
    munmap(at + before + mapped, BLOCK_SIZE - before);
    return at + before;
}

/* A process may have so many mappings that the system will not cut one in two; its memory goes back all the same. */
static void unmap(void *block, size_t mapped)
{
    if (munmap(block, mapped) != 0)
        madvise(block, mapped, MADV_DONTNEED);
}

/* --- Spare blocks --- */

static void *spare_take(void)
{
    pthread_mutex_lock(&spares.lock);
    struct spare *spare = spares.first;
    if (spare != NULL) {
        spares.first = spare->next;
        spares.count--;
    }
    spares.taken += spares.views > 0;
    pthread_mutex_unlock(&spares.lock);
    return spare;
}

/* False where there is no use for it. */
static bool spare_put(void *block)
{
    struct spare *spare = block;
    pthread_mutex_lock(&spares.lock);
    const bool is_of_use = spares.views > 0 && spares.count < SPARES_MAX;
    if (is_of_use) {
        spare->next = spares.first;
        spares.first = spare;
        spares.count++;
    }
    pthread_mutex_unlock(&spares.lock);
    return is_of_use;
}

void block_view_begins(void)
{
    pthread_mutex_lock(&spares.lock);
    spares.views++;
    pthread_mutex_unlock(&spares.lock);
}

void block_view_ends(void)
{
    struct spare *unneeded = NULL;
    pthread_mutex_lock(&spares.lock);
    if (--spares.views == 0) {
        unneeded = spares.first;
        spares.first = NULL;
        spares.count = spares.taken = 0;
    }
    pthread_mutex_unlock(&spares.lock);

    for (struct spare *next; unneeded != NULL; unneeded = next) {
        next = unneeded->next;
        unmap(unneeded, BLOCK_SIZE);
    }
}

/* Twice what was taken: a writer that begins to change a table takes more from page to page. */
void block_prepare_spares(void)
{
    pthread_mutex_lock(&spares.lock);
    const uint32_t wanted = spares.taken * 2;
    uint32_t missing = wanted > spares.count ? wanted - spares.count : 0;
    spares.taken = 0;
    pthread_mutex_unlock(&spares.lock);

    for (; missing > 0; missing--) {
        void *block = map(BLOCK_SIZE, MAP_POPULATE);
        if (!spare_put(block)) {
            unmap(block, BLOCK_SIZE);
            return;
        }
        background_stand_back();
    }
}

/* --- Blocks --- */

void *block_new(size_t size)
{
    return map(mapped_size(size), 0);
}

/* All of it is written at once: its memory comes with one call instead of a fault every 4 KiB. */
void *block_new_for_copy(size_t size)
{
    const size_t mapped = mapped_size(size);
    void *spare = mapped == BLOCK_SIZE ? spare_take() : NULL;
    return spare != NULL ? spare : map(mapped, MAP_POPULATE);
}

void block_free(void *block, size_t size)
{
    const size_t mapped = mapped_size(size);
    if (mapped != BLOCK_SIZE || !spare_put(block))
        unmap(block, mapped);
}
