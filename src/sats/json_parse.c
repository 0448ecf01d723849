/* From SATS-JSON to BSATN.
 *
 * The value is written while the text is read. Only fields that come out of order need care: an object's
 * field that is not the next one of its product is passed over, its span noted, and read when its turn
 * comes. A text in order is read once; at worst each level of nesting reads its part once more. */
#include "sats/json.h"

#include "base/text.h"
#include "sats/bsatn.h"
#include "sats/ident.h"
#include "sats/json_scan.h"
#include "sats/trail.h"

#include <math.h>
#include <stdlib.h>

/* A 256-bit number has 78 digits; of a longer one, this many are shown. */
enum { NUMBER_SHOWN_MAX = 80 };

struct parsing {
    struct json_scan scan;
    struct buf *out;
    struct buf word;     /* owned: the key or token at hand */
    struct buf spans;    /* owned: a stack of `bytes`, one frame per open object */
    uint32_t empty_left; /* BSATN_EMPTY_ELEMENTS_MAX, less those seen */
    struct diag *diag;
    struct trail trail;
};

static err parse_value(struct parsing *parsing, const struct type *type);

/* ---- refusing ---- */

static const char *word_name(enum json_word word)
{
    switch (word) {
    case JSON_END: return "the end of the text";
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_NUMBER: return "a number";
    case JSON_BOOL: return "a bool";
    case JSON_NULL: return "null";
    case JSON_OTHER: return "something that is not JSON";
    }
    unreachable();
}

/* "expected f32, found a string" */
static err refuse_found(struct parsing *parsing, const struct type *type, const char *found)
{
    struct buf name;
    buf_init(&name);
    type_print(&name, type);
    const err code =
        diag_set(parsing->diag, ERR_BAD_VALUE, "expected %.*s, found %s", BYTES_FORMAT(buf_bytes(&name)), found);
    buf_deinit(&name);
    return code;
}

static err refuse_kind(struct parsing *parsing, const struct type *type)
{
    return refuse_found(parsing, type, word_name(json_scan_peek(&parsing->scan)));
}

static err refuse_text(struct parsing *parsing, const char *problem)
{
    return diag_set(parsing->diag, ERR_BAD_VALUE, "the JSON text is broken at byte %zu: %s",
                    (size_t)(parsing->scan.at - parsing->scan.start), problem);
}

static err refuse_number(struct parsing *parsing, const struct type *type, bytes number)
{
    struct buf found;
    buf_init(&found);
    const size_t shown = number.size < NUMBER_SHOWN_MAX ? number.size : NUMBER_SHOWN_MAX;
    buf_put_format(&found, "%.*s%s", (int)shown, (const char *)number.at, shown < number.size ? "…" : "");
    buf_put_u8(&found, 0);
    const err code = refuse_found(parsing, type, (const char *)found.data);
    buf_deinit(&found);
    return code;
}

/* ---- scalars ---- */

static err parse_bool(struct parsing *parsing, const struct type *type)
{
    bool value;
    if (json_scan_peek(&parsing->scan) != JSON_BOOL)
        return refuse_kind(parsing, type);
    if (!json_scan_bool(&parsing->scan, &value))
        return refuse_text(parsing, parsing->scan.problem);
    buf_put_u8(parsing->out, value);
    return OK;
}

static err parse_string(struct parsing *parsing, const struct type *type)
{
    if (json_scan_peek(&parsing->scan) != JSON_STRING)
        return refuse_kind(parsing, type);
    const size_t start = parsing->out->size;
    buf_put_u32(parsing->out, 0);
    if (!json_scan_string(&parsing->scan, parsing->out))
        return refuse_text(parsing, parsing->scan.problem);
    const uint32_t size = (uint32_t)(parsing->out->size - start - 4);
    memcpy(parsing->out->data + start, &size, sizeof size);
    return OK;
}

/* Reads the string that comes next into `word`. */
static err parse_word(struct parsing *parsing)
{
    buf_clear(&parsing->word);
    if (!json_scan_string(&parsing->scan, &parsing->word))
        return refuse_text(parsing, parsing->scan.problem);
    return OK;
}

