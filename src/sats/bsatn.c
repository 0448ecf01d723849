/* Walking values by their type.
 *
 * Every walk is a recursion that T4 bounds. Before anything else it asks for fixed_size and plain: most
 * columns answer there. */
#include "sats/bsatn.h"

#include "base/text.h"
#include "sats/trail.h"

static inline uint32_t load_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint64_t load_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* ---- checking ---- */

struct walk {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t empty_left; /* BSATN_EMPTY_ELEMENTS_MAX, less those seen */
    struct diag *diag;
    struct trail trail;
};

static err check_value(struct walk *walk, const struct type *type);
static err check_product(struct walk *walk, const struct type *type);

static size_t walk_left(const struct walk *walk)
{
    return (size_t)(walk->end - walk->at);
}

/* Of a product it is one of the fields whose bytes end, and the path says which; but an identity is one value. */
static __attribute__((cold, noinline)) err refuse_short(struct walk *walk, const struct type *type)
{
    if (type->kind == TYPE_PRODUCT && type->special == SPECIAL_NONE)
        return check_product(walk, type);
    struct buf name;
    buf_init(&name);
    type_print(&name, type);
    const err code = diag_set(walk->diag, ERR_BAD_VALUE, "the bytes end inside %.*s", BYTES_FORMAT(buf_bytes(&name)));
    buf_deinit(&name);
    return code;
}

/* Most strings are short and ASCII: words of eight bytes, the last one overlapping the one before. */
static inline bool is_ascii(const uint8_t *at, size_t size)
{
    uint64_t seen = 0;
    if (size < 8) {
        for (size_t idx = 0; idx < size; idx++)
            seen |= at[idx];
        return (seen & 0x80) == 0;
    }
    for (size_t idx = 0; idx + 8 < size; idx += 8)
        seen |= load_u64(at + idx);
    seen |= load_u64(at + size - 8);
    return (seen & 0x8080808080808080ull) == 0;
}

static inline err check_string(struct walk *walk, const struct type *type)
{
    if (walk_left(walk) < 4)
        return refuse_short(walk, type);
    const uint32_t size = load_u32(walk->at);
    if (walk_left(walk) - 4 < size)
        return refuse_short(walk, type);
    if (!is_ascii(walk->at + 4, size) && !text_is_utf8(bytes_of(walk->at + 4, size)))
        return diag_set(walk->diag, ERR_BAD_VALUE, "the string is not valid UTF-8");
    walk->at += 4 + (size_t)size;
    return OK;
}

static inline err check_bool(struct walk *walk, const struct type *type)
{
    if (walk_left(walk) < 1)
        return refuse_short(walk, type);
    if (*walk->at > 1)
        return diag_set(walk->diag, ERR_BAD_VALUE, "a bool is 0 or 1, not %u", *walk->at);
    walk->at++;
    return OK;
}

static inline err check_plain(struct walk *walk, const struct type *type) /* T2 */
{
    if (walk_left(walk) < (size_t)type->fixed_size)
        return refuse_short(walk, type);
    walk->at += type->fixed_size;
    return OK;
}

static err check_product(struct walk *walk, const struct type *type)
{
    for (uint32_t idx = 0; idx < type->count; idx++) {
        const struct type_field *field = &type->fields[idx];
        const err code = field->type->plain                 ? check_plain(walk, field->type)
                         : field->type->kind == TYPE_STRING ? check_string(walk, field->type)
                                                            : check_value(walk, field->type);
        if (code != OK) {
            trail_add_field(&walk->trail, field->name, idx);
            return code;
        }
    }
    return OK;
}

static err check_sum(struct walk *walk, const struct type *type)
{
    if (walk_left(walk) < 1)
        return refuse_short(walk, type);
    const uint8_t tag = *walk->at;
    if (tag >= type->count)
        return diag_set(walk->diag, ERR_BAD_VALUE, "there is no variant %u, the type has %u", tag, type->count);
    walk->at++;
    const err code = check_value(walk, type->fields[tag].type);
    if (code != OK)
        trail_add_field(&walk->trail, type->fields[tag].name, tag);
    return code;
}

/* The elements cost no bytes, so here the count itself is bounded. */
static err check_empty_elements(struct walk *walk, uint32_t count)
{
    if (count > walk->empty_left)
        return diag_set(walk->diag, ERR_BAD_VALUE, "more than %d elements that hold nothing", BSATN_EMPTY_ELEMENTS_MAX);
    walk->empty_left -= count;
    return OK;
}

static err check_array(struct walk *walk, const struct type *type)
{
    const struct type *element = type->element;
    if (walk_left(walk) < 4)
        return refuse_short(walk, type);
    const uint32_t count = load_u32(walk->at);
    if ((uint64_t)count * element->min_size > walk_left(walk) - 4)
        return refuse_short(walk, type);
    walk->at += 4;

    if (element->min_size == 0)
        TRY(check_empty_elements(walk, count));
    if (element->plain) {
        walk->at += (size_t)count * (size_t)element->fixed_size; /* min_size is fixed_size here */
        return OK;
    }
    for (uint32_t idx = 0; idx < count; idx++) {
        const err code = check_value(walk, element);
        if (code != OK) {
            trail_add_place(&walk->trail, idx);
            return code;
        }
    }
    return OK;
}

