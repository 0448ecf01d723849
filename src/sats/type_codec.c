/* Types as data: the AlgebraicType of the wire. A type's tag is its kind. */
#include "sats/type.h"

#include "base/text.h"

enum { NAME_SOME = 0, NAME_NONE = 1 }; /* option<string>, as every option */

struct decoding {
    struct arena *arena;
    struct reader *from;
    uint32_t depth;
    struct diag *diag;
};

static err decode_type(struct decoding *decoding, const struct type **type);

static err refuse_short(struct decoding *decoding)
{
    return diag_set(decoding->diag, ERR_SCHEMA, "the description of a type ends too early");
}

static err decode_name(struct decoding *decoding, bytes *name)
{
    *name = (bytes){ 0 };
    const uint8_t tag = reader_get_u8(decoding->from);
    if (tag == NAME_SOME && !decoding->from->failed)
        *name = reader_get_sized(decoding->from);
    if (decoding->from->failed)
        return refuse_short(decoding);
    if (tag > NAME_NONE)
        return diag_set(decoding->diag, ERR_SCHEMA, "the name in a type has the unknown option tag %u", tag);
    if (!text_is_utf8(*name))
        return diag_set(decoding->diag, ERR_SCHEMA, "a name in a type is not valid UTF-8");
    return OK;
}

static err decode_fields(struct decoding *decoding, enum type_kind kind, const struct type **type)
{
    enum { FIELD_SIZE_MIN = 2 }; /* no name, and a tag: so the bytes that are left bound what is allocated */
    const uint32_t count = reader_get_u32(decoding->from);
    if (decoding->from->failed || count > reader_left(decoding->from) / FIELD_SIZE_MIN)
        return refuse_short(decoding);
    if (kind == TYPE_SUM && count > TYPE_VARIANTS_MAX)
        return diag_set(decoding->diag, ERR_SCHEMA, "a sum type has %u variants, more than %d", count,
                        TYPE_VARIANTS_MAX);

    struct type_field *fields = ARENA_ARRAY(decoding->arena, struct type_field, count);
    for (uint32_t idx = 0; idx < count; idx++) {
        TRY(decode_name(decoding, &fields[idx].name));
        TRY(decode_type(decoding, &fields[idx].type));
    }
    *type = kind == TYPE_SUM ? type_sum(decoding->arena, fields, count) : type_product(decoding->arena, fields, count);
    return OK;
}

static err decode_array(struct decoding *decoding, const struct type **type)
{
    const struct type *element;
    TRY(decode_type(decoding, &element));
    *type = type_array(decoding->arena, element);
    return OK;
}

static err decode_ref(struct decoding *decoding, const struct type **type)
{
    const uint32_t ref = reader_get_u32(decoding->from);
    if (decoding->from->failed)
        return refuse_short(decoding);
    *type = type_ref(decoding->arena, ref);
    return OK;
}

static err decode_kind(struct decoding *decoding, uint8_t kind, const struct type **type)
{
    switch (kind) {
    case TYPE_REF: return decode_ref(decoding, type);
    case TYPE_SUM:
    case TYPE_PRODUCT: return decode_fields(decoding, kind, type);
    case TYPE_ARRAY: return decode_array(decoding, type);
    default: break;
    }
    if (kind > TYPE_F64)
        return diag_set(decoding->diag, ERR_SCHEMA, "a type has the unknown tag %u", kind);
    *type = type_scalar(kind);
    return OK;
}

static err decode_type(struct decoding *decoding, const struct type **type)
{
    const uint8_t kind = reader_get_u8(decoding->from);
    if (decoding->from->failed)
        return refuse_short(decoding);
    if (decoding->depth == TYPE_DEPTH_MAX)
        return diag_set(decoding->diag, ERR_SCHEMA, "types are nested deeper than %d levels", TYPE_DEPTH_MAX);
    decoding->depth++;
    TRY(decode_kind(decoding, kind, type));
    decoding->depth--;
    return OK;
}

err type_decode(struct arena *arena, struct reader *from, const struct type **type, struct diag *diag)
{
    struct decoding decoding = { .arena = arena, .from = from, .diag = diag };
    return decode_type(&decoding, type);
}

static void encode_name(struct buf *out, bytes name)
{
    if (name.at == NULL) {
        buf_put_u8(out, NAME_NONE);
    } else {
        buf_put_u8(out, NAME_SOME);
        buf_put_sized(out, name);
    }
}

void type_encode(struct buf *out, const struct type *type)
{
    buf_put_u8(out, (uint8_t)type->kind);
    if (type->kind == TYPE_REF)
        buf_put_u32(out, type->ref);
    if (type->kind == TYPE_ARRAY)
        type_encode(out, type->element);
    if (type->kind != TYPE_SUM && type->kind != TYPE_PRODUCT)
        return;
    buf_put_u32(out, type->count);
    for (uint32_t idx = 0; idx < type->count; idx++) {
        encode_name(out, type->fields[idx].name);
        type_encode(out, type->fields[idx].type);
    }
}