static err parse_integer(struct parsing *parsing, const struct type *type)
{
    bytes number;
    bool is_whole;
    if (json_scan_peek(&parsing->scan) != JSON_NUMBER)
        return refuse_kind(parsing, type);
    if (!json_scan_number(&parsing->scan, &number, &is_whole))
        return refuse_text(parsing, parsing->scan.problem);

    uint8_t value[16];
    const size_t size = (size_t)type->fixed_size;
    if (!is_whole || !number_parse(number, value, size, type_is_signed(type)))
        return refuse_number(parsing, type, number);
    buf_put(parsing->out, value, size);
    return OK;
}

static bool has_hex_prefix(bytes text)
{
    if (text.size > 0 && (text.at[0] == '-' || text.at[0] == '+'))
        text = bytes_of(text.at + 1, text.size - 1);
    return text.size > 2 && text.at[0] == '0' && text.at[1] == 'x';
}

/* The 256-bit integers, as strings "0x…". */
static err parse_wide_integer(struct parsing *parsing, const struct type *type)
{
    if (json_scan_peek(&parsing->scan) != JSON_STRING)
        return refuse_kind(parsing, type);
    TRY(parse_word(parsing));
    uint8_t value[32];
    const bytes text = buf_bytes(&parsing->word);
    if (!has_hex_prefix(text) || !number_parse(text, value, sizeof value, type_is_signed(type)))
        return refuse_found(parsing, type, "a string that is not \"0x\" and fitting hex digits");
    buf_put(parsing->out, value, sizeof value);
    return OK;
}

/* Rounded once, to the width of the type. What rounds to infinity does not fit. */
static err parse_float(struct parsing *parsing, const struct type *type)
{
    bytes number;
    bool is_whole;
    if (json_scan_peek(&parsing->scan) != JSON_NUMBER)
        return refuse_kind(parsing, type);
    if (!json_scan_number(&parsing->scan, &number, &is_whole))
        return refuse_text(parsing, parsing->scan.problem);

    buf_clear(&parsing->word);
    buf_put_bytes(&parsing->word, number);
    buf_put_u8(&parsing->word, 0); /* for strtod */
    const char *text = (const char *)parsing->word.data;
    if (type->kind == TYPE_F32) {
        const float value = strtof(text, NULL);
        buf_put(parsing->out, &value, sizeof value);
        return isfinite(value) ? OK : refuse_number(parsing, type, number);
    }
    const double value = strtod(text, NULL);
    buf_put(parsing->out, &value, sizeof value);
    return isfinite(value) ? OK : refuse_number(parsing, type, number);
}

/* ---- arrays ---- */

static err parse_hex(struct parsing *parsing, const struct type *type)
{
    TRY(parse_word(parsing));
    const size_t size = parsing->word.size / 2;
    buf_put_u32(parsing->out, (uint32_t)size);
    if (parsing->word.size > 0 && !hex_decode(buf_bytes(&parsing->word), buf_extend(parsing->out, size), size))
        return refuse_found(parsing, type, "a string that is not hex, two digits a byte");
    return OK;
}

static err parse_element(struct parsing *parsing, const struct type *element)
{
    if (element->min_size == 0 && parsing->empty_left-- == 0)
        return diag_set(parsing->diag, ERR_BAD_VALUE, "more than %d elements that hold nothing",
                        BSATN_EMPTY_ELEMENTS_MAX);
    return parse_value(parsing, element);
}

static err parse_array(struct parsing *parsing, const struct type *type)
{
    if (type->element->kind == TYPE_U8 && json_scan_peek(&parsing->scan) == JSON_STRING)
        return parse_hex(parsing, type);
    if (!json_scan_take(&parsing->scan, '['))
        return refuse_kind(parsing, type);

    const size_t start = parsing->out->size;
    uint32_t count = 0;
    buf_put_u32(parsing->out, 0);
    while (!json_scan_take(&parsing->scan, ']')) {
        if (count > 0 && !json_scan_take(&parsing->scan, ','))
            return refuse_text(parsing, "expected \",\" or \"]\"");
        const err code = parse_element(parsing, type->element);
        if (code != OK) {
            trail_add_place(&parsing->trail, count);
            return code;
        }
        count++;
    }
    memcpy(parsing->out->data + start, &count, sizeof count);
    return OK;
}