static err check_value(struct walk *walk, const struct type *type)
{
    if (type->plain)
        return check_plain(walk, type);
    switch (type->kind) {
    case TYPE_STRING: return check_string(walk, type);
    case TYPE_BOOL: return check_bool(walk, type);
    case TYPE_PRODUCT: return check_product(walk, type);
    case TYPE_SUM: return check_sum(walk, type);
    case TYPE_ARRAY: return check_array(walk, type);
    default: unreachable(); /* numbers are plain, types in use hold no reference */
    }
}

/* `noun` is what the value is a list of, or NULL. */
static inline err check_all(const struct type *type, bytes value, const char *noun, size_t *used, struct diag *diag)
{
    *used = 0;
    if (type->plain && (size_t)type->fixed_size <= value.size) {
        *used = (size_t)type->fixed_size;
        return OK;
    }
    if (type->depth > TYPE_DEPTH_MAX) /* T4 */
        return diag_set(diag, ERR_BAD_VALUE, "the type is nested deeper than %d levels", TYPE_DEPTH_MAX);

    struct walk walk;
    walk.at = value.at;
    walk.end = value.at + value.size;
    walk.empty_left = BSATN_EMPTY_ELEMENTS_MAX;
    walk.diag = diag;
    trail_init(&walk.trail);

    const err code = check_value(&walk, type);
    if (code == OK) {
        *used = (size_t)(walk.at - value.at);
        return OK;
    }
    trail_note(&walk.trail, noun, diag);
    return code;
}

err bsatn_check(const struct type *type, bytes value, size_t *used, struct diag *diag)
{
    return check_all(type, value, NULL, used, diag);
}

err bsatn_check_args(const struct type *params, bytes value, size_t *used, struct diag *diag)
{
    return check_all(params, value, "argument", used, diag);
}

/* ---- walking ---- */

static size_t array_size(const struct type *element, const uint8_t *at)
{
    const uint32_t count = load_u32(at);
    if (element->fixed_size != TYPE_VARIABLE)
        return 4 + (size_t)count * (size_t)element->fixed_size;
    size_t size = 4;
    for (uint32_t idx = 0; idx < count; idx++)
        size += bsatn_size(element, at + size);
    return size;
}

static size_t product_size(const struct type *type, const uint8_t *at)
{
    size_t size = 0;
    for (uint32_t idx = 0; idx < type->count; idx++) {
        const struct type *field = type->fields[idx].type;
        if (field->fixed_size != TYPE_VARIABLE)
            size += (size_t)field->fixed_size;
        else if (field->kind == TYPE_STRING)
            size += 4 + (size_t)load_u32(at + size);
        else
            size += bsatn_size(field, at + size);
    }
    return size;
}

size_t bsatn_size(const struct type *type, const uint8_t *at)
{
    if (type->fixed_size != TYPE_VARIABLE)
        return (size_t)type->fixed_size;
    switch (type->kind) {
    case TYPE_STRING: return 4 + (size_t)load_u32(at);
    case TYPE_ARRAY: return array_size(type->element, at);
    case TYPE_PRODUCT: return product_size(type, at);
    case TYPE_SUM: return 1 + bsatn_size(type->fields[*at].type, at + 1);
    default: unreachable();
    }
}

/* ---- ordering ---- */

#define SIGN_BIT ((uint64_t)1 << 63)

/* Numbers whose unsigned order is the order of the values: a signed one with its sign bit flipped, a float
 * with its sign bit set or, when negative, all its bits flipped (IEEE 754 totalOrder). */
static inline uint64_t signed_key(int64_t value)
{
    return (uint64_t)value ^ SIGN_BIT;
}

static inline uint64_t double_key(uint64_t bits)
{
    return bits & SIGN_BIT ? ~bits : bits | SIGN_BIT;
}

