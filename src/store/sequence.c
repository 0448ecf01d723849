#include "store/table.h"

#define INT128_MAX_ ((__int128)(((unsigned __int128)1 << 127) - 1))
#define INT128_MIN_ (-INT128_MAX_ - 1)

/* The last value that may be handed out. One step behind it is still a number: the very ends of 128 bits
 * are given up for that. */
static __int128 last_value(const struct sequence_def *def)
{
    if (def->increment > 0) {
        const __int128 reach = INT128_MAX_ - def->increment;
        return def->max < reach ? def->max : reach;
    }
    const __int128 reach = INT128_MIN_ - def->increment;
    return def->min > reach ? def->min : reach;
}

static bool is_exhausted(const struct sequence *sequence)
{
    const __int128 last = last_value(sequence->def);
    return sequence->def->increment > 0 ? sequence->next > last : sequence->next < last;
}

/* The end of a batch that begins at `next`: shorter at the end of the range. */
static __int128 batch_end(const struct sequence *sequence)
{
    const struct sequence_def *def = sequence->def;
    const __int128 last = last_value(def);
    const unsigned __int128 room = def->increment > 0 ? (unsigned __int128)last - (unsigned __int128)sequence->next
                                                      : (unsigned __int128)sequence->next - (unsigned __int128)last;
    const unsigned __int128 step =
        def->increment > 0 ? (unsigned __int128)def->increment : -(unsigned __int128)def->increment;
    const unsigned __int128 steps = room / step + 1;
    return sequence->next + def->increment * (__int128)(steps < SEQUENCE_BATCH ? steps : SEQUENCE_BATCH);
}

/* Little-endian two's complement of the column's width. */
static void value_put(__int128 value, uint8_t *at, size_t size)
{
    for (size_t idx = 0; idx < size; idx++)
        at[idx] = idx < sizeof value ? (uint8_t)(value >> (8 * idx)) : (uint8_t)(value < 0 ? 0xff : 0);
}

err sequence_take(struct table *table, uint32_t place, sequence_reserve_fn *reserve, void *context, uint8_t *value,
                  struct diag *diag)
{
    check(place < table->sequence_count);
    struct sequence *sequence = &table->sequences[place];
    const struct sequence_def *def = sequence->def;
    if (is_exhausted(sequence))
        return diag_set(diag, ERR_SEQUENCE, "the sequence `%.*s` of table `%.*s` has no value left",
                        BYTES_FORMAT(def->name), BYTES_FORMAT(table->def->name));
    if (sequence->next == sequence->reserved) { /* B2 */
        sequence->reserved = batch_end(sequence);
        if (reserve != NULL)
            reserve(context, def->id, sequence->reserved);
    }
    value_put(sequence->next, value, (size_t)table->def->columns[def->column].type->fixed_size);
    sequence->next += def->increment;
    return OK;
}

bool sequence_restore(struct table *table, uint32_t sequence_id, __int128 reserved)
{
    for (uint32_t idx = 0; idx < table->sequence_count; idx++) {
        struct sequence *sequence = &table->sequences[idx];
        if (sequence->def->id == sequence_id) {
            sequence->next = sequence->reserved = reserved;
            return true;
        }
    }
    return false;
}

/* Reads an integer column as 128 bits; false when it is wider than that and does not fit. */
static bool value_get(const struct type *type, const uint8_t *at, __int128 *value)
{
    const size_t size = (size_t)type->fixed_size;
    const bool is_negative = type_is_signed(type) && at[size - 1] >> 7;
    const uint8_t fill = is_negative ? 0xff : 0;
    uint8_t wide[32];
    memset(wide, fill, sizeof wide);
    memcpy(wide, at, size);
    memcpy(value, wide, sizeof *value);
    for (size_t idx = sizeof *value; idx < sizeof wide; idx++)
        if (wide[idx] != fill)
            return false;
    return (*value < 0) == is_negative;
}

void sequence_go_back(struct table *table, uint32_t place, const uint8_t *value, uint64_t count)
{
    struct sequence *sequence = &table->sequences[place];
    const struct sequence_def *def = sequence->def;
    __int128 number, distance;
    if (!value_get(table->def->columns[def->column].type, value, &number) ||
        __builtin_sub_overflow(sequence->reserved, number, &distance))
        return;
    const bool is_lower = def->increment > 0 ? number < sequence->next : number > sequence->next;
    if (is_lower && distance / def->increment <= (__int128)count && distance % def->increment == 0)
        sequence->next = number;
}

bool sequence_covers(const struct sequence_def *def, const struct type *type, const uint8_t *value)
{
    __int128 number;
    return value_get(type, value, &number) && number >= def->min && number <= def->max;
}
