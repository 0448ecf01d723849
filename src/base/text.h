/* Text without a locale: UTF-8, hex, and decimal numbers up to 256 bits. */
#pragma once

#include "base/base.h"

struct buf;

bool text_is_utf8(bytes text); /* strict: no surrogates, no overlong forms, up to U+10FFFF */

/* Lower-case hex. `hex_decode` accepts either case and needs exactly 2 * size digits. */
void hex_encode(struct buf *out, bytes from);
bool hex_decode(bytes text, uint8_t *out, size_t size);

/* Integers of `size` bytes (1..32), little-endian two's complement.
 * number_parse takes an optional sign and decimal digits, or 0x and hex digits; false when the text
 * is not a number or does not fit. */
void number_print(struct buf *out, const uint8_t *at, size_t size, bool is_signed);
void integer_print(struct buf *out, int64_t value);
bool number_parse(bytes text, uint8_t *at, size_t size, bool is_signed);
/* "0x1f", "-0x1", "0x0": the spelling of 256-bit integers in SATS-JSON. */
void number_print_hex(struct buf *out, const uint8_t *at, size_t size, bool is_signed);

/* Shortest text that reads back as the same float or double. Finite values only. */
void float_print(struct buf *out, float value);
void double_print(struct buf *out, double value);

/* The number of a file that is named by one: 20 decimal digits that are a u64, then the suffix. False for other names. */
bool text_numbered(const char *name, const char *suffix, uint64_t *number);

/* The nearest of `count` names to `wanted` by edit distance, for "did you mean"; -1 when none is near. */
int text_nearest(bytes wanted, const bytes *names, size_t count);
