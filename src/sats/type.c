/* Making and asking types. The derived facts (T1, T2, T3, T4) are worked out here, once a type. */
#include "sats/type.h"

#define NUMBER(kind_, size_)                                                                                           \
    [kind_] = { .kind = kind_, .plain = true, .fixed_size = size_, .min_size = size_, .depth = 1 }

static const struct type scalars[] = {
    [TYPE_STRING] = { .kind = TYPE_STRING, .fixed_size = TYPE_VARIABLE, .min_size = 4, .depth = 1 },
    [TYPE_BOOL] = { .kind = TYPE_BOOL, .fixed_size = 1, .min_size = 1, .depth = 1 },
    NUMBER(TYPE_I8, 1),
    NUMBER(TYPE_U8, 1),
    NUMBER(TYPE_I16, 2),
    NUMBER(TYPE_U16, 2),
    NUMBER(TYPE_I32, 4),
    NUMBER(TYPE_U32, 4),
    NUMBER(TYPE_I64, 8),
    NUMBER(TYPE_U64, 8),
    NUMBER(TYPE_I128, 16),
    NUMBER(TYPE_U128, 16),
    NUMBER(TYPE_I256, 32),
    NUMBER(TYPE_U256, 32),
    NUMBER(TYPE_F32, 4),
    NUMBER(TYPE_F64, 8),
};

#undef NUMBER

/* The products that are special by the name and kind of their one field. */
static const struct {
    enum type_special special;
    enum type_kind kind;
    bytes name;
} wrappers[] = {
    { SPECIAL_IDENTITY, TYPE_U256, { (const uint8_t *)"__identity__", 12 } },
    { SPECIAL_CONNECTION_ID, TYPE_U128, { (const uint8_t *)"__connection_id__", 17 } },
    { SPECIAL_TIMESTAMP, TYPE_I64, { (const uint8_t *)"__timestamp_micros_since_unix_epoch__", 37 } },
    { SPECIAL_TIME_DURATION, TYPE_I64, { (const uint8_t *)"__time_duration_micros__", 24 } },
    { SPECIAL_UUID, TYPE_U128, { (const uint8_t *)"__uuid__", 8 } },
};

/* The same as types; each is a product of one plain number. */
#define WRAPPER(special_, name_, kind_, size_)                                                                         \
    {                                                                                                                  \
        .kind = TYPE_PRODUCT, .special = special_, .plain = true, .fixed_size = size_, .min_size = size_, .depth = 2,  \
        .count = 1,                                                                                                    \
        .fields = (struct type_field[]){ { { (const uint8_t *)name_, sizeof name_ - 1 }, &scalars[kind_] } },          \
    }

static const struct type identity_type = WRAPPER(SPECIAL_IDENTITY, "__identity__", TYPE_U256, 32);
static const struct type connection_id_type = WRAPPER(SPECIAL_CONNECTION_ID, "__connection_id__", TYPE_U128, 16);
static const struct type timestamp_type =
    WRAPPER(SPECIAL_TIMESTAMP, "__timestamp_micros_since_unix_epoch__", TYPE_I64, 8);
static const struct type time_duration_type = WRAPPER(SPECIAL_TIME_DURATION, "__time_duration_micros__", TYPE_I64, 8);
static const struct type uuid_type = WRAPPER(SPECIAL_UUID, "__uuid__", TYPE_U128, 16);

#undef WRAPPER

static const struct type schedule_at_type = {
    .kind = TYPE_SUM,
    .special = SPECIAL_SCHEDULE_AT,
    .fixed_size = 9,
    .min_size = 9,
    .depth = 3,
    .count = 2,
    .fields =
        (struct type_field[]){
            { { (const uint8_t *)"Interval", 8 }, &time_duration_type },
            { { (const uint8_t *)"Time", 4 }, &timestamp_type },
        },
};

static const struct type unit_type = { .kind = TYPE_PRODUCT, .plain = true, .depth = 1 };

static const struct type bytes_type = {
    .kind = TYPE_ARRAY,
    .fixed_size = TYPE_VARIABLE,
    .min_size = 4,
    .depth = 2,
    .element = &scalars[TYPE_U8],
};

