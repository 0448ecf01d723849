#include "store/key.h"

#include "sats/bsatn.h"
#include "sats/json.h"

enum { SHOWN_MAX = 100 }; /* bytes of a text, for people */

/* Whether the key is one block: columns side by side at a constant offset, none of variable size. */
static bool find_block(struct key *key)
{
    const struct column_def *columns = key->table->columns;
    const int32_t offset = columns[key->columns[0]].offset;
    if (offset < 0)
        return false;
    uint32_t end = (uint32_t)offset;
    for (uint32_t idx = 0; idx < key->column_count; idx++) {
        const struct column_def *column = &columns[key->columns[idx]];
        if (column->offset < 0 || (uint32_t)column->offset != end || column->type->fixed_size == TYPE_VARIABLE)
            return false;
        end += (uint32_t)column->type->fixed_size;
    }
    key->offset = (uint32_t)offset;
    key->size = end - (uint32_t)offset;
    return true;
}

static enum key_shape block_shape(uint32_t size)
{
    switch (size) {
    case 4: return KEY_FOUR;
    case 8: return KEY_EIGHT;
    default: return KEY_BLOCK;
    }
}

void key_init(struct key *key, const struct index_def *def, const struct table_def *table, uint64_t seed)
{
    check(def->column_count > 0 && def->column_count <= SCHEMA_KEY_COLUMNS_MAX);
    *key = (struct key){ .table = table, .column_count = def->column_count, .seed = seed };
    for (uint32_t idx = 0; idx < def->column_count; idx++) {
        check(def->columns[idx] < table->column_count);
        key->columns[idx] = def->columns[idx];
        key->types[idx] = table->columns[def->columns[idx]].type;
    }
    key->shape = find_block(key) ? block_shape(key->size) : KEY_WALKED;
}

const uint8_t *key_row_column(const struct table_def *table, const uint8_t *row, uint32_t column)
{
    uint32_t walked = column;
    while (table->columns[walked].offset < 0)
        walked--;
    const uint8_t *at = row + table->columns[walked].offset;
    for (; walked < column; walked++)
        at += bsatn_size(table->columns[walked].type, at);
    return at;
}

struct key_at key_in_row(const struct key *key, const uint8_t *row)
{
    struct key_at at;
    at.count = key->column_count;
    for (uint32_t idx = 0; idx < key->column_count; idx++)
        at.column[idx] = key_row_column(key->table, row, key->columns[idx]);
    return at;
}

struct key_at key_in_probe(const struct key *key, const uint8_t *probe, uint32_t column_count)
{
    check(column_count <= key->column_count);
    struct key_at at;
    at.count = column_count;
    for (uint32_t idx = 0; idx < column_count; idx++) {
        at.column[idx] = probe;
        probe += bsatn_size(key->types[idx], probe);
    }
    return at;
}

int key_compare(const struct key *key, const struct key_at *left, const struct key_at *right, uint32_t first)
{
    const uint32_t count = left->count < right->count ? left->count : right->count;
    for (uint32_t idx = first; idx < count; idx++) {
        const int order = bsatn_compare(key->types[idx], left->column[idx], right->column[idx]);
        if (order != 0)
            return order;
    }
    return 0;
}

bool key_equal(const struct key *key, const struct key_at *left, const struct key_at *right)
{
    for (uint32_t idx = 0; idx < key->column_count; idx++) {
        const size_t size = bsatn_size(key->types[idx], left->column[idx]);
        if (size != bsatn_size(key->types[idx], right->column[idx]) ||
            memcmp(left->column[idx], right->column[idx], size) != 0)
            return false;
    }
    return true;
}

/* Eight bytes a step; the size goes in first, so that "a" + "" and "" + "a" differ. */
uint64_t key_hash_block(uint64_t seed, const uint8_t *at, size_t size)
{
    uint64_t hash = seed ^ (size * 0x9e3779b97f4a7c15ull);
    uint64_t word;
    for (; size >= sizeof word; at += sizeof word, size -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = hash_mix(word ^ hash, seed);
    }
    word = 0;
    memcpy(&word, at, size);
    return hash_mix(word ^ hash, 0x8ebc6af09c88c6e3ull);
}

uint64_t key_hash(const struct key *key, const struct key_at *at)
{
    switch (key->shape) {
    case KEY_FOUR: return key_hash_four(key->seed, at->column[0]);
    case KEY_EIGHT: return key_hash_eight(key->seed, at->column[0]);
    case KEY_BLOCK: return key_hash_block(key->seed, at->column[0], key->size);
    case KEY_WALKED: break;
    }
    uint64_t hash = key->seed;
    for (uint32_t idx = 0; idx < key->column_count; idx++)
        hash = key_hash_block(hash, at->column[idx], bsatn_size(key->types[idx], at->column[idx]));
    return hash;
}

void key_print_columns(struct buf *out, const struct table_def *table, const struct index_def *def)
{
    for (uint32_t idx = 0; idx < def->column_count; idx++) {
        if (idx > 0)
            buf_put_text(out, ", ");
        buf_put_bytes(out, table->columns[def->columns[idx]].name);
    }
}

/* How much of `content` is shown, in whole characters where it is text. */
static size_t shown_size(const struct type *type, bytes content)
{
    size_t size = SHOWN_MAX;
    while (type->kind == TYPE_STRING && (content.at[size] & 0xc0) == 0x80)
        size--;
    return size;
}

/* The keys that may be long are text and bytes, perhaps in an option: what is left out is their end. */
static void print_value(struct buf *out, const struct type *type, bytes value)
{
    const struct type *inner = type;
    size_t tags = 0;
    for (; inner->kind == TYPE_SUM; inner = inner->fields[0].type)
        tags++;
    if (value.size <= tags + sizeof(uint32_t) + SHOWN_MAX) {
        json_print(out, type, value, JSON_UNTYPED);
        return;
    }
    check(inner->kind == TYPE_STRING || inner->kind == TYPE_ARRAY);
    const bytes content = bytes_of(value.at + tags + sizeof(uint32_t), value.size - tags - sizeof(uint32_t));
    const size_t shown = shown_size(inner, content);
    struct buf beginning;
    buf_init(&beginning);
    buf_put(&beginning, value.at, tags);
    buf_put_sized(&beginning, bytes_of(content.at, shown));
    json_print(out, type, buf_bytes(&beginning), JSON_UNTYPED);
    buf_put_format(out, " and %zu bytes more", content.size - shown);
    buf_deinit(&beginning);
}

void key_print(struct buf *out, const struct table_def *table, const struct index_def *def, const uint8_t *row)
{
    if (def->column_count > 1)
        buf_put_u8(out, '[');
    for (uint32_t idx = 0; idx < def->column_count; idx++) {
        const struct type *type = table->columns[def->columns[idx]].type;
        const uint8_t *at = key_row_column(table, row, def->columns[idx]);
        if (idx > 0)
            buf_put_u8(out, ',');
        print_value(out, type, bytes_of(at, bsatn_size(type, at)));
    }
    if (def->column_count > 1)
        buf_put_u8(out, ']');
}
