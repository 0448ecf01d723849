#include "sql/predicate.h"

#include "sats/bsatn.h"

/* How a value of up to 64 bits becomes a key (E2). */
enum load {
    LOAD_NONE,
    LOAD_U8,
    LOAD_U16,
    LOAD_U32,
    LOAD_U64,
    LOAD_I8,
    LOAD_I16,
    LOAD_I32,
    LOAD_I64,
    LOAD_F32,
    LOAD_F64,
};

enum test {
    TEST_KEY,        /* column, key */
    TEST_KEYS,       /* column, column */
    TEST_SAME_FIXED, /* = and <> of wide values: their bytes */
    TEST_SAME_SIZED, /* = and <> of strings and byte arrays: u32 count, then bytes */
    TEST_VALUE,      /* column, constant: any comparable type */
    TEST_VALUES,     /* column, column */
};

/* Outcomes of a comparison that an operator accepts. */
enum { ACCEPT_LESS = 1, ACCEPT_EQUAL = 2, ACCEPT_GREATER = 4 };

/* Where a column is: behind `walk_count` columns that begin at `offset` of a source's row. */
struct place {
    uint32_t source;
    uint32_t offset;
    uint32_t walk_count;
    const struct column_def *walk;
};

struct query_node {
    enum test test;
    enum load load;
    uint32_t accept;
    struct place column, other;
    uint64_t key;
    bytes value;
    const struct type *type;
    const struct query_node *on_true, *on_false;
};

static const struct query_node match, reject; /* where ways end (E1) */

static inline const uint8_t *place_find(const struct place *place, const uint8_t *const *rows)
{
    const uint8_t *at = rows[place->source] + place->offset;
    for (uint32_t idx = 0; idx < place->walk_count; idx++)
        at += bsatn_size(place->walk[idx].type, at);
    return at;
}

static struct place place_make(const struct source *sources, struct column_ref column)
{
    const struct column_def *columns = sources[column.source].table->columns;
    uint32_t first = column.column;
    while (columns[first].offset < 0)
        first--;
    return (struct place){ column.source, (uint32_t)columns[first].offset, column.column - first, &columns[first] };
}

#define SIGN_BIT ((uint64_t)1 << 63)

#define LOAD_INTEGER_(name, type, flip)                                                                                \
    static inline uint64_t name(const uint8_t *at)                                                                     \
    {                                                                                                                  \
        type value;                                                                                                    \
        memcpy(&value, at, sizeof value);                                                                              \
        return (uint64_t)value ^ (flip);                                                                               \
    }
LOAD_INTEGER_(load_u8, uint8_t, 0)
LOAD_INTEGER_(load_u16, uint16_t, 0)
LOAD_INTEGER_(load_u32, uint32_t, 0)
LOAD_INTEGER_(load_u64, uint64_t, 0)
LOAD_INTEGER_(load_i8, int8_t, SIGN_BIT)
LOAD_INTEGER_(load_i16, int16_t, SIGN_BIT)
LOAD_INTEGER_(load_i32, int32_t, SIGN_BIT)
LOAD_INTEGER_(load_i64, int64_t, SIGN_BIT)
#undef LOAD_INTEGER_

static inline uint64_t load_f32(const uint8_t *at)
{
    uint32_t bits;
    memcpy(&bits, at, sizeof bits);
    if (bits << 1 == 0)
        bits = 0; /* E3 */
    return bits >> 31 ? ~bits : bits | (uint32_t)1 << 31;
}

static inline uint64_t load_f64(const uint8_t *at)
{
    uint64_t bits;
    memcpy(&bits, at, sizeof bits);
    if (bits << 1 == 0)
        bits = 0; /* E3 */
    return bits >> 63 ? ~bits : bits | SIGN_BIT;
}

static inline uint64_t key_load(enum load load, const uint8_t *at)
{
    switch (load) {
    case LOAD_U8: return load_u8(at);
    case LOAD_U16: return load_u16(at);
    case LOAD_U32: return load_u32(at);
    case LOAD_U64: return load_u64(at);
    case LOAD_I8: return load_i8(at);
    case LOAD_I16: return load_i16(at);
    case LOAD_I32: return load_i32(at);
    case LOAD_I64: return load_i64(at);
    case LOAD_F32: return load_f32(at);
    case LOAD_F64: return load_f64(at);
    case LOAD_NONE: break;
    }
    unreachable();
}

static enum load load_of(const struct type *type)
{
    switch (type->kind) {
    case TYPE_PRODUCT: return type->count == 1 ? load_of(type->fields[0].type) : LOAD_NONE;
    case TYPE_BOOL:
    case TYPE_U8: return LOAD_U8;
    case TYPE_U16: return LOAD_U16;
    case TYPE_U32: return LOAD_U32;
    case TYPE_U64: return LOAD_U64;
    case TYPE_I8: return LOAD_I8;
    case TYPE_I16: return LOAD_I16;
    case TYPE_I32: return LOAD_I32;
    case TYPE_I64: return LOAD_I64;
    case TYPE_F32: return LOAD_F32;
    case TYPE_F64: return LOAD_F64;
    case TYPE_I128:
    case TYPE_U128:
    case TYPE_I256:
    case TYPE_U256:
    case TYPE_STRING:
    case TYPE_ARRAY:
    case TYPE_SUM:
    case TYPE_REF: return LOAD_NONE;
    }
    unreachable();
}

static inline uint32_t outcome(uint64_t left, uint64_t right)
{
    return left < right ? ACCEPT_LESS : left > right ? ACCEPT_GREATER : ACCEPT_EQUAL;
}