const struct type *type_scalar(enum type_kind kind)
{
    check(kind >= TYPE_STRING && kind <= TYPE_F64);
    return &scalars[kind];
}

const struct type *type_bytes(void)
{
    return &bytes_type;
}

const struct type *type_unit(void)
{
    return &unit_type;
}

const struct type *type_special(enum type_special special)
{
    switch (special) {
    case SPECIAL_IDENTITY: return &identity_type;
    case SPECIAL_CONNECTION_ID: return &connection_id_type;
    case SPECIAL_TIMESTAMP: return &timestamp_type;
    case SPECIAL_TIME_DURATION: return &time_duration_type;
    case SPECIAL_UUID: return &uuid_type;
    case SPECIAL_SCHEDULE_AT: return &schedule_at_type;
    case SPECIAL_NONE:
    case SPECIAL_OPTION:
    case SPECIAL_RESULT: break;
    }
    unreachable();
}

static bool is_unit(const struct type *type)
{
    return type->kind == TYPE_PRODUCT && type->count == 0;
}

/* T3 */
static enum type_special product_special(const struct type_field *fields, uint32_t count)
{
    if (count != 1)
        return SPECIAL_NONE;
    for (size_t idx = 0; idx < COUNTOF(wrappers); idx++) {
        if (wrappers[idx].kind == fields[0].type->kind && bytes_equal(wrappers[idx].name, fields[0].name))
            return wrappers[idx].special;
    }
    return SPECIAL_NONE;
}

/* T3 */
static enum type_special sum_special(const struct type_field *variants, uint32_t count)
{
    if (count != 2)
        return SPECIAL_NONE;
    const struct type *first = variants[0].type;
    const struct type *second = variants[1].type;
    if (bytes_equal_text(variants[0].name, "some") && bytes_equal_text(variants[1].name, "none") && is_unit(second))
        return SPECIAL_OPTION;
    if (bytes_equal_text(variants[0].name, "ok") && bytes_equal_text(variants[1].name, "err"))
        return SPECIAL_RESULT;
    if (bytes_equal_text(variants[0].name, "Interval") && bytes_equal_text(variants[1].name, "Time") &&
        first->special == SPECIAL_TIME_DURATION && second->special == SPECIAL_TIMESTAMP)
        return SPECIAL_SCHEDULE_AT;
    return SPECIAL_NONE;
}

static struct type_field *fields_copy(struct arena *arena, const struct type_field *fields, uint32_t count)
{
    struct type_field *copy = ARENA_ARRAY(arena, struct type_field, count);
    for (uint32_t idx = 0; idx < count; idx++) {
        copy[idx].type = fields[idx].type;
        if (fields[idx].name.at != NULL)
            copy[idx].name = arena_copy(arena, fields[idx].name);
    }
    return copy;
}

static uint32_t depth_over(const struct type_field *fields, uint32_t count)
{
    uint32_t depth = 0;
    for (uint32_t idx = 0; idx < count; idx++) {
        if (fields[idx].type->depth > depth)
            depth = fields[idx].type->depth;
    }
    return depth + 1;
}

static uint32_t size_clamp(uint64_t size)
{
    return size < INT32_MAX ? (uint32_t)size : INT32_MAX;
}

/* T1, T2: the fields' sizes add up. What would not fit an int32 counts as variable. */
static void product_measure(struct type *type)
{
    uint64_t min_size = 0;
    bool fixed = true;
    type->plain = true;
    for (uint32_t idx = 0; idx < type->count; idx++) {
        const struct type *field = type->fields[idx].type;
        min_size += field->min_size;
        fixed = fixed && field->fixed_size != TYPE_VARIABLE;
        type->plain = type->plain && field->plain;
    }
    fixed = fixed && min_size < INT32_MAX;
    type->plain = type->plain && fixed;
    type->min_size = size_clamp(min_size);
    type->fixed_size = fixed ? (int32_t)min_size : TYPE_VARIABLE;
}

/* T1, T2: a tag and the shortest payload; fixed when all payloads have one size, plain only when every tag
 * byte names a plain variant. A sum without variants has no values, so any size is true of it. */
