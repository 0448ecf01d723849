#include "net/claims.h"

enum { DEPTH_MAX = 32 };

struct claims claims_of(bytes text)
{
    if (text.size == 0)
        text = bytes_of("", 0);
    return (struct claims){ .at = text.at, .end = text.at + text.size };
}

static void skip_space(struct claims *claims)
{
    while (claims->at < claims->end &&
           (*claims->at == ' ' || *claims->at == '\t' || *claims->at == '\n' || *claims->at == '\r'))
        claims->at++;
}

static bool take(struct claims *claims, char wanted)
{
    if (claims->at == claims->end || *claims->at != (uint8_t)wanted)
        return false;
    claims->at++;
    return true;
}

static bool is_digit(const struct claims *claims)
{
    return claims->at < claims->end && *claims->at >= '0' && *claims->at <= '9';
}

static int hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool skip_escape(struct claims *claims)
{
    if (take(claims, 'u')) {
        for (int digit = 0; digit < 4; digit++, claims->at++)
            if (claims->at == claims->end || hex_value(*claims->at) < 0)
                return false;
        return true;
    }
    if (claims->at == claims->end || memchr("\"\\/bfnrt", *claims->at, 8) == NULL)
        return false;
    claims->at++;
    return true;
}

static bool skip_string(struct claims *claims)
{
    if (!take(claims, '"'))
        return false;
    while (claims->at < claims->end) {
        const uint8_t character = *claims->at++;
        if (character == '"')
            return true;
        if (character < 0x20 || (character == '\\' && !skip_escape(claims)))
            return false;
    }
    return false;
}

static bool skip_digits(struct claims *claims)
{
    if (!is_digit(claims))
        return false;
    while (is_digit(claims))
        claims->at++;
    return true;
}

static bool skip_number(struct claims *claims)
{
    (void)take(claims, '-');
    if (!take(claims, '0') && !skip_digits(claims))
        return false;
    if (take(claims, '.') && !skip_digits(claims))
        return false;
    if (take(claims, 'e') || take(claims, 'E')) {
        if (!take(claims, '+'))
            (void)take(claims, '-');
        return skip_digits(claims);
    }
    return true;
}

static bool skip_word(struct claims *claims, bytes word)
{
    if ((size_t)(claims->end - claims->at) < word.size || memcmp(claims->at, word.at, word.size) != 0)
        return false;
    claims->at += word.size;
    return true;
}

static bool skip_value(struct claims *claims, int depth);

/* The rest of an object or array after its opening bracket. */
static bool skip_members(struct claims *claims, char closing, int depth)
{
    skip_space(claims);
    if (take(claims, closing))
        return true;
    do {
        skip_space(claims);
        if (closing == '}') {
            if (!skip_string(claims))
                return false;
            skip_space(claims);
            if (!take(claims, ':'))
                return false;
        }
        if (!skip_value(claims, depth))
            return false;
        skip_space(claims);
    } while (take(claims, ','));
    return take(claims, closing);
}

static bool skip_value(struct claims *claims, int depth)
{
    if (depth > DEPTH_MAX)
        return false;
    skip_space(claims);
    if (claims->at == claims->end)
        return false;
    switch (*claims->at) {
    case '{': claims->at++; return skip_members(claims, '}', depth + 1);
    case '[': claims->at++; return skip_members(claims, ']', depth + 1);
    case '"': return skip_string(claims);
    case 't': return skip_word(claims, BYTES_LITERAL("true"));
    case 'f': return skip_word(claims, BYTES_LITERAL("false"));
    case 'n': return skip_word(claims, BYTES_LITERAL("null"));
    default: return skip_number(claims);
    }
}

static bool fail(struct claims *claims)
{
    claims->failed = true;
    return false;
}

/* At the closing brace nothing but space may be left. */
static bool finish(struct claims *claims)
{
    skip_space(claims);
    claims->ended = true;
    return claims->at == claims->end ? false : fail(claims);
}

/* Stands before the next member; false at the end. */
static bool another(struct claims *claims)
{
    skip_space(claims);
    if (claims->begun) {
        if (take(claims, ','))
            skip_space(claims);
        else
            return take(claims, '}') ? finish(claims) : fail(claims);
        return true;
    }
    claims->begun = true;
    if (!take(claims, '{'))
        return fail(claims);
    skip_space(claims);
    return take(claims, '}') ? finish(claims) : true;
}

bool claims_next(struct claims *claims, struct claim *claim)
{
    if (claims->failed || claims->ended || !another(claims))
        return false;
    const uint8_t *start = claims->at;
    if (!skip_string(claims))
        return fail(claims);
    claim->name = bytes_of(start + 1, (size_t)(claims->at - start) - 2);
    skip_space(claims);
    if (!take(claims, ':'))
        return fail(claims);
    skip_space(claims);
    start = claims->at;
    if (!skip_value(claims, 1))
        return fail(claims);
    claim->value = bytes_of(start, (size_t)(claims->at - start));
    return true;
}

static size_t put_utf8(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 63));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 63));
        out[2] = (char)(0x80 | (point & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 63));
    out[2] = (char)(0x80 | (point >> 6 & 63));
    out[3] = (char)(0x80 | (point & 63));
    return 4;
}

static uint32_t unit_at(const uint8_t *at)
{
    uint32_t unit = 0;
    for (int digit = 0; digit < 4; digit++)
        unit = unit << 4 | (uint32_t)hex_value(at[digit]);
    return unit;
}

/* The character of an escape whose letter is at *at; moves past it. 0: not a character that may stand here. */
static uint32_t escaped_point(const uint8_t **at, const uint8_t *end)
{
    const uint8_t letter = *(*at)++;
    switch (letter) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'u': break;
    default: return letter;
    }
    const uint32_t high = unit_at(*at);
    *at += 4;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
        return 0;
    const uint32_t low = unit_at(*at + 2);
    *at += 6;
    return low >= 0xdc00 && low <= 0xdfff ? 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00) : 0;
}

bool claims_string(bytes value, char *out, size_t size)
{
    if (value.size < 2 || value.at[0] != '"')
        return false;
    const uint8_t *at = value.at + 1, *end = value.at + value.size - 1;
    size_t used = 0;
    while (at < end) {
        char spelled[4] = { (char)*at };
        size_t count = 1;
        if (*at++ == '\\') {
            const uint32_t point = escaped_point(&at, end);
            if (point == 0)
                return false;
            count = put_utf8(point, spelled);
        }
        if (used + count >= size)
            return false;
        memcpy(out + used, spelled, count);
        used += count;
    }
    out[used] = '\0';
    return true;
}

bool claims_integer(bytes value, int64_t *out)
{
    size_t idx = value.size > 0 && value.at[0] == '-';
    const bool negative = idx == 1;
    if (value.size == idx || value.size - idx > 18)
        return false;
    int64_t number = 0;
    for (; idx < value.size; idx++) {
        if (value.at[idx] < '0' || value.at[idx] > '9')
            return false;
        number = number * 10 + (value.at[idx] - '0');
    }
    *out = negative ? -number : number;
    return true;
}
