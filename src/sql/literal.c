#include "sql/literal.h"

#include "base/text.h"

#include <stdlib.h>

/* The widest integer has 78 digits; a number with more is out of range whatever it is. */
enum { DIGITS_MAX = 80 };
/* Longer texts are no float: strtod() wants a terminated copy. */
enum { FLOAT_TEXT_MAX = 400 };

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_byte_array(const struct type *type)
{
    return type->kind == TYPE_ARRAY && type->element->kind == TYPE_U8;
}

bool literal_type_is_comparable(const struct type *type)
{
    switch (type->special) {
    case SPECIAL_IDENTITY:
    case SPECIAL_CONNECTION_ID:
    case SPECIAL_TIMESTAMP:
    case SPECIAL_UUID: return true;
    case SPECIAL_TIME_DURATION:
    case SPECIAL_OPTION:
    case SPECIAL_RESULT:
    case SPECIAL_SCHEDULE_AT: return false;
    case SPECIAL_NONE: break;
    }
    return type->kind == TYPE_BOOL || type->kind == TYPE_STRING || type_is_integer(type) || type_is_float(type) ||
           is_byte_array(type);
}

/* A decimal number taken apart: its value is digits * 10^exponent. Digits have no zeros at either end. When
 * there are DIGITS_MAX of them, more may have been dropped: no integer is that large. */
struct decimal {
    bool negative;
    uint32_t digit_count;
    uint8_t digits[DIGITS_MAX];
    int64_t exponent;
};

static void digit_add(struct decimal *decimal, uint8_t digit, uint32_t *zeros)
{
    if (digit == '0') {
        ++*zeros;
        return;
    }
    if (decimal->digit_count == 0)
        *zeros = 0;
    for (; *zeros > 0 && decimal->digit_count < DIGITS_MAX; --*zeros)
        decimal->digits[decimal->digit_count++] = '0';
    if (decimal->digit_count < DIGITS_MAX)
        decimal->digits[decimal->digit_count++] = digit;
}

/* An exponent as far as it matters: beyond the limit every number but zero is out of range. */
static bool exponent_read(bytes text, size_t *place, int64_t *exponent)
{
    const int64_t limit = 1000000;
    const bool negative = *place < text.size && text.at[*place] == '-';
    if (*place < text.size && (text.at[*place] == '-' || text.at[*place] == '+'))
        ++*place;
    const size_t first = *place;
    int64_t value = 0;
    for (; *place < text.size && is_digit(text.at[*place]); ++*place)
        value = value < limit ? value * 10 + (text.at[*place] - '0') : value;
    *exponent = negative ? -value : value;
    return *place > first;
}

static bool decimal_read(bytes text, struct decimal *decimal)
{
    *decimal = (struct decimal){ 0 };
    size_t place = 0;
    if (text.size > 0 && (text.at[0] == '-' || text.at[0] == '+'))
        decimal->negative = text.at[place++] == '-';

    uint32_t zeros = 0;
    size_t digits = 0, behind_point = 0;
    bool point = false;
    for (; place < text.size && (is_digit(text.at[place]) || (text.at[place] == '.' && !point)); place++) {
        if (text.at[place] == '.') {
            point = true;
            continue;
        }
        digit_add(decimal, text.at[place], &zeros);
        digits++;
        behind_point += point;
    }
    if (digits == 0)
        return false;
    int64_t exponent = 0;
    if (place < text.size && (text.at[place] == 'e' || text.at[place] == 'E')) {
        place++;
        if (!exponent_read(text, &place, &exponent))
            return false;
    }
    decimal->exponent += exponent + zeros - (int64_t)behind_point;
    return place == text.size;
}

static bool integer_read(const struct type *type, bytes text, struct buf *out)
{
    struct decimal decimal;
    if (!decimal_read(text, &decimal))
        return false;
    uint8_t plain[1 + DIGITS_MAX];
    size_t size = 0;
    if (decimal.digit_count == 0) {
        plain[size++] = '0';
    } else {
        if (decimal.exponent < 0 || decimal.digit_count + decimal.exponent > DIGITS_MAX)
            return false; /* a fraction, or out of range */
        if (decimal.negative)
            plain[size++] = '-';
        memcpy(plain + size, decimal.digits, decimal.digit_count);
        size += decimal.digit_count;
        memset(plain + size, '0', (size_t)decimal.exponent);
        size += (size_t)decimal.exponent;
    }
    uint8_t *value = buf_extend(out, (size_t)type->fixed_size);
    return number_parse(bytes_of(plain, size), value, (size_t)type->fixed_size, type_is_signed(type));
}

