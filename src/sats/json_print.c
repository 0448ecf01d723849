/* From BSATN to SATS-JSON. */
#include "sats/json.h"

#include "base/text.h"

#include <math.h>

struct printing {
    struct buf *out;
    const uint8_t *at; /* the next byte of the value */
    enum json_style style;
    const struct type *apart; /* left out; NULL: nothing is */
    struct buf *places;
};

static void print_value(struct printing *printing, const struct type *type);

void json_print_string(struct buf *out, bytes text)
{
    static const char letters[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r' };
    buf_put_u8(out, '"');
    size_t plain = 0; /* where the run begins that needs no escape */
    for (size_t idx = 0; idx < text.size; idx++) {
        const uint8_t byte = text.at[idx];
        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        buf_put(out, text.at + plain, idx - plain);
        plain = idx + 1;
        if (byte >= 0x20)
            buf_put(out, (const uint8_t[]){ '\\', byte }, 2);
        else if (byte < sizeof letters && letters[byte] != 0)
            buf_put_format(out, "\\%c", letters[byte]);
        else
            buf_put_format(out, "\\u%04x", byte);
    }
    if (text.size > plain)
        buf_put(out, text.at + plain, text.size - plain);
    buf_put_u8(out, '"');
}

static uint32_t take_u32(struct printing *printing)
{
    uint32_t value;
    memcpy(&value, printing->at, sizeof value);
    printing->at += sizeof value;
    return value;
}

static bytes take_sized(struct printing *printing)
{
    const uint32_t size = take_u32(printing);
    const bytes taken = bytes_of(printing->at, size);
    printing->at += size;
    return taken;
}

static void print_integer(struct printing *printing, const struct type *type)
{
    const size_t size = (size_t)type->fixed_size;
    if (size < 32) {
        number_print(printing->out, printing->at, size, type_is_signed(type));
    } else {
        buf_put_u8(printing->out, '"');
        number_print_hex(printing->out, printing->at, size, type_is_signed(type));
        buf_put_u8(printing->out, '"');
    }
    printing->at += size;
}

static void print_float(struct printing *printing)
{
    float value;
    memcpy(&value, printing->at, sizeof value);
    printing->at += sizeof value;
    if (isfinite(value))
        float_print(printing->out, value);
    else
        buf_put_text(printing->out, "null");
}

static void print_double(struct printing *printing)
{
    double value;
    memcpy(&value, printing->at, sizeof value);
    printing->at += sizeof value;
    if (isfinite(value))
        double_print(printing->out, value);
    else
        buf_put_text(printing->out, "null");
}

static void print_array(struct printing *printing, const struct type *type)
{
    if (type->element->kind == TYPE_U8) {
        buf_put_u8(printing->out, '"');
        hex_encode(printing->out, take_sized(printing));
        buf_put_u8(printing->out, '"');
        return;
    }
    const uint32_t count = take_u32(printing);
    buf_put_u8(printing->out, '[');
    for (uint32_t idx = 0; idx < count; idx++) {
        if (idx > 0)
            buf_put_u8(printing->out, ',');
        print_value(printing, type->element);
    }
    buf_put_u8(printing->out, ']');
}

/* An object needs a name for each field. A product without fields is "{}" where it is stored, else "[]". */
static bool product_is_object(const struct type *type, enum json_style style)
{
    if (style == JSON_UNTYPED || (style == JSON_TYPED && type->count == 0))
        return false;
    for (uint32_t idx = 0; idx < type->count; idx++) {
        if (type->fields[idx].name.at == NULL)
            return false;
    }
    return true;
}

static void leave_out(const struct printing *printing)
{
    buf_put(printing->places, &printing->out->size, sizeof printing->out->size);
}

static void print_product(struct printing *printing, const struct type *type)
{
    if (type == printing->apart) {
        leave_out(printing);
        return;
    }
    const bool is_object = product_is_object(type, printing->style);
    buf_put_u8(printing->out, is_object ? '{' : '[');
    for (uint32_t idx = 0; idx < type->count; idx++) {
        if (idx > 0)
            buf_put_u8(printing->out, ',');
        if (is_object) {
            json_print_string(printing->out, type->fields[idx].name);
            buf_put_u8(printing->out, ':');
        }
        print_value(printing, type->fields[idx].type);
    }
    buf_put_u8(printing->out, is_object ? '}' : ']');
}

static void print_sum(struct printing *printing, const struct type *type)
{
    const uint8_t tag = *printing->at++;
    const struct type_field *variant = &type->fields[tag];
    if (printing->style != JSON_TYPED) {
        buf_put_format(printing->out, "[%u,", tag);
        print_value(printing, variant->type);
        buf_put_u8(printing->out, ']');
        return;
    }
    buf_put_u8(printing->out, '{');
    if (variant->name.at != NULL)
        json_print_string(printing->out, variant->name);
    else
        buf_put_format(printing->out, "\"%u\"", tag);
    buf_put_u8(printing->out, ':');
    print_value(printing, variant->type);
    buf_put_u8(printing->out, '}');
}

static void print_value(struct printing *printing, const struct type *type)
{
    switch (type->kind) {
    case TYPE_SUM: print_sum(printing, type); break;
    case TYPE_PRODUCT: print_product(printing, type); break;
    case TYPE_ARRAY: print_array(printing, type); break;
    case TYPE_STRING: json_print_string(printing->out, take_sized(printing)); break;
    case TYPE_BOOL: buf_put_text(printing->out, *printing->at++ != 0 ? "true" : "false"); break;
    case TYPE_F32: print_float(printing); break;
    case TYPE_F64: print_double(printing); break;
    case TYPE_REF: unreachable();
    default: print_integer(printing, type); break;
    }
}

void json_print(struct buf *out, const struct type *type, bytes value, enum json_style style)
{
    json_print_around(out, type, value, style, NULL, NULL);
}

void json_print_around(struct buf *out, const struct type *type, bytes value, enum json_style style,
                       const struct type *apart, struct buf *places)
{
    struct printing printing = { .out = out, .at = value.at, .style = style, .apart = apart, .places = places };
    print_value(&printing, type);
    check(printing.at <= value.at + value.size);
}
