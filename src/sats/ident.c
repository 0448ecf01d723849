/* Identities, connection ids, moments and UUIDs between bytes and text. On the wire each is little-endian;
 * as text the most significant byte comes first. */
#include "sats/ident.h"

#include "base/hash.h"
#include "base/text.h"

#include <stdio.h>
#include <time.h>

enum { IDENTITY_PREFIX_SIZE = 2, IDENTITY_CHECKSUM_SIZE = 4, IDENTITY_HASH_SIZE = 26, DIGEST_SIZE = 32 };

_Static_assert(sizeof(identity) == 32, "an identity is moved as its bytes");
_Static_assert(sizeof(connection_id) == 16, "a connection id is moved as its bytes");
_Static_assert(IDENTITY_PREFIX_SIZE + IDENTITY_CHECKSUM_SIZE + IDENTITY_HASH_SIZE == sizeof(identity),
               "the parts fill the identity");

static void copy_reversed(uint8_t *to, const uint8_t *from, size_t size)
{
    for (size_t idx = 0; idx < size; idx++)
        to[idx] = from[size - 1 - idx];
}

/* In the order of the printed digits: prefix, checksum, hash. */
static identity identity_make(const uint8_t hash[static IDENTITY_HASH_SIZE])
{
    static const uint8_t prefix[IDENTITY_PREFIX_SIZE] = { 0xc2, 0x00 };
    uint8_t summed[IDENTITY_PREFIX_SIZE + IDENTITY_HASH_SIZE], checksum[DIGEST_SIZE], printed[sizeof(identity)];
    memcpy(summed, prefix, sizeof prefix);
    memcpy(summed + sizeof prefix, hash, IDENTITY_HASH_SIZE);
    blake3(summed, sizeof summed, checksum);

    memcpy(printed, prefix, sizeof prefix);
    memcpy(printed + IDENTITY_PREFIX_SIZE, checksum, IDENTITY_CHECKSUM_SIZE);
    memcpy(printed + IDENTITY_PREFIX_SIZE + IDENTITY_CHECKSUM_SIZE, hash, IDENTITY_HASH_SIZE);
    identity result;
    copy_reversed(result.at, printed, sizeof printed);
    return result;
}

bool identity_is_whole(const identity *value)
{
    uint8_t hash[IDENTITY_HASH_SIZE];
    copy_reversed(hash, value->at, sizeof hash); /* the last digits come first in memory */
    const identity made = identity_make(hash);
    return memcmp(&made, value, sizeof made) == 0;
}

identity identity_of_claims(bytes issuer, bytes subject)
{
    struct buf text;
    buf_init(&text);
    buf_put_bytes(&text, issuer);
    buf_put_u8(&text, '|');
    buf_put_bytes(&text, subject);

    uint8_t hash[DIGEST_SIZE];
    blake3(text.data, text.size, hash);
    buf_deinit(&text);
    return identity_make(hash);
}

bool identity_parse(bytes hex, identity *out)
{
    uint8_t printed[sizeof out->at];
    if (hex.size >= 2 && hex.at[0] == '0' && hex.at[1] == 'x')
        hex = bytes_of(hex.at + 2, hex.size - 2);
    if (!hex_decode(hex, printed, sizeof printed))
        return false;
    copy_reversed(out->at, printed, sizeof printed);
    return true;
}

void identity_print(struct buf *out, const identity *value)
{
    uint8_t printed[sizeof value->at];
    copy_reversed(printed, value->at, sizeof printed);
    hex_encode(out, bytes_of(printed, sizeof printed));
}

bool connection_id_parse(bytes hex, connection_id *out)
{
    uint8_t printed[sizeof out->at];
    if (!hex_decode(hex, printed, sizeof printed))
        return false;
    copy_reversed(out->at, printed, sizeof printed);
    return true;
}

void connection_id_print(struct buf *out, const connection_id *value)
{
    uint8_t printed[sizeof value->at];
    copy_reversed(printed, value->at, sizeof printed);
    hex_encode(out, bytes_of(printed, sizeof printed));
}

bool connection_id_is_none(const connection_id *value)
{
    static const connection_id none;
    return memcmp(value->at, none.at, sizeof none.at) == 0;
}

/* ---- timestamps ---- */

enum { MICROS_PER_SECOND = 1000000, FRACTION_DIGITS_MAX = 6 };

/* What is still to be read of a text; `failed` is sticky. */
struct text_reader {
    bytes left;
    bool failed;
};

static bool text_take(struct text_reader *text, char character)
{
    if (text->left.size == 0 || text->left.at[0] != (uint8_t)character)
        return false;
    text->left = bytes_of(text->left.at + 1, text->left.size - 1);
    return true;
}

static void text_expect(struct text_reader *text, char character)
{
    if (!text_take(text, character))
        text->failed = true;
}

/* Exactly `count` digits. */
static int text_digits(struct text_reader *text, size_t count)
{
    int value = 0;
    if (text->left.size < count)
        text->failed = true;
    for (size_t idx = 0; idx < count && !text->failed; idx++) {
        const uint8_t digit = text->left.at[idx];
        if (digit < '0' || digit > '9')
            text->failed = true;
        value = value * 10 + (digit - '0');
    }
    if (text->failed)
        return 0;
    text->left = bytes_of(text->left.at + count, text->left.size - count);
    return value;
}