/* ---- products ---- */

static err parse_field(struct parsing *parsing, const struct type *type, uint32_t idx)
{
    const err code = parse_value(parsing, type->fields[idx].type);
    if (code != OK)
        trail_add_field(&parsing->trail, type->fields[idx].name, idx);
    return code;
}

/* What is wrong with the field as a whole: "it is missing". */
static err refuse_field(struct parsing *parsing, const struct type *type, uint32_t idx, const char *problem)
{
    trail_add_field(&parsing->trail, type->fields[idx].name, idx);
    return diag_set(parsing->diag, ERR_BAD_VALUE, "%s", problem);
}

/* A product as an array: fields by place. */
static err parse_elements(struct parsing *parsing, const struct type *type)
{
    for (uint32_t idx = 0; idx < type->count; idx++) {
        if (json_scan_take(&parsing->scan, ']'))
            return refuse_field(parsing, type, idx, "it is missing");
        if (idx > 0 && !json_scan_take(&parsing->scan, ','))
            return refuse_text(parsing, "expected \",\"");
        TRY(parse_field(parsing, type, idx));
    }
    if (json_scan_take(&parsing->scan, ']'))
        return OK;
    const enum json_word next = json_scan_peek(&parsing->scan);
    if (next == JSON_END || (type->count > 0 && *parsing->scan.at != ','))
        return refuse_text(parsing, "expected \"]\"");
    return diag_set(parsing->diag, ERR_BAD_VALUE, "expected %u values, found more", type->count);
}

/* The place of the field called `word`, looked for from `guess` on, since texts are mostly in order. */
static bool find_field(const struct type *type, bytes word, uint32_t guess, uint32_t *found)
{
    for (uint32_t step = 0; step < type->count; step++) {
        const uint32_t idx = (guess + step) % type->count;
        if (type->fields[idx].name.at != NULL && bytes_equal(type->fields[idx].name, word)) {
            *found = idx;
            return true;
        }
    }
    return false;
}

/* The name at hand is none of the product's. */
static err refuse_name(struct parsing *parsing, const struct type *type)
{
    struct buf name;
    buf_init(&name);
    type_print(&name, type);
    const err code = diag_set(parsing->diag, ERR_BAD_VALUE, "there is no \"%.*s\" in %.*s",
                              BYTES_FORMAT(buf_bytes(&parsing->word)), BYTES_FORMAT(buf_bytes(&name)));
    buf_deinit(&name);
    return code;
}

/* Reads a field that was passed over. */
static err parse_span(struct parsing *parsing, const struct type *type, uint32_t idx, bytes span)
{
    const struct json_scan outer = parsing->scan;
    parsing->scan.at = span.at;
    parsing->scan.end = span.at + span.size;
    TRY(parse_field(parsing, type, idx));
    if (json_scan_peek(&parsing->scan) != JSON_END)
        return refuse_text(parsing, "expected \",\" or \"}\"");
    parsing->scan = outer;
    return OK;
}

static bytes *span_at(struct parsing *parsing, size_t frame, uint32_t idx)
{
    return (bytes *)(void *)(parsing->spans.data + frame) + idx;
}

/* One `"name": value`. *next is the field to be written next; all before it are written. */
static err parse_member(struct parsing *parsing, const struct type *type, size_t frame, uint32_t *next)
{
    uint32_t idx;
    if (json_scan_peek(&parsing->scan) != JSON_STRING)
        return refuse_text(parsing, "expected a name in quotes");
    TRY(parse_word(parsing));
    if (!json_scan_take(&parsing->scan, ':'))
        return refuse_text(parsing, "expected \":\"");
    if (!find_field(type, buf_bytes(&parsing->word), *next, &idx))
        return refuse_name(parsing, type);
    if (idx < *next || span_at(parsing, frame, idx)->at != NULL)
        return refuse_field(parsing, type, idx, "it is there twice");

    if (idx != *next) {
        if (!json_scan_skip(&parsing->scan, span_at(parsing, frame, idx)))
            return refuse_text(parsing, parsing->scan.problem);
        return OK;
    }
    TRY(parse_field(parsing, type, idx));
    for (++*next; *next < type->count && span_at(parsing, frame, *next)->at != NULL; ++*next)
        TRY(parse_span(parsing, type, *next, *span_at(parsing, frame, *next)));
    return OK;
}

