/* Broken rules, the order of bytes, and allocation that does not fail. */
#include "base/base.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { LARGE_PAGE = 2 << 20, LARGE_MIN = 8 << 20 };

_Noreturn void check_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "stdb-lua stops: a rule of the program is broken: %s (%s:%d)\n", condition, file, line);
    fflush(stderr);
    abort();
}

int bytes_compare(bytes left, bytes right)
{
    const size_t common = left.size < right.size ? left.size : right.size;
    const int order = common > 0 ? memcmp(left.at, right.at, common) : 0;
    if (order != 0)
        return order;
    return (left.size > right.size) - (left.size < right.size);
}

/* Where every own allocation ends when there is no memory. */
static void *memory_or_stop(void *memory, size_t size)
{
    if (memory == NULL) {
        fprintf(stderr, "stdb-lua stops: no memory for %zu bytes\n", size);
        fflush(stderr);
        abort();
    }
    return memory;
}

/* The C library may answer a request for nothing with NULL; a request for one byte it may not. */
static size_t at_least_one(size_t size)
{
    return size > 0 ? size : 1;
}

void *memory_new(size_t size)
{
    return memory_or_stop(calloc(1, at_least_one(size)), size);
}

/* A buffer that has grown so large is filled from end to end: with large pages, where the system gives them on request,
 * that takes fewer faults. */
static void *in_large_pages(void *memory, size_t size)
{
    const uintptr_t begin = ((uintptr_t)memory + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1);
    const uintptr_t end = ((uintptr_t)memory + size) & ~(uintptr_t)(LARGE_PAGE - 1);
    if (size >= LARGE_MIN && begin < end)
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
    return memory;
}

void *memory_resize(void *memory, size_t size)
{
    return in_large_pages(memory_or_stop(realloc(memory, at_least_one(size)), size), size);
}

void *memory_copy(const void *from, size_t size)
{
    void *memory = memory_or_stop(malloc(at_least_one(size)), size);
    if (size > 0)
        memcpy(memory, from, size);
    return memory;
}

void memory_free(void *memory)
{
    free(memory);
}

void memory_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
