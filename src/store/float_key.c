#include "store/float_key.h"

/* The float's kind, and how many tags of options stand before it; TYPE_REF when the value has no float. */
static enum type_kind float_find(const struct type *type, const uint8_t *at, size_t *tags)
{
    enum { TAG_SOME = 0 };
    *tags = 0;
    for (; type->special == SPECIAL_OPTION; type = type->fields[0].type)
        if (at[(*tags)++] != TAG_SOME)
            return TYPE_REF;
    return type_is_float(type) ? type->kind : TYPE_REF;
}

/* The float as a double, which every f32 is; 1 when there is none. */
static double float_value(const struct type *type, const uint8_t *at)
{
    size_t tags;
    float narrow;
    double wide;
    switch (float_find(type, at, &tags)) {
    case TYPE_F32: memcpy(&narrow, at + tags, sizeof narrow); return narrow;
    case TYPE_F64: memcpy(&wide, at + tags, sizeof wide); return wide;
    default: return 1;
    }
}

bool float_key_is_in(const struct type *type)
{
    while (type->special == SPECIAL_OPTION)
        type = type->fields[0].type;
    return type_is_float(type);
}

bool float_key_is_nan(const struct type *type, const uint8_t *at)
{
    const double value = float_value(type, at);
    return value != value;
}

bool float_key_is_negative_zero(const struct type *type, const uint8_t *at)
{
    const double value = float_value(type, at);
    return value == 0 && __builtin_signbit(value);
}

void float_key_settle(const struct type *type, uint8_t *at)
{
    size_t tags;
    if (!float_key_is_negative_zero(type, at))
        return;
    const enum type_kind kind = float_find(type, at, &tags);
    memset(at + tags, 0, kind == TYPE_F32 ? sizeof(float) : sizeof(double));
}