static void sum_measure(struct type *type)
{
    uint64_t min_size = type->count > 0 ? UINT64_MAX : 0;
    bool fixed = true;
    type->plain = type->count == TYPE_VARIANTS_MAX;
    for (uint32_t idx = 0; idx < type->count; idx++) {
        const struct type *payload = type->fields[idx].type;
        if (payload->min_size < min_size)
            min_size = payload->min_size;
        fixed =
            fixed && payload->fixed_size != TYPE_VARIABLE && payload->fixed_size == type->fields[0].type->fixed_size;
        type->plain = type->plain && payload->plain;
    }
    fixed = fixed && min_size + 1 < INT32_MAX;
    type->plain = type->plain && fixed;
    type->min_size = size_clamp(min_size + 1);
    type->fixed_size = fixed ? (int32_t)min_size + 1 : TYPE_VARIABLE;
}

const struct type *type_product(struct arena *arena, const struct type_field *fields, uint32_t count)
{
    struct type *type = ARENA_NEW(arena, struct type);
    type->kind = TYPE_PRODUCT;
    type->count = count;
    type->fields = fields_copy(arena, fields, count);
    type->special = product_special(fields, count);
    type->depth = depth_over(fields, count);
    product_measure(type);
    return type;
}

const struct type *type_sum(struct arena *arena, const struct type_field *variants, uint32_t count)
{
    check(count <= TYPE_VARIANTS_MAX);
    struct type *type = ARENA_NEW(arena, struct type);
    type->kind = TYPE_SUM;
    type->count = count;
    type->fields = fields_copy(arena, variants, count);
    type->special = sum_special(variants, count);
    type->depth = depth_over(variants, count);
    sum_measure(type);
    return type;
}

const struct type *type_array(struct arena *arena, const struct type *element)
{
    struct type *type = ARENA_NEW(arena, struct type);
    type->kind = TYPE_ARRAY;
    type->element = element;
    type->fixed_size = TYPE_VARIABLE;
    type->min_size = 4;
    type->depth = element->depth + 1;
    return type;
}

const struct type *type_option(struct arena *arena, const struct type *some)
{
    const struct type_field variants[] = {
        { BYTES_LITERAL("some"), some },
        { BYTES_LITERAL("none"), &unit_type },
    };
    return type_sum(arena, variants, COUNTOF(variants));
}

const struct type *type_ref(struct arena *arena, uint32_t ref)
{
    struct type *type = ARENA_NEW(arena, struct type);
    type->kind = TYPE_REF;
    type->ref = ref;
    type->fixed_size = TYPE_VARIABLE;
    type->depth = 1;
    return type;
}

static bool names_equal(bytes left, bytes right)
{
    return (left.at == NULL) == (right.at == NULL) && bytes_equal(left, right);
}

bool type_equal(const struct type *left, const struct type *right)
{
    if (left == right)
        return true;
    if (left->kind != right->kind || left->ref != right->ref || left->count != right->count)
        return false;
    if (left->kind == TYPE_ARRAY)
        return type_equal(left->element, right->element);
    for (uint32_t idx = 0; idx < left->count; idx++) {
        if (!names_equal(left->fields[idx].name, right->fields[idx].name) ||
            !type_equal(left->fields[idx].type, right->fields[idx].type))
            return false;
    }
    return true;
}

bool type_is_integer(const struct type *type)
{
    return type->kind >= TYPE_I8 && type->kind <= TYPE_U256;
}

bool type_is_signed(const struct type *type)
{
    switch (type->kind) {
    case TYPE_I8:
    case TYPE_I16:
    case TYPE_I32:
    case TYPE_I64:
    case TYPE_I128:
    case TYPE_I256: return true;
    default: return false;
    }
}

bool type_is_float(const struct type *type)
{
    return type->kind == TYPE_F32 || type->kind == TYPE_F64;
}

bool type_is_enum(const struct type *type)
{
    if (type->kind != TYPE_SUM || type->count == 0)
        return false;
    for (uint32_t idx = 0; idx < type->count; idx++) {
        if (!is_unit(type->fields[idx].type))
            return false;
    }
    return true;
}