/* A product as an object: fields by name. A refusal leaves the frame behind; parsing ends with it. */
static err parse_members(struct parsing *parsing, const struct type *type)
{
    const size_t frame = parsing->spans.size;
    const size_t frame_size = type->count * sizeof(bytes);
    if (frame_size > 0)
        memset(buf_extend(&parsing->spans, frame_size), 0, frame_size);

    uint32_t next = 0;
    for (bool first = true; !json_scan_take(&parsing->scan, '}'); first = false) {
        if (!first && !json_scan_take(&parsing->scan, ','))
            return refuse_text(parsing, "expected \",\" or \"}\"");
        TRY(parse_member(parsing, type, frame, &next));
    }
    if (next < type->count)
        return refuse_field(parsing, type, next, "it is missing");
    parsing->spans.size = frame;
    return OK;
}

/* An identity or a connection id as one string of hex digits, the way both are printed. */
static err parse_hex_id(struct parsing *parsing, const struct type *type)
{
    TRY(parse_word(parsing));
    const bytes text = buf_bytes(&parsing->word);
    identity who;
    connection_id connection;
    if (type->special == SPECIAL_IDENTITY && identity_parse(text, &who))
        buf_put(parsing->out, &who, sizeof who);
    else if (type->special == SPECIAL_CONNECTION_ID && connection_id_parse(text, &connection))
        buf_put(parsing->out, &connection, sizeof connection);
    else
        return refuse_found(parsing, type, "a string that is not its hex digits");
    return OK;
}

static err parse_product(struct parsing *parsing, const struct type *type)
{
    const bool is_id = type->special == SPECIAL_IDENTITY || type->special == SPECIAL_CONNECTION_ID;
    if (is_id && json_scan_peek(&parsing->scan) == JSON_STRING)
        return parse_hex_id(parsing, type);
    if (json_scan_take(&parsing->scan, '{'))
        return parse_members(parsing, type);
    if (json_scan_take(&parsing->scan, '['))
        return parse_elements(parsing, type);
    return refuse_kind(parsing, type);
}

/* ---- sums ---- */

/* A variant by its number: decimal digits as one writes them, "0" but not "00". */
static bool find_tag(const struct type *type, bytes word, uint32_t *tag)
{
    if (word.size == 0 || word.size > 3 || (word.at[0] == '0' && word.size > 1))
        return false;
    *tag = 0;
    for (size_t idx = 0; idx < word.size; idx++) {
        if (word.at[idx] < '0' || word.at[idx] > '9')
            return false;
        *tag = *tag * 10 + (uint32_t)(word.at[idx] - '0');
    }
    return *tag < type->count;
}

static err refuse_variant(struct parsing *parsing, const struct type *type, bytes word)
{
    struct buf name;
    buf_init(&name);
    type_print(&name, type);
    const err code = diag_set(parsing->diag, ERR_BAD_VALUE, "there is no variant \"%.*s\" in %.*s", BYTES_FORMAT(word),
                              BYTES_FORMAT(buf_bytes(&name)));
    buf_deinit(&name);
    return code;
}

/* Reads what names the variant and writes the tag: its name or number in quotes, or its bare number. */
static err parse_tag(struct parsing *parsing, const struct type *type, bool takes_number, uint32_t *tag)
{
    bytes name;
    bool is_whole, found;
    const enum json_word word = json_scan_peek(&parsing->scan);
    if (word == JSON_STRING) {
        TRY(parse_word(parsing));
        name = buf_bytes(&parsing->word);
        found = find_field(type, name, 0, tag) || find_tag(type, name, tag);
    } else if (word == JSON_NUMBER && takes_number) {
        if (!json_scan_number(&parsing->scan, &name, &is_whole))
            return refuse_text(parsing, parsing->scan.problem);
        found = find_tag(type, name, tag);
    } else {
        return diag_set(parsing->diag, ERR_BAD_VALUE, "expected the name of a variant, found %s", word_name(word));
    }
    if (!found)
        return refuse_variant(parsing, type, name);
    buf_put_u8(parsing->out, (uint8_t)*tag);
    return OK;
}

