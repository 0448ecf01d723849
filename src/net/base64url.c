#include "net/base64url.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(struct buf *out, bytes from)
{
    uint32_t bits = 0, bit_count = 0;
    for (size_t idx = 0; idx < from.size; idx++) {
        bits = bits << 8 | from.at[idx];
        for (bit_count += 8; bit_count >= 6; bit_count -= 6)
            buf_put_u8(out, (uint8_t)digits[bits >> (bit_count - 6) & 63]);
    }
    if (bit_count > 0)
        buf_put_u8(out, (uint8_t)digits[bits << (6 - bit_count) & 63]);
}

static int digit_value(uint8_t digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    return digit == '-' ? 62 : digit == '_' ? 63 : -1;
}

bool base64url_decode(struct buf *out, bytes text)
{
    const size_t before = out->size;
    uint32_t bits = 0, bit_count = 0;
    for (size_t idx = 0; idx < text.size; idx++) {
        const int value = digit_value(text.at[idx]);
        if (value < 0) {
            out->size = before;
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            buf_put_u8(out, (uint8_t)(bits >> bit_count));
        }
    }
    /* One digit alone carries no byte; bits beyond the last byte are zero in the one valid spelling. */
    if (bit_count == 6 || (bits & ((1u << bit_count) - 1)) != 0) {
        out->size = before;
        return false;
    }
    return true;
}