static inline uint32_t float_key(uint32_t bits)
{
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* The key of a number of up to 64 bits, a bool included. */
static inline uint64_t number_key(enum type_kind kind, const uint8_t *at)
{
    uint16_t half;
    switch (kind) {
    case TYPE_BOOL:
    case TYPE_U8: return *at;
    case TYPE_I8: return signed_key((int8_t)*at);
    case TYPE_U16: memcpy(&half, at, 2); return half;
    case TYPE_I16: memcpy(&half, at, 2); return signed_key((int16_t)half);
    case TYPE_U32: return load_u32(at);
    case TYPE_I32: return signed_key((int32_t)load_u32(at));
    case TYPE_U64: return load_u64(at);
    case TYPE_I64: return signed_key((int64_t)load_u64(at));
    case TYPE_F32: return float_key(load_u32(at));
    case TYPE_F64: return double_key(load_u64(at));
    default: unreachable();
    }
}

static inline int compare_u64(uint64_t left, uint64_t right)
{
    return (left > right) - (left < right);
}

/* Integers of `size` bytes, more than eight: by 64 bits from the most significant end. `flip` is the sign
 * bit of a signed kind, which stands in the first word only. */
static int compare_wide(const uint8_t *left, const uint8_t *right, size_t size, uint64_t flip)
{
    for (size_t place = size; place > 0; place -= 8) {
        const uint64_t left_word = load_u64(left + place - 8) ^ flip;
        const uint64_t right_word = load_u64(right + place - 8) ^ flip;
        if (left_word != right_word)
            return compare_u64(left_word, right_word);
        flip = 0;
    }
    return 0;
}

static int compare_sized(const uint8_t *left, const uint8_t *right)
{
    return bytes_compare(bytes_of(left + 4, load_u32(left)), bytes_of(right + 4, load_u32(right)));
}

/* The order is total, so what compares equal is equal to the byte, and one size leads both sides on. */
static int compare_products(const struct type *type, const uint8_t *left, const uint8_t *right)
{
    for (uint32_t idx = 0; idx < type->count; idx++) {
        const struct type *field = type->fields[idx].type;
        const int order = bsatn_compare(field, left, right);
        if (order != 0 || idx + 1 == type->count)
            return order;
        const size_t size = bsatn_size(field, left);
        left += size;
        right += size;
    }
    return 0;
}

static int compare_arrays(const struct type *element, const uint8_t *left, const uint8_t *right)
{
    const uint32_t left_count = load_u32(left);
    const uint32_t right_count = load_u32(right);
    const uint32_t count = left_count < right_count ? left_count : right_count;
    left += 4;
    right += 4;
    for (uint32_t idx = 0; idx < count; idx++) {
        const int order = bsatn_compare(element, left, right);
        if (order != 0)
            return order;
        const size_t size = bsatn_size(element, left);
        left += size;
        right += size;
    }
    return compare_u64(left_count, right_count);
}

int bsatn_compare(const struct type *type, const uint8_t *left, const uint8_t *right)
{
    switch (type->kind) {
    case TYPE_STRING: return compare_sized(left, right);
    case TYPE_U128: return compare_wide(left, right, 16, 0);
    case TYPE_I128: return compare_wide(left, right, 16, SIGN_BIT);
    case TYPE_U256: return compare_wide(left, right, 32, 0);
    case TYPE_I256: return compare_wide(left, right, 32, SIGN_BIT);
    case TYPE_PRODUCT: return compare_products(type, left, right);
    case TYPE_SUM:
        if (*left != *right)
            return compare_u64(*left, *right);
        return bsatn_compare(type->fields[*left].type, left + 1, right + 1);
    case TYPE_ARRAY:
        return type->element->kind == TYPE_U8 ? compare_sized(left, right) : compare_arrays(type->element, left, right);
    default: return compare_u64(number_key(type->kind, left), number_key(type->kind, right));
    }
}

/* The first eight bytes as one big-endian number. What a shorter one lacks counts as zero bytes, so that "a"
 * and "a\0" share a prefix and nothing is ordered wrongly. */
static uint64_t sized_prefix(const uint8_t *at)
{
    const uint32_t size = load_u32(at);
    if (size >= 8)
        return __builtin_bswap64(load_u64(at + 4));
    uint64_t word = 0;
    memcpy(&word, at + 4, size);
    return __builtin_bswap64(word);
}

uint64_t bsatn_prefix(const struct type *type, const uint8_t *at)
{
    switch (type->kind) {
    case TYPE_STRING: return sized_prefix(at);
    case TYPE_U128: return load_u64(at + 8);
    case TYPE_I128: return load_u64(at + 8) ^ SIGN_BIT;
    case TYPE_U256: return load_u64(at + 24);
    case TYPE_I256: return load_u64(at + 24) ^ SIGN_BIT;
    case TYPE_PRODUCT: return type->count > 0 ? bsatn_prefix(type->fields[0].type, at) : 0;
    case TYPE_SUM: /* the tag, then as much of the payload as fits */
        if (type->fixed_size == 1)
            return *at;
        return (uint64_t)*at << 56 | bsatn_prefix(type->fields[*at].type, at + 1) >> 8;
    case TYPE_ARRAY:
        if (type->element->kind == TYPE_U8)
            return sized_prefix(at);
        return load_u32(at) > 0 ? bsatn_prefix(type->element, at + 4) : 0;
    default: return number_key(type->kind, at);
    }
}

bool bsatn_prefix_is_exact(const struct type *type)
{
    switch (type->kind) {
    case TYPE_STRING:
    case TYPE_ARRAY:
    case TYPE_U128:
    case TYPE_I128:
    case TYPE_U256:
    case TYPE_I256: return false;
    case TYPE_SUM: return type->fixed_size == 1; /* nothing but the tag */
    case TYPE_PRODUCT: return type->count == 0 || (type->count == 1 && bsatn_prefix_is_exact(type->fields[0].type));
    default: return true;
    }
}