/* Years beyond four digits carry a sign and six, as ISO 8601 spells them: int64 reaches the year 294247. */
static int text_year(struct text_reader *text)
{
    if (text_take(text, '+'))
        return text_digits(text, 6);
    if (text_take(text, '-'))
        return -text_digits(text, 6);
    return text_digits(text, 4);
}

static int text_fraction(struct text_reader *text)
{
    if (!text_take(text, '.'))
        return 0;
    int micros = 0;
    int count = 0;
    while (text->left.size > 0 && text->left.at[0] >= '0' && text->left.at[0] <= '9') {
        const int digit = text_digits(text, 1);
        if (++count <= FRACTION_DIGITS_MAX)
            micros = micros * 10 + digit;
    }
    if (count == 0 || count > FRACTION_DIGITS_MAX)
        text->failed = true;
    for (; count < FRACTION_DIGITS_MAX; count++)
        micros *= 10;
    return micros;
}

/* Seconds that local time is ahead. */
static int text_offset(struct text_reader *text)
{
    if (text_take(text, 'Z'))
        return 0;
    const int sign = text_take(text, '-') ? -1 : 1;
    if (sign > 0)
        text_expect(text, '+');
    const int hours = text_digits(text, 2);
    text_expect(text, ':');
    const int minutes = text_digits(text, 2);
    if (hours > 23 || minutes > 59)
        text->failed = true;
    return sign * (hours * 3600 + minutes * 60);
}

/* timegm() takes the 30th of February for the 1st or 2nd of March; a date that it moves is no date. */
static bool moment_seconds(struct tm moment, int64_t *seconds)
{
    struct tm moved = moment;
    *seconds = timegm(&moved);
    return moved.tm_mon == moment.tm_mon && moved.tm_mday == moment.tm_mday && moved.tm_hour == moment.tm_hour &&
           moved.tm_min == moment.tm_min && moved.tm_sec == moment.tm_sec;
}

bool timestamp_parse(bytes text, int64_t *micros)
{
    struct text_reader reader = { .left = text };
    struct tm moment = { 0 };
    moment.tm_year = text_year(&reader) - 1900;
    text_expect(&reader, '-');
    moment.tm_mon = text_digits(&reader, 2) - 1;
    text_expect(&reader, '-');
    moment.tm_mday = text_digits(&reader, 2);
    if (!text_take(&reader, 'T'))
        text_expect(&reader, ' ');
    moment.tm_hour = text_digits(&reader, 2);
    text_expect(&reader, ':');
    moment.tm_min = text_digits(&reader, 2);
    text_expect(&reader, ':');
    moment.tm_sec = text_digits(&reader, 2);
    const int fraction = text_fraction(&reader);
    const int offset = text_offset(&reader);

    int64_t seconds;
    if (reader.failed || reader.left.size > 0 || !moment_seconds(moment, &seconds))
        return false;
    const __int128 exact = (__int128)(seconds - offset) * MICROS_PER_SECOND + fraction;
    if (exact < INT64_MIN || exact > INT64_MAX)
        return false;
    *micros = (int64_t)exact;
    return true;
}

void timestamp_print(struct buf *out, int64_t micros)
{
    int64_t seconds = micros / MICROS_PER_SECOND;
    int fraction = (int)(micros % MICROS_PER_SECOND);
    if (fraction < 0) {
        fraction += MICROS_PER_SECOND;
        seconds--;
    }
    const time_t time = seconds;
    struct tm moment;
    check(gmtime_r(&time, &moment) != NULL);
    const int year = moment.tm_year + 1900;
    buf_put_format(out, year >= 0 && year <= 9999 ? "%04d" : "%+07d", year);
    buf_put_format(out, "-%02d-%02dT%02d:%02d:%02d.%06dZ", moment.tm_mon + 1, moment.tm_mday, moment.tm_hour,
                   moment.tm_min, moment.tm_sec, fraction);
}

/* ---- UUIDs ---- */

enum { UUID_SIZE = 16, UUID_TEXT_SIZE = 36 };

/* Bytes of each group in "f81d4fae-7dec-41d0-a765-00a0c91e6bf6". */
static const size_t uuid_groups[] = { 4, 2, 2, 2, 6 };

bool uuid_parse(bytes text, uint8_t out[16])
{
    uint8_t printed[UUID_SIZE];
    uint8_t *group = printed;
    if (text.size != UUID_TEXT_SIZE)
        return false;
    const uint8_t *at = text.at;
    for (size_t idx = 0; idx < COUNTOF(uuid_groups); idx++) {
        if (idx > 0 && *at++ != '-')
            return false;
        if (!hex_decode(bytes_of(at, 2 * uuid_groups[idx]), group, uuid_groups[idx]))
            return false;
        at += 2 * uuid_groups[idx];
        group += uuid_groups[idx];
    }
    copy_reversed(out, printed, sizeof printed);
    return true;
}

void uuid_print(struct buf *out, const uint8_t at[16])
{
    uint8_t printed[UUID_SIZE];
    copy_reversed(printed, at, sizeof printed);
    const uint8_t *group = printed;
    for (size_t idx = 0; idx < COUNTOF(uuid_groups); idx++) {
        if (idx > 0)
            buf_put_u8(out, '-');
        hex_encode(out, bytes_of(group, uuid_groups[idx]));
        group += uuid_groups[idx];
    }
}
