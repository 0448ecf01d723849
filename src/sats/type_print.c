/* Types for people, and types in the JSON of schemas. */
#include "sats/json.h"

static const struct {
    const char *word; /* in error texts */
    const char *tag;  /* in JSON */
} scalar_names[] = {
    [TYPE_STRING] = { "string", "String" },
    [TYPE_BOOL] = { "bool", "Bool" },
    [TYPE_I8] = { "i8", "I8" },
    [TYPE_U8] = { "u8", "U8" },
    [TYPE_I16] = { "i16", "I16" },
    [TYPE_U16] = { "u16", "U16" },
    [TYPE_I32] = { "i32", "I32" },
    [TYPE_U32] = { "u32", "U32" },
    [TYPE_I64] = { "i64", "I64" },
    [TYPE_U64] = { "u64", "U64" },
    [TYPE_I128] = { "i128", "I128" },
    [TYPE_U128] = { "u128", "U128" },
    [TYPE_I256] = { "i256", "I256" },
    [TYPE_U256] = { "u256", "U256" },
    [TYPE_F32] = { "f32", "F32" },
    [TYPE_F64] = { "f64", "F64" },
};

static void print_wrapped(struct buf *out, const char *before, const struct type *type, const char *after)
{
    buf_put_text(out, before);
    type_print(out, type);
    buf_put_text(out, after);
}

static void print_fields(struct buf *out, const struct type *type)
{
    buf_put_text(out, "{");
    for (uint32_t idx = 0; idx < type->count; idx++) {
        if (idx > 0)
            buf_put_text(out, ", ");
        buf_put_bytes(out, type->fields[idx].name);
        if (type->fields[idx].name.at != NULL)
            buf_put_text(out, ": ");
        type_print(out, type->fields[idx].type);
    }
    buf_put_text(out, "}");
}

/* "(Circle: f32 | Nothing)" */
static void print_variants(struct buf *out, const struct type *type)
{
    buf_put_text(out, "(");
    for (uint32_t idx = 0; idx < type->count; idx++) {
        const struct type_field *variant = &type->fields[idx];
        if (idx > 0)
            buf_put_text(out, " | ");
        if (variant->name.at != NULL)
            buf_put_bytes(out, variant->name);
        else
            buf_put_format(out, "%u", idx);
        if (variant->type->kind != TYPE_PRODUCT || variant->type->count > 0)
            print_wrapped(out, ": ", variant->type, "");
    }
    buf_put_text(out, ")");
}

static void print_structure(struct buf *out, const struct type *type)
{
    switch (type->kind) {
    case TYPE_REF: buf_put_format(out, "type %u", type->ref); break;
    case TYPE_SUM: print_variants(out, type); break;
    case TYPE_PRODUCT: print_fields(out, type); break;
    case TYPE_ARRAY: print_wrapped(out, "array<", type->element, ">"); break;
    default: buf_put_text(out, scalar_names[type->kind].word); break;
    }
}

void type_print(struct buf *out, const struct type *type)
{
    switch (type->special) {
    case SPECIAL_NONE: print_structure(out, type); break;
    case SPECIAL_IDENTITY: buf_put_text(out, "Identity"); break;
    case SPECIAL_CONNECTION_ID: buf_put_text(out, "ConnectionId"); break;
    case SPECIAL_TIMESTAMP: buf_put_text(out, "Timestamp"); break;
    case SPECIAL_TIME_DURATION: buf_put_text(out, "TimeDuration"); break;
    case SPECIAL_UUID: buf_put_text(out, "Uuid"); break;
    case SPECIAL_OPTION: print_wrapped(out, "option<", type->fields[0].type, ">"); break;
    case SPECIAL_RESULT:
        print_wrapped(out, "result<", type->fields[0].type, ", ");
        print_wrapped(out, "", type->fields[1].type, ">");
        break;
    case SPECIAL_SCHEDULE_AT: buf_put_text(out, "ScheduleAt"); break;
    }
}

static void print_name_json(struct buf *out, bytes name)
{
    if (name.at == NULL) {
        buf_put_text(out, "{\"none\":[]}");
        return;
    }
    buf_put_text(out, "{\"some\":");
    json_print_string(out, name);
    buf_put_text(out, "}");
}

static void print_fields_json(struct buf *out, const struct type *type)
{
    buf_put_text(out, type->kind == TYPE_SUM ? "{\"Sum\":{\"variants\":[" : "{\"Product\":{\"elements\":[");
    for (uint32_t idx = 0; idx < type->count; idx++) {
        buf_put_text(out, idx > 0 ? ",{\"name\":" : "{\"name\":");
        print_name_json(out, type->fields[idx].name);
        buf_put_text(out, ",\"algebraic_type\":");
        type_print_json(out, type->fields[idx].type);
        buf_put_text(out, "}");
    }
    buf_put_text(out, "]}}");
}

void type_print_json(struct buf *out, const struct type *type)
{
    switch (type->kind) {
    case TYPE_REF: buf_put_format(out, "{\"Ref\":%u}", type->ref); break;
    case TYPE_SUM:
    case TYPE_PRODUCT: print_fields_json(out, type); break;
    case TYPE_ARRAY:
        buf_put_text(out, "{\"Array\":");
        type_print_json(out, type->element);
        buf_put_text(out, "}");
        break;
    default: buf_put_format(out, "{\"%s\":[]}", scalar_names[type->kind].tag); break;
    }
}
