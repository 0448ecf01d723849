/* UTF-8, hex, and names. */
#include "base/text.h"

#include "base/buf.h"

enum { NUMBERED_DIGITS = 20 }; /* as many as a u64 has */

/* The size of the character at `at`, or 0 when no valid one begins there. The bounds of the second byte
 * are what keeps out overlong forms, surrogates, and all beyond U+10FFFF. */
static size_t character_size(const uint8_t *at, size_t left)
{
    const uint8_t first = at[0];
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t size = 0;
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf) {
        size = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        size = 3;
        low = first == 0xe0 ? 0xa0 : 0x80;
        high = first == 0xed ? 0x9f : 0xbf;
    } else if (first >= 0xf0 && first <= 0xf4) {
        size = 4;
        low = first == 0xf0 ? 0x90 : 0x80;
        high = first == 0xf4 ? 0x8f : 0xbf;
    }
    if (size == 0 || left < size || at[1] < low || at[1] > high)
        return 0;
    for (size_t idx = 2; idx < size; idx++) {
        if ((at[idx] & 0xc0) != 0x80)
            return 0;
    }
    return size;
}

static bool is_ascii_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return (word & 0x8080808080808080ull) == 0;
}

bool text_is_utf8(bytes text)
{
    const uint8_t *at = text.at;
    size_t left = text.size;
    while (left > 0) {
        const size_t size = left >= 8 && is_ascii_word(at) ? 8 : character_size(at, left);
        if (size == 0)
            return false;
        at += size;
        left -= size;
    }
    return true;
}

void hex_encode(struct buf *out, bytes from)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *at = buf_extend(out, from.size * 2);
    for (size_t idx = 0; idx < from.size; idx++) {
        at[2 * idx] = (uint8_t)digits[from.at[idx] >> 4];
        at[2 * idx + 1] = (uint8_t)digits[from.at[idx] & 15];
    }
}

static int hex_digit(uint8_t character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    const uint8_t lower = character | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool hex_decode(bytes text, uint8_t *out, size_t size)
{
    if (text.size % 2 != 0 || text.size / 2 != size)
        return false;
    for (size_t idx = 0; idx < size; idx++) {
        const int high = hex_digit(text.at[2 * idx]);
        const int low = hex_digit(text.at[2 * idx + 1]);
        if (high < 0 || low < 0)
            return false;
        out[idx] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Longer names are nobody's slip of the finger. */
enum { NEAREST_NAME_MAX = 64 };

static uint8_t lower_case(uint8_t character)
{
    return character >= 'A' && character <= 'Z' ? character | 0x20 : character;
}

static size_t smaller(size_t left, size_t right)
{
    return left < right ? left : right;
}

/* How many characters to insert, delete, replace or swap with their neighbour; case does not count.
 * Both at most NEAREST_NAME_MAX long. rows[0] is the row at hand, rows[1] and rows[2] those before. */
static size_t edit_distance(bytes left, bytes right)
{
    size_t rows[3][NEAREST_NAME_MAX + 1] = { 0 };
    for (size_t column = 0; column <= right.size; column++)
        rows[0][column] = column;

    for (size_t row = 1; row <= left.size; row++) {
        memcpy(rows[2], rows[1], sizeof rows[2]);
        memcpy(rows[1], rows[0], sizeof rows[1]);
        rows[0][0] = row;
        const uint8_t here = lower_case(left.at[row - 1]);
        for (size_t column = 1; column <= right.size; column++) {
            const uint8_t there = lower_case(right.at[column - 1]);
            size_t best = smaller(rows[1][column], rows[0][column - 1]) + 1;
            best = smaller(best, rows[1][column - 1] + (here != there));
            if (row > 1 && column > 1 && here == lower_case(right.at[column - 2]) &&
                there == lower_case(left.at[row - 2]))
                best = smaller(best, rows[2][column - 2] + 1);
            rows[0][column] = best;
        }
    }
    return rows[0][right.size];
}

int text_nearest(bytes wanted, const bytes *names, size_t count)
{
    if (wanted.size == 0 || wanted.size > NEAREST_NAME_MAX)
        return -1;
    const size_t tolerance = wanted.size == 1 ? 0 : wanted.size < 6 ? 1 : wanted.size / 3;
    size_t best = tolerance + 1;
    int nearest = -1;
    for (size_t idx = 0; idx < count; idx++) {
        const bytes name = names[idx];
        if (name.size > NEAREST_NAME_MAX || name.size > wanted.size + tolerance || wanted.size > name.size + tolerance)
            continue;
        const size_t distance = edit_distance(wanted, name);
        if (distance < best) {
            best = distance;
            nearest = (int)idx;
        }
    }
    return nearest;
}

bool text_numbered(const char *name, const char *suffix, uint64_t *number)
{
    uint64_t value = 0;
    for (int idx = 0; idx < NUMBERED_DIGITS; idx++) {
        const char digit = name[idx];
        if (digit < '0' || digit > '9' || value > (UINT64_MAX - (uint64_t)(digit - '0')) / 10)
            return false;
        value = value * 10 + (uint64_t)(digit - '0');
    }
    *number = value;
    return strcmp(name + NUMBERED_DIGITS, suffix) == 0;
}
