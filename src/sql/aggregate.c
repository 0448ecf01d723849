#include "sql/aggregate.h"

#include "sats/bsatn.h"
#include "sql/row_order.h"

enum { WORD_SIZE = sizeof(uint64_t), INTEGER_SIZE_MAX = 32 };

static const char *function_name(enum item_kind kind)
{
    switch (kind) {
    case ITEM_SUM: return "SUM";
    case ITEM_AVG: return "AVG";
    case ITEM_MIN: return "MIN";
    case ITEM_MAX: return "MAX";
    case ITEM_COUNT: return "COUNT";
    case ITEM_ALL:
    case ITEM_TABLE:
    case ITEM_COLUMN: break;
    }
    unreachable();
}

/* Wide enough for 2^32 of them, and more where there are wider ones. */
static enum type_kind sum_kind(const struct type *type)
{
    if (type_is_float(type))
        return TYPE_F64;
    const bool is_signed = type_is_signed(type);
    if (type->fixed_size <= 4)
        return is_signed ? TYPE_I64 : TYPE_U64;
    if (type->fixed_size == 8)
        return is_signed ? TYPE_I128 : TYPE_U128;
    return is_signed ? TYPE_I256 : TYPE_U256;
}

static err refuse_type(struct resolver *resolver, const struct ast_item *item, const struct type *type)
{
    return sql_refuse(resolver->diag, resolver->sql, &item->token, "%s does not take a column of type `%.*s`",
                      function_name(item->kind), BYTES_FORMAT(resolver_type_text(resolver, type)));
}

err aggregate_type(struct resolver *resolver, const struct ast_item *item, const struct type *type,
                   const struct type **result)
{
    switch (item->kind) {
    case ITEM_COUNT: *result = type_scalar(TYPE_U64); return OK;
    case ITEM_SUM:
    case ITEM_AVG:
        if (!type_is_integer(type) && !type_is_float(type))
            return refuse_type(resolver, item, type);
        *result = type_scalar(item->kind == ITEM_SUM ? sum_kind(type) : TYPE_F64);
        return OK;
    case ITEM_MIN:
    case ITEM_MAX:
    case ITEM_COLUMN: *result = type; break;
    case ITEM_ALL:
    case ITEM_TABLE: unreachable();
    }
    return item->kind == ITEM_COLUMN ? OK : row_order_check(resolver, &item->operand, type);
}

bool aggregate_may_be_none(enum item_kind kind)
{
    return kind == ITEM_MIN || kind == ITEM_MAX || kind == ITEM_AVG;
}

static void add_integer(struct aggregate *aggregate, const struct type *type, const uint8_t *at)
{
    const size_t size = (size_t)type->fixed_size;
    const bool is_negative = type_is_signed(type) && at[size - 1] & 0x80;
    uint64_t words[AGGREGATE_WORDS];
    memset(words, is_negative ? 0xff : 0, sizeof words);
    memcpy(words, at, size);
    unsigned __int128 carry = 0;
    for (uint32_t idx = 0; idx < AGGREGATE_WORDS; idx++) {
        carry += (unsigned __int128)aggregate->sum[idx] + words[idx];
        aggregate->sum[idx] = (uint64_t)carry;
        carry >>= 64;
    }
}

static double float_of(const struct type *type, const uint8_t *at)
{
    if (type->kind == TYPE_F64) {
        double value;
        memcpy(&value, at, sizeof value);
        return value;
    }
    float value;
    memcpy(&value, at, sizeof value);
    return value;
}

static bool keep_extreme(struct aggregate *aggregate, enum item_kind kind, const struct type *type, const uint8_t *at,
                         struct budget *budget)
{
    if (aggregate->count > 1) {
        const int order = row_order_compare(type, at, aggregate->extreme.data);
        if (kind == ITEM_MIN ? order >= 0 : order <= 0)
            return true;
    }
    const bytes value = bytes_of(at, bsatn_size(type, at));
    if (value.size > aggregate->extreme.capacity && !budget_take_bytes(budget, value.size))
        return false;
    buf_clear(&aggregate->extreme);
    buf_put_bytes(&aggregate->extreme, value);
    return true;
}

bool aggregate_add(struct aggregate *aggregate, enum item_kind kind, const struct type *type, const uint8_t *at,
                   struct budget *budget)
{
    aggregate->count++;
    if (kind == ITEM_MIN || kind == ITEM_MAX)
        return keep_extreme(aggregate, kind, type, at, budget);
    if (kind == ITEM_COUNT)
        return true;
    if (type_is_float(type))
        aggregate->float_sum += float_of(type, at);
    else
        add_integer(aggregate, type, at);
    return true;
}

static bool sum_is_negative(const struct aggregate *aggregate)
{
    return aggregate->sum[AGGREGATE_WORDS - 1] >> 63;
}

static double sum_to_double(const struct aggregate *aggregate)
{
    const bool is_negative = sum_is_negative(aggregate);
    uint64_t carry = is_negative;
    double scale = 1, value = 0;
    for (uint32_t idx = 0; idx < AGGREGATE_WORDS; idx++, scale *= 0x1p64) {
        uint64_t word = is_negative ? ~aggregate->sum[idx] : aggregate->sum[idx];
        word += carry;
        carry = carry != 0 && word == 0;
        value += (double)word * scale;
    }
    return is_negative ? -value : value;
}

/* What lies beyond the type must say nothing but the sign. */
static err put_sum(const struct aggregate *aggregate, const struct type *type, struct buf *out, struct diag *diag)
{
    const bool is_signed = type_is_signed(type);
    const size_t size = (size_t)type_scalar(sum_kind(type))->fixed_size;
    const uint64_t filler = is_signed && sum_is_negative(aggregate) ? UINT64_MAX : 0;
    for (size_t idx = size / WORD_SIZE; idx < AGGREGATE_WORDS; idx++)
        if (aggregate->sum[idx] != filler)
            return diag_set(diag, ERR_BAD_VALUE, "SUM does not fit %zu bits", size * 8);
    if (is_signed && (aggregate->sum[size / WORD_SIZE - 1] ^ filler) >> 63)
        return diag_set(diag, ERR_BAD_VALUE, "SUM does not fit %zu bits", size * 8);
    buf_put(out, aggregate->sum, size);
    return OK;
}

static void put_average(const struct aggregate *aggregate, const struct type *type, struct buf *out)
{
    const double sum = type_is_float(type) ? aggregate->float_sum : sum_to_double(aggregate);
    const double average = sum / (double)aggregate->count;
    buf_put(out, &average, sizeof average);
}

err aggregate_put(const struct aggregate *aggregate, enum item_kind kind, const struct type *type, bool is_option,
                  struct buf *out, struct diag *diag)
{
    if (is_option) {
        const bool is_none = aggregate->count == 0;
        buf_put_u8(out, is_none);
        if (is_none)
            return OK;
    }
    if (kind == ITEM_COUNT)
        buf_put_u64(out, aggregate->count);
    else if (kind == ITEM_AVG)
        put_average(aggregate, type, out);
    else if (kind != ITEM_SUM)
        buf_put_bytes(out, buf_bytes(&aggregate->extreme));
    else if (type_is_float(type))
        buf_put(out, &aggregate->float_sum, sizeof aggregate->float_sum);
    else
        return put_sum(aggregate, type, out, diag);
    return OK;
}

void aggregate_deinit(struct aggregate *aggregate)
{
    buf_deinit(&aggregate->extreme);
}