static bool text_is_word(bytes text, const char *word)
{
    if (text.size != strlen(word))
        return false;
    for (size_t idx = 0; idx < text.size; idx++)
        if ((text.at[idx] | 0x20) != word[idx])
            return false;
    return true;
}

/* strtod() takes more than numbers: hex floats, spaces, NaNs with a content. */
static bool text_is_float(bytes text)
{
    struct decimal decimal;
    if (decimal_read(text, &decimal))
        return true;
    if (text.size > 0 && (text.at[0] == '-' || text.at[0] == '+'))
        text = bytes_of(text.at + 1, text.size - 1);
    return text_is_word(text, "nan") || text_is_word(text, "inf") || text_is_word(text, "infinity");
}

static bool float_read(const struct type *type, bytes text, struct buf *out)
{
    char plain[FLOAT_TEXT_MAX + 1];
    if (text.size > FLOAT_TEXT_MAX || !text_is_float(text))
        return false;
    memcpy(plain, text.at, text.size);
    plain[text.size] = '\0';
    if (type->kind == TYPE_F32) {
        const float value = strtof(plain, NULL);
        buf_put(out, &value, sizeof value);
    } else {
        const double value = strtod(plain, NULL);
        buf_put(out, &value, sizeof value);
    }
    return true;
}

static bool bool_read(bytes text, struct buf *out)
{
    if (!text_is_word(text, "true") && !text_is_word(text, "false"))
        return false;
    buf_put_u8(out, text_is_word(text, "true"));
    return true;
}

static bool bytes_read(bytes digits, struct buf *out)
{
    if (digits.size % 2 != 0)
        return false;
    const size_t size = digits.size / 2;
    buf_put_u32(out, (uint32_t)size);
    return hex_decode(digits, buf_extend(out, size), size);
}

/* The digits of 0x… inside quotes; the lexer has taken the prefix off others. */
static bytes digits_of(const struct ast_literal *literal)
{
    const bytes text = literal->text;
    if (literal->kind == LITERAL_TEXT && text.size >= 2 && text.at[0] == '0' && (text.at[1] | 0x20) == 'x')
        return bytes_of(text.at + 2, text.size - 2);
    return text;
}

static bool identity_read(bytes digits, struct buf *out)
{
    identity value;
    if (digits.size != 2 * sizeof value.at || !identity_parse(digits, &value))
        return false;
    buf_put(out, value.at, sizeof value.at);
    return true;
}

static bool connection_id_read(bytes digits, struct buf *out)
{
    connection_id value;
    if (!connection_id_parse(digits, &value))
        return false;
    buf_put(out, value.at, sizeof value.at);
    return true;
}

static bool timestamp_read(bytes text, struct buf *out)
{
    int64_t micros;
    if (!timestamp_parse(text, &micros))
        return false;
    buf_put(out, &micros, sizeof micros);
    return true;
}

static bool uuid_read(bytes text, struct buf *out)
{
    uint8_t value[16];
    if (!uuid_parse(text, value))
        return false;
    buf_put(out, value, sizeof value);
    return true;
}

/* Which spellings a type takes, before the text is looked at. */
static bool kind_fits(const struct type *type, enum literal_kind kind)
{
    if (kind == LITERAL_TEXT)
        return true;
    if (kind == LITERAL_BOOL)
        return type->kind == TYPE_BOOL;
    if (kind == LITERAL_HEX)
        return type->special == SPECIAL_IDENTITY || type->special == SPECIAL_CONNECTION_ID || is_byte_array(type);
    return type_is_integer(type) || type_is_float(type) || type->kind == TYPE_STRING;
}

bool literal_read(const struct type *type, const struct ast_literal *literal, struct buf *out)
{
    if (!kind_fits(type, literal->kind))
        return false;
    if (type->special == SPECIAL_IDENTITY)
        return identity_read(digits_of(literal), out);
    if (type->special == SPECIAL_CONNECTION_ID)
        return connection_id_read(digits_of(literal), out);
    if (type->special == SPECIAL_TIMESTAMP)
        return timestamp_read(literal->text, out);
    if (type->special == SPECIAL_UUID)
        return uuid_read(literal->text, out);
    if (type->kind == TYPE_BOOL)
        return bool_read(literal->text, out);
    if (type_is_integer(type))
        return integer_read(type, literal->text, out);
    if (type_is_float(type))
        return float_read(type, literal->text, out);
    if (type->kind == TYPE_STRING) {
        buf_put_sized(out, literal->text);
        return true;
    }
    check(is_byte_array(type));
    return bytes_read(digits_of(literal), out);
}
