/* Reading JSON words. */
#include "sats/json_scan.h"

#include "base/text.h"

struct json_scan json_scan_of(bytes text)
{
    return (struct json_scan){ .start = text.at, .at = text.at, .end = text.at + text.size, .problem = "" };
}

static bool refuse(struct json_scan *scan, const char *problem)
{
    scan->problem = problem;
    return false;
}

static void pass_space(struct json_scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

enum json_word json_scan_peek(struct json_scan *scan)
{
    pass_space(scan);
    if (scan->at == scan->end)
        return JSON_END;
    switch (*scan->at) {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't':
    case 'f': return JSON_BOOL;
    case 'n': return JSON_NULL;
    case '-': return JSON_NUMBER;
    default: return *scan->at >= '0' && *scan->at <= '9' ? JSON_NUMBER : JSON_OTHER;
    }
}

bool json_scan_take(struct json_scan *scan, char punctuation)
{
    pass_space(scan);
    if (scan->at == scan->end || *scan->at != (uint8_t)punctuation)
        return false;
    scan->at++;
    return true;
}

static bool take_word(struct json_scan *scan, const char *word)
{
    const size_t size = strlen(word);
    if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0)
        return false;
    scan->at += size;
    return true;
}

bool json_scan_bool(struct json_scan *scan, bool *value)
{
    *value = scan->at < scan->end && *scan->at == 't';
    return take_word(scan, *value ? "true" : "false") || refuse(scan, "unknown word");
}

bool json_scan_null(struct json_scan *scan)
{
    return take_word(scan, "null") || refuse(scan, "unknown word");
}

static size_t pass_digits(struct json_scan *scan)
{
    const uint8_t *first = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return (size_t)(scan->at - first);
}

static bool take_byte(struct json_scan *scan, char byte)
{
    if (scan->at == scan->end || *scan->at != (uint8_t)byte)
        return false;
    scan->at++;
    return true;
}

bool json_scan_number(struct json_scan *scan, bytes *number, bool *is_whole)
{
    const uint8_t *first = scan->at;
    *is_whole = true;
    take_byte(scan, '-');
    const bool leading_zero = scan->at < scan->end && *scan->at == '0';
    const size_t digits = pass_digits(scan);
    if (digits == 0 || (leading_zero && digits > 1))
        return refuse(scan, "malformed number");
    if (take_byte(scan, '.')) {
        *is_whole = false;
        if (pass_digits(scan) == 0)
            return refuse(scan, "malformed number");
    }
    if (take_byte(scan, 'e') || take_byte(scan, 'E')) {
        *is_whole = false;
        if (!take_byte(scan, '+'))
            take_byte(scan, '-');
        if (pass_digits(scan) == 0)
            return refuse(scan, "malformed number");
    }
    *number = bytes_of(first, (size_t)(scan->at - first));
    return true;
}

/* The four digits of "\uXXXX". */
static bool scan_code_unit(struct json_scan *scan, uint32_t *unit)
{
    uint8_t decoded[2];
    if (scan->end - scan->at < 4 || !hex_decode(bytes_of(scan->at, 4), decoded, 2))
        return false;
    scan->at += 4;
    *unit = (uint32_t)decoded[0] << 8 | decoded[1];
    return true;
}

static void put_character(struct buf *out, uint32_t character)
{
    if (character < 0x80) {
        buf_put_u8(out, (uint8_t)character);
        return;
    }
    if (character < 0x800) {
        buf_put_u8(out, (uint8_t)(0xc0 | character >> 6));
    } else {
        if (character < 0x10000) {
            buf_put_u8(out, (uint8_t)(0xe0 | character >> 12));
        } else {
            buf_put_u8(out, (uint8_t)(0xf0 | character >> 18));
            buf_put_u8(out, (uint8_t)(0x80 | (character >> 12 & 0x3f)));
        }
        buf_put_u8(out, (uint8_t)(0x80 | (character >> 6 & 0x3f)));
    }
    buf_put_u8(out, (uint8_t)(0x80 | (character & 0x3f)));
}

/* Behind "\u". Characters beyond U+FFFF come as a pair of surrogates; UTF-8 has no place for half of one. */
static bool scan_unicode_escape(struct json_scan *scan, struct buf *out)
{
    uint32_t character;
    if (!scan_code_unit(scan, &character))
        return refuse(scan, "malformed \\u escape");
    if (character >= 0xd800 && character <= 0xdfff) {
        uint32_t low;
        if (character > 0xdbff || !take_word(scan, "\\u") || !scan_code_unit(scan, &low) || low < 0xdc00 ||
            low > 0xdfff)
            return refuse(scan, "half of a surrogate pair");
        character = 0x10000 + ((character - 0xd800) << 10) + (low - 0xdc00);
    }
    put_character(out, character);
    return true;
}

/* Behind the backslash. */
static bool scan_escape(struct json_scan *scan, struct buf *out)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (take_byte(scan, 'u'))
        return scan_unicode_escape(scan, out);
    const char *letter = scan->at < scan->end && *scan->at != 0 ? strchr(letters, *scan->at) : NULL;
    if (letter == NULL)
        return refuse(scan, "unknown escape");
    scan->at++;
    buf_put_u8(out, (uint8_t)meanings[letter - letters]);
    return true;
}

static bool scan_string_body(struct json_scan *scan, struct buf *out)
{
    check(take_byte(scan, '"'));
    for (;;) {
        const uint8_t *run = scan->at;
        while (scan->at < scan->end && *scan->at >= 0x20 && *scan->at != '"' && *scan->at != '\\')
            scan->at++;
        buf_put(out, run, (size_t)(scan->at - run));
        if (scan->at == scan->end)
            return refuse(scan, "string without an end");
        if (take_byte(scan, '"'))
            return true;
        if (!take_byte(scan, '\\'))
            return refuse(scan, "control character in a string");
        if (!scan_escape(scan, out))
            return false;
    }
}

bool json_scan_string(struct json_scan *scan, struct buf *out)
{
    const size_t before = out->size;
    if (!scan_string_body(scan, out))
        return false;
    /* No escape makes or completes a byte sequence, so checking the decoded string checks the text. */
    if (out->size > before && !text_is_utf8(bytes_of(out->data + before, out->size - before)))
        return refuse(scan, "string that is not valid UTF-8");
    return true;
}

/* Stands behind the opening quote, ends behind the closing one. */
static bool skip_string(struct json_scan *scan)
{
    while (scan->at < scan->end) {
        const uint8_t byte = *scan->at++;
        if (byte == '"')
            return true;
        if (byte == '\\' && scan->at < scan->end)
            scan->at++;
    }
    return refuse(scan, "string without an end");
}

bool json_scan_skip(struct json_scan *scan, bytes *span)
{
    const uint8_t *first = scan->at;
    size_t open = 0;
    while (scan->at < scan->end) {
        const uint8_t byte = *scan->at;
        const bool closes = byte == '}' || byte == ']';
        if (open == 0 && (closes || byte == ',')) {
            *span = bytes_of(first, (size_t)(scan->at - first));
            return true;
        }
        scan->at++;
        if (byte == '"' && !skip_string(scan))
            return false;
        open += (byte == '{' || byte == '[');
        open -= closes;
    }
    return refuse(scan, "unexpected end");
}
