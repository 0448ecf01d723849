/* Numbers as text. An integer of up to 256 bits is worked on as its magnitude, in eight 32-bit limbs. */
#include "base/text.h"

#include "base/buf.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIMBS = 8, SIZE_MAX_BYTES = 4 * LIMBS };

struct magnitude {
    uint32_t limb[LIMBS]; /* least significant first */
    bool negative;
};

static void magnitude_negate(struct magnitude *number)
{
    uint64_t carry = 1;
    for (int idx = 0; idx < LIMBS; idx++) {
        carry += (uint32_t)~number->limb[idx];
        number->limb[idx] = (uint32_t)carry;
        carry >>= 32;
    }
}

static struct magnitude magnitude_load(const uint8_t *at, size_t size, bool is_signed)
{
    check(size >= 1 && size <= SIZE_MAX_BYTES);
    struct magnitude number = { .negative = is_signed && (at[size - 1] & 0x80) != 0 };
    memset(number.limb, number.negative ? 0xff : 0, sizeof number.limb);
    memcpy(number.limb, at, size);
    if (number.negative)
        magnitude_negate(&number);
    return number;
}

static int limbs_used(const struct magnitude *number)
{
    int used = LIMBS;
    while (used > 0 && number->limb[used - 1] == 0)
        used--;
    return used;
}

/* number = number * factor + term; false when that needs more than 256 bits. */
static bool magnitude_push(struct magnitude *number, uint32_t factor, uint32_t term)
{
    uint64_t carry = term;
    for (int idx = 0; idx < LIMBS; idx++) {
        carry += (uint64_t)number->limb[idx] * factor;
        number->limb[idx] = (uint32_t)carry;
        carry >>= 32;
    }
    return carry == 0;
}

/* number = number / divisor; returns the rest. */
static uint32_t magnitude_divide(struct magnitude *number, int used, uint32_t divisor)
{
    uint64_t rest = 0;
    for (int idx = used - 1; idx >= 0; idx--) {
        rest = rest << 32 | number->limb[idx];
        number->limb[idx] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
    return (uint32_t)rest;
}

/* With zeros in front, up to `digits_min` digits. */
static void digits_print(struct buf *out, uint64_t value, int digits_min)
{
    char digits[20];
    char *at = digits + sizeof digits;
    for (int count = 0; value > 0 || count < digits_min; count++, value /= 10)
        *--at = (char)('0' + value % 10);
    buf_put(out, at, (size_t)(digits + sizeof digits - at));
}

void integer_print(struct buf *out, int64_t value)
{
    if (value < 0)
        buf_put_u8(out, '-');
    digits_print(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1);
}

void number_print(struct buf *out, const uint8_t *at, size_t size, bool is_signed)
{
    struct magnitude number = magnitude_load(at, size, is_signed);
    if (number.negative)
        buf_put_u8(out, '-');

    uint32_t groups[9]; /* of nine digits; 2^256 has 78 */
    int count = 0;
    for (int used = limbs_used(&number); used > 0; used = limbs_used(&number))
        groups[count++] = magnitude_divide(&number, used, 1000000000);

    digits_print(out, count > 0 ? groups[count - 1] : 0, 1);
    for (int idx = count - 2; idx >= 0; idx--)
        digits_print(out, groups[idx], 9);
}

void number_print_hex(struct buf *out, const uint8_t *at, size_t size, bool is_signed)
{
    const struct magnitude number = magnitude_load(at, size, is_signed);
    const int used = limbs_used(&number);
    buf_put_text(out, number.negative ? "-0x" : "0x");
    buf_put_format(out, "%x", used > 0 ? number.limb[used - 1] : 0);
    for (int idx = used - 2; idx >= 0; idx--)
        buf_put_format(out, "%08x", number.limb[idx]);
}

static int digit_value(uint8_t character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    const uint8_t lower = character | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 16;
}

/* All of `text` is digits, and there is at least one. */
static bool digits_parse(bytes text, uint32_t base, struct magnitude *number)
{
    for (size_t idx = 0; idx < text.size; idx++) {
        const uint32_t digit = (uint32_t)digit_value(text.at[idx]);
        if (digit >= base || !magnitude_push(number, base, digit))
            return false;
    }
    return text.size > 0;
}

/* A signed number of n bits reaches from -2^(n-1) to 2^(n-1) - 1, an unsigned one from 0 to 2^n - 1. */
static bool magnitude_fits(const struct magnitude *number, size_t size, bool is_signed)
{
    uint8_t digits[SIZE_MAX_BYTES];
    memcpy(digits, number->limb, sizeof digits);
    for (size_t idx = size; idx < sizeof digits; idx++) {
        if (digits[idx] != 0)
            return false;
    }
    if (number->negative && !is_signed)
        return limbs_used(number) == 0;
    if (!is_signed || digits[size - 1] < 0x80)
        return true;
    if (!number->negative || digits[size - 1] > 0x80)
        return false;
    for (size_t idx = 0; idx + 1 < size; idx++) {
        if (digits[idx] != 0)
            return false;
    }
    return true;
}

bool number_parse(bytes text, uint8_t *at, size_t size, bool is_signed)
{
    check(size >= 1 && size <= SIZE_MAX_BYTES);
    struct magnitude number = { 0 };
    if (text.size > 0 && (text.at[0] == '-' || text.at[0] == '+')) {
        number.negative = text.at[0] == '-';
        text = bytes_of(text.at + 1, text.size - 1);
    }
    uint32_t base = 10;
    if (text.size > 2 && text.at[0] == '0' && (text.at[1] | 0x20) == 'x') {
        base = 16;
        text = bytes_of(text.at + 2, text.size - 2);
    }
    if (!digits_parse(text, base, &number) || !magnitude_fits(&number, size, is_signed))
        return false;
    if (number.negative)
        magnitude_negate(&number);
    memcpy(at, number.limb, size);
    return true;
}

/* Whole numbers that a float or double holds exactly are written out; "%g" would round them or give
 * them an exponent. For the rest: a decimal of up to DBL_DIG digits survives the way through a normal
 * double, so that many digits, less the zeros that "%g" drops, is the shortest text if any text as short
 * reads back. A subnormal number has fewer good digits, so there the search begins at one. */
void double_print(struct buf *out, double value)
{
    check(isfinite(value));
    if (fabs(value) < 9007199254740992.0 && value == trunc(value)) {
        buf_put_format(out, "%.0f", value);
        return;
    }
    char text[40];
    for (int digits = isnormal(value) ? DBL_DIG : 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buf_put_text(out, text);
}

void float_print(struct buf *out, float value)
{
    check(isfinite(value));
    if (fabsf(value) < 16777216.0f && value == truncf(value)) {
        buf_put_format(out, "%.0f", (double)value);
        return;
    }
    char text[40];
    for (int digits = isnormal(value) ? FLT_DIG : 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    buf_put_text(out, text);
}