static uint32_t outcome_of_order(int order)
{
    return order < 0 ? ACCEPT_LESS : order > 0 ? ACCEPT_GREATER : ACCEPT_EQUAL;
}

static uint32_t outcome_of_same(bool same)
{
    return same ? ACCEPT_EQUAL : ACCEPT_LESS | ACCEPT_GREATER;
}

static inline bool sized_is_same(const uint8_t *at, bytes value)
{
    return memcmp(at, value.at, 4) == 0 && memcmp(at + 4, value.at + 4, value.size - 4) == 0;
}

static inline uint32_t node_outcome(const struct query_node *node, const uint8_t *const *rows)
{
    const uint8_t *at = place_find(&node->column, rows);
    switch (node->test) {
    case TEST_KEY: return outcome(key_load(node->load, at), node->key);
    case TEST_KEYS: return outcome(key_load(node->load, at), key_load(node->load, place_find(&node->other, rows)));
    case TEST_SAME_FIXED: return outcome_of_same(memcmp(at, node->value.at, node->value.size) == 0);
    case TEST_SAME_SIZED: return outcome_of_same(sized_is_same(at, node->value));
    case TEST_VALUE: return outcome_of_order(bsatn_compare(node->type, at, node->value.at));
    case TEST_VALUES: return outcome_of_order(bsatn_compare(node->type, at, place_find(&node->other, rows)));
    }
    unreachable();
}

bool predicate_matches(const struct query_node *entry, const uint8_t *const *rows)
{
    const struct query_node *node = entry != NULL ? entry : &match;
    while (node != &match && node != &reject)
        node = node_outcome(node, rows) & node->accept ? node->on_true : node->on_false;
    return node == &match;
}

/* ---- making ---- */

static uint32_t op_accept(enum compare_op op)
{
    switch (op) {
    case OP_EQ: return ACCEPT_EQUAL;
    case OP_NE: return ACCEPT_LESS | ACCEPT_GREATER;
    case OP_LT: return ACCEPT_LESS;
    case OP_LE: return ACCEPT_LESS | ACCEPT_EQUAL;
    case OP_GT: return ACCEPT_GREATER;
    case OP_GE: return ACCEPT_GREATER | ACCEPT_EQUAL;
    }
    unreachable();
}

static enum test test_of(const struct condition *condition, const struct type *type, enum load load)
{
    if (condition->kind == CONDITION_COLUMNS)
        return load != LOAD_NONE ? TEST_KEYS : TEST_VALUES;
    if (load != LOAD_NONE)
        return TEST_KEY;
    if (condition->op != OP_EQ && condition->op != OP_NE)
        return TEST_VALUE;
    return type->fixed_size != TYPE_VARIABLE ? TEST_SAME_FIXED : TEST_SAME_SIZED;
}

struct maker {
    const struct source *sources;
    struct query_node *next; /* the place behind the one to be filled: nodes are made from last to first */
};

static const struct query_node *make_test(struct maker *maker, const struct condition *condition,
                                          const struct query_node *on_true, const struct query_node *on_false)
{
    const struct type *type = maker->sources[condition->column.source].table->columns[condition->column.column].type;
    const enum load load = load_of(type);
    struct query_node *node = --maker->next;
    *node = (struct query_node){
        .test = test_of(condition, type, load),
        .load = load,
        .accept = op_accept(condition->op),
        .column = place_make(maker->sources, condition->column),
        .type = type,
        .on_true = on_true,
        .on_false = on_false,
    };
    if (condition->kind == CONDITION_COLUMNS) {
        node->other = place_make(maker->sources, condition->other);
        return node;
    }
    node->value = condition->value;
    if (load != LOAD_NONE)
        node->key = key_load(load, condition->value.at);
    return node;
}

/* Makes the nodes of a condition and returns where to begin: a node, match or reject. What follows is made
 * before what leads to it, so every way is known when a node is made. */
static const struct query_node *make_nodes(struct maker *maker, const struct condition *condition,
                                           const struct query_node *on_true, const struct query_node *on_false)
{
    const struct query_node *entry;
    switch (condition->kind) {
    case CONDITION_CONSTANT: return condition->constant ? on_true : on_false;
    case CONDITION_VALUE:
    case CONDITION_COLUMNS: return make_test(maker, condition, on_true, on_false);
    case CONDITION_ALL:
        entry = on_true;
        for (uint32_t idx = condition->part_count; idx-- > 0;)
            entry = make_nodes(maker, condition->parts[idx], entry, on_false);
        return entry;
    case CONDITION_ANY:
        entry = on_false;
        for (uint32_t idx = condition->part_count; idx-- > 0;)
            entry = make_nodes(maker, condition->parts[idx], on_true, entry);
        return entry;
    }
    unreachable();
}

static uint32_t tests_count(const struct condition *condition)
{
    uint32_t count = condition->kind == CONDITION_VALUE || condition->kind == CONDITION_COLUMNS;
    for (uint32_t idx = 0; idx < condition->part_count; idx++)
        count += tests_count(condition->parts[idx]);
    return count;
}

struct query_node *predicate_make(struct arena *arena, const struct source *sources, const struct condition *where,
                                  bool *never)
{
    const uint32_t count = tests_count(where);
    struct query_node *nodes = ARENA_ARRAY(arena, struct query_node, count);
    struct maker maker = { sources, nodes + count };
    const struct query_node *entry = make_nodes(&maker, where, &match, &reject);
    *never = entry == &reject;
    return entry == &match ? NULL : (struct query_node *)entry;
}