/* The part behind the opening bracket: tag, separator, payload, closing bracket. */
static err parse_variant(struct parsing *parsing, const struct type *type, bool is_object)
{
    uint32_t tag = 0;
    TRY(parse_tag(parsing, type, !is_object, &tag));
    if (!json_scan_take(&parsing->scan, is_object ? ':' : ','))
        return refuse_text(parsing, is_object ? "expected \":\"" : "expected \",\" and the variant's value");
    TRY(parse_field(parsing, type, tag));
    if (!json_scan_take(&parsing->scan, is_object ? '}' : ']'))
        return refuse_text(parsing, is_object ? "expected \"}\"" : "expected \"]\"");
    return OK;
}

static err parse_sum(struct parsing *parsing, const struct type *type)
{
    enum { TAG_NONE = 1 };
    if (type->special == SPECIAL_OPTION && json_scan_peek(&parsing->scan) == JSON_NULL) {
        if (!json_scan_null(&parsing->scan))
            return refuse_text(parsing, parsing->scan.problem);
        buf_put_u8(parsing->out, TAG_NONE);
        return OK;
    }
    if (json_scan_take(&parsing->scan, '{'))
        return parse_variant(parsing, type, true);
    if (json_scan_take(&parsing->scan, '['))
        return parse_variant(parsing, type, false);
    return refuse_kind(parsing, type);
}

/* ---- values ---- */

static err parse_value(struct parsing *parsing, const struct type *type)
{
    switch (type->kind) {
    case TYPE_SUM: return parse_sum(parsing, type);
    case TYPE_PRODUCT: return parse_product(parsing, type);
    case TYPE_ARRAY: return parse_array(parsing, type);
    case TYPE_STRING: return parse_string(parsing, type);
    case TYPE_BOOL: return parse_bool(parsing, type);
    case TYPE_I256:
    case TYPE_U256: return parse_wide_integer(parsing, type);
    case TYPE_F32:
    case TYPE_F64: return parse_float(parsing, type);
    case TYPE_REF: unreachable();
    default: return parse_integer(parsing, type);
    }
}

static err parse_text(struct parsing *parsing, const struct type *type)
{
    TRY(parse_value(parsing, type));
    if (json_scan_peek(&parsing->scan) != JSON_END)
        return refuse_text(parsing, "there is more text behind the value");
    return OK;
}

/* `noun` is what the value is a list of, or NULL. */
static err parse_all(const struct type *type, bytes text, const char *noun, struct buf *out, struct diag *diag)
{
    if (type->depth > BSATN_DEPTH_MAX) /* T4 */
        return diag_set(diag, ERR_BAD_VALUE, "the type is nested deeper than %d levels", BSATN_DEPTH_MAX);
    if (text.size >= UINT32_MAX) /* so that every count and size in it fits 32 bits */
        return diag_set(diag, ERR_TOO_LARGE, "the JSON text is larger than 4 GiB");

    struct parsing parsing;
    parsing.scan = json_scan_of(text);
    parsing.out = out;
    parsing.empty_left = BSATN_EMPTY_ELEMENTS_MAX;
    parsing.diag = diag;
    buf_init(&parsing.word);
    buf_init(&parsing.spans);
    trail_init(&parsing.trail);

    const size_t before = out->size;
    const err code = parse_text(&parsing, type);
    if (code != OK) {
        out->size = before;
        trail_note(&parsing.trail, noun, diag);
    }
    buf_deinit(&parsing.word);
    buf_deinit(&parsing.spans);
    return code;
}

err json_parse(const struct type *type, bytes text, struct buf *out, struct diag *diag)
{
    return parse_all(type, text, NULL, out, diag);
}

err json_parse_args(const struct type *params, bytes text, struct buf *out, struct diag *diag)
{
    return parse_all(params, text, "argument", out, diag);
}
