/* The few words that every file speaks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define COUNTOF(array) (sizeof(array) / sizeof((array)[0]))
#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_idx, first_idx) __attribute__((format(printf, format_idx, first_idx)))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Stops the process when a rule of the program itself is broken. It stays on in release builds:
 * a database that goes on after a broken rule writes wrong data. Never used on input. */
#define check(condition) ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))
#define unreachable() check_failed("unreachable", __FILE__, __LINE__)
_Noreturn void check_failed(const char *condition, const char *file, int line);

/* A view of bytes that somebody else owns. */
typedef struct bytes {
    const uint8_t *at;
    size_t size;
} bytes;

#define BYTES_LITERAL(text) ((bytes){ (const uint8_t *)(text), sizeof(text) - 1 })

static inline bytes bytes_of(const void *at, size_t size)
{
    return (bytes){ (const uint8_t *)at, size };
}

static inline bytes bytes_of_text(const char *text)
{
    return (bytes){ (const uint8_t *)text, strlen(text) };
}

/* memcpy() for what is mostly short: 8 to 64 bytes without a call, by moves that may overlap. */
static inline void bytes_copy(uint8_t *to, bytes from)
{
    if (from.size < 8 || from.size > 64) {
        if (from.size > 0)
            memcpy(to, from.at, from.size);
    } else if (from.size <= 16) {
        memcpy(to, from.at, 8);
        memcpy(to + from.size - 8, from.at + from.size - 8, 8);
    } else {
        memcpy(to, from.at, 16);
        if (from.size > 32)
            memcpy(to + 16, from.at + 16, 16);
        if (from.size > 48)
            memcpy(to + 32, from.at + 32, 16);
        memcpy(to + from.size - 16, from.at + from.size - 16, 16);
    }
}

static inline bool bytes_equal(bytes left, bytes right)
{
    if (left.size != right.size)
        return false;
    if (left.size >= 8 && left.size <= 16) /* short rows and keys, without a call */
        return memcmp(left.at, right.at, 8) == 0 &&
               memcmp(left.at + left.size - 8, right.at + left.size - 8, 8) == 0;
    return left.size == 0 || memcmp(left.at, right.at, left.size) == 0;
}

static inline bool bytes_equal_text(bytes left, const char *right)
{
    return bytes_equal(left, bytes_of_text(right));
}

/* Orders by content, then by length: the order of dictionaries. */
int bytes_compare(bytes left, bytes right);

/* For printf's "%.*s". */
#define BYTES_FORMAT(value) (int)(value).size, (const char *)(value).at

/* Allocation of our own, small, bounded things: ends the process when there is no memory, so that
 * no caller carries a branch that no test reaches. What a guest can inflate (message, row, result,
 * queue, Lua heap) is limited before it is allocated. */
void *memory_new(size_t size);                    /* zeroed */
void *memory_resize(void *memory, size_t size);   /* realloc */
void *memory_copy(const void *from, size_t size); /* malloc + memcpy */
void memory_free(void *memory);
/* Gives the system what has been freed in small pieces. All threads' allocation stands still meanwhile, so it is for the
 * end of large work that will not come again. */
void memory_trim(void);
