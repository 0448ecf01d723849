/* json_scan — the words of a JSON text, one after the other.
 *
 * Knows the grammar of RFC 8259 and no types. A scan never reads past its end, allocates only for the
 * strings it is told to decode, and does not recurse. */
#pragma once

#include "base/buf.h"

enum json_word {
    JSON_END,
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_BOOL,
    JSON_NULL,
    JSON_OTHER, /* nothing that begins a value */
};

struct json_scan {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
    const char *problem; /* of the last function that returned false */
};

struct json_scan json_scan_of(bytes text);

/* What comes next; white space before it is passed over. */
enum json_word json_scan_peek(struct json_scan *scan);

/* Takes this one character of punctuation if it comes next. */
bool json_scan_take(struct json_scan *scan, char punctuation);

/* These expect what json_scan_peek() announced. */
bool json_scan_bool(struct json_scan *scan, bool *value);
bool json_scan_null(struct json_scan *scan);
bool json_scan_number(struct json_scan *scan, bytes *number, bool *is_whole); /* is_whole: no point, no exponent */
bool json_scan_string(struct json_scan *scan, struct buf *out);               /* appends it, decoded; valid UTF-8 */

/* Passes over one value, whatever it is, only looking for its end: inside, brackets are counted and
 * strings are recognised, nothing more. Who reads the span later finds what is wrong in it. */
bool json_scan_skip(struct json_scan *scan, bytes *span);
