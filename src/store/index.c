#include "store/index.h"

#include "base/clock.h"
#include "sats/bsatn.h"
#include "store/btree.h"
#include "store/direct.h"
#include "store/hashindex.h"

enum { KEYS_AHEAD = 8 }; /* the work of so many finds takes longer than memory */
enum { FOUND_KEPT = 2 }; /* a call that moves something from one row to another finds both, then changes both */

enum structure { STRUCTURE_BTREE, STRUCTURE_HASH, STRUCTURE_DIRECT };

struct index {
    const struct index_def *def; /* borrowed: the schema in force */
    const struct pages *pages;   /* borrowed: the table */
    enum structure structure;
    struct key key;
    struct hashindex hash; /* a hash index's, or beside a unique B-tree */
    uint64_t last_key;     /* of finds by hash: a memory of the search, not of the index */
    rowref found[FOUND_KEPT]; /* by index_find() on a unique index, the last ones; likewise */
    uint32_t found_count;
    union {
        struct btree btree;
        struct direct direct;
    };
};

/* Whether whole keys are found by their hash. */
static bool has_hash(const struct index *index)
{
    return index->structure == STRUCTURE_HASH || (index->structure == STRUCTURE_BTREE && index->def->unique);
}

static bool counts_up(const struct type *type)
{
    if (type_is_enum(type))
        return true;
    return type->kind == TYPE_U8 || type->kind == TYPE_U16 || type->kind == TYPE_U32 || type->kind == TYPE_U64;
}

static enum structure structure_for(const struct index_def *def, const struct table_def *table)
{
    switch (def->kind) {
    case INDEX_BTREE: return STRUCTURE_BTREE;
    case INDEX_HASH: return def->unique ? STRUCTURE_HASH : STRUCTURE_BTREE;
    case INDEX_DIRECT: break;
    }
    const bool fits = def->unique && def->column_count == 1 && counts_up(table->columns[def->columns[0]].type);
    return fits ? STRUCTURE_DIRECT : STRUCTURE_BTREE;
}

struct index *index_new(const struct index_def *def, const struct table_def *table, const struct pages *pages)
{
    struct index *index = memory_new(sizeof *index);
    uint64_t seed;
    random_bytes(&seed, sizeof seed);
    index->def = def;
    index->pages = pages;
    index->structure = structure_for(def, table);
    key_init(&index->key, def, table, seed);
    for (uint32_t idx = 0; idx < FOUND_KEPT; idx++)
        index->found[idx] = ROWREF_NONE;
    if (has_hash(index))
        hashindex_init(&index->hash);
    switch (index->structure) {
    case STRUCTURE_BTREE: btree_init(&index->btree, &index->key, pages, def->kind == INDEX_HASH); break;
    case STRUCTURE_HASH: break;
    case STRUCTURE_DIRECT: direct_init(&index->direct); break;
    }
    return index;
}

void index_free(struct index *index)
{
    if (index == NULL)
        return;
    hashindex_deinit(&index->hash); /* where there is none, too: the schema that would say so may be gone */
    switch (index->structure) {
    case STRUCTURE_BTREE: btree_deinit(&index->btree); break;
    case STRUCTURE_HASH: break;
    case STRUCTURE_DIRECT: direct_deinit(&index->direct); break;
    }
    memory_free(index);
}

const struct index_def *index_def(const struct index *index)
{
    return index->def;
}

bool index_def_equal(const struct index_def *left, const struct index_def *right)
{
    return left->kind == right->kind && left->unique == right->unique && left->column_count == right->column_count &&
           memcmp(left->columns, right->columns, left->column_count * sizeof left->columns[0]) == 0;
}

void index_rebind(struct index *index, const struct index_def *def, const struct table_def *table)
{
    check(index_def_equal(index->def, def));
    index->def = def;
    key_init(&index->key, def, table, index->key.seed);
    if (index->structure == STRUCTURE_BTREE)
        btree_rebind(&index->btree);
}

/* --- Hash --- */

static inline const uint8_t *block_in_row(const struct index *index, rowref ref)
{
    return pages_row(index->pages, ref)->data + index->key.offset;
}

/* Numbers that are looked for one after the other lie anywhere by their hash. Whether `key` follows the last one, so
 * that entries of those to come are worth asking for. */
static inline bool key_follows(const struct index *index, uint64_t key)
{
    const bool follows = key - index->last_key == 1;
    ((struct index *)index)->last_key = key;
    return follows;
}

static inline void ask_entry(const struct index *index, uint64_t key_hash)
{
    const struct hashindex_entry *home = hashindex_home(&index->hash, hashindex_part(key_hash));
    __builtin_prefetch(home);
    __builtin_prefetch(home + HASHINDEX_LOOKAHEAD - 1);
}

static inline void ask_ahead_four(const struct index *index, const uint8_t *at)
{
    uint32_t key;
    memcpy(&key, at, sizeof key);
    if (!key_follows(index, key))
        return;
    key += KEYS_AHEAD;
    ask_entry(index, key_hash_four(index->key.seed, (const uint8_t *)&key));
}

static inline void ask_ahead_eight(const struct index *index, const uint8_t *at)
{
    uint64_t key;
    memcpy(&key, at, sizeof key);
    if (!key_follows(index, key))
        return;
    key += KEYS_AHEAD;
    ask_entry(index, key_hash_eight(index->key.seed, (const uint8_t *)&key));
}

static inline rowref find_four(const struct index *index, const uint8_t *at)
{
    ask_ahead_four(index, at);
    const uint32_t hash = hashindex_part(key_hash_four(index->key.seed, at));
    for (const struct hashindex_entry *entry = hashindex_seek(&index->hash, hash); entry->hash == hash; entry++)
        if (memcmp(block_in_row(index, entry->ref), at, 4) == 0)
            return entry->ref;
    return ROWREF_NONE;
}

static inline rowref find_eight(const struct index *index, const uint8_t *at)
{
    ask_ahead_eight(index, at);
    const uint32_t hash = hashindex_part(key_hash_eight(index->key.seed, at));
    for (const struct hashindex_entry *entry = hashindex_seek(&index->hash, hash); entry->hash == hash; entry++)
        if (memcmp(block_in_row(index, entry->ref), at, 8) == 0)
            return entry->ref;
    return ROWREF_NONE;
}

static rowref find_block(const struct index *index, const uint8_t *at)
{
    const size_t size = index->key.size;
    const uint32_t hash = hashindex_part(key_hash_block(index->key.seed, at, size));
    for (const struct hashindex_entry *entry = hashindex_seek(&index->hash, hash); entry->hash == hash; entry++)
        if (memcmp(block_in_row(index, entry->ref), at, size) == 0)
            return entry->ref;
    return ROWREF_NONE;
}

/* Apart, so that the short ways above need no room for places of columns. `row` is NULL for a probe. */
static __attribute__((noinline)) rowref find_walked(const struct index *index, const uint8_t *probe, const uint8_t *row)
{
    const struct key_at at =
        row != NULL ? key_in_row(&index->key, row) : key_in_probe(&index->key, probe, index->key.column_count);
    const uint32_t hash = hashindex_part(key_hash(&index->key, &at));
    for (const struct hashindex_entry *entry = hashindex_seek(&index->hash, hash); entry->hash == hash; entry++) {
        const struct key_at found = key_in_row(&index->key, pages_row(index->pages, entry->ref)->data);
        if (key_equal(&index->key, &found, &at))
            return entry->ref;
    }
    return ROWREF_NONE;
}

/* A block looks the same in a probe and in a row; so only where it begins differs. */
static inline rowref hash_find(const struct index *index, const uint8_t *block, const uint8_t *row)
{
    switch (index->key.shape) {
    case KEY_FOUR: return find_four(index, block);
    case KEY_EIGHT: return find_eight(index, block);
    case KEY_BLOCK: return find_block(index, block);
    case KEY_WALKED: break;
    }
    return find_walked(index, block, row);
}

static uint32_t hash_of_block(const struct index *index, const uint8_t *block)
{
    switch (index->key.shape) {
    case KEY_FOUR: return hashindex_part(key_hash_four(index->key.seed, block));
    case KEY_EIGHT: return hashindex_part(key_hash_eight(index->key.seed, block));
    case KEY_BLOCK: return hashindex_part(key_hash_block(index->key.seed, block, index->key.size));
    case KEY_WALKED: break;
    }
    unreachable();
}

static uint32_t hash_of_row(const struct index *index, const uint8_t *row)
{
    if (index->key.shape != KEY_WALKED)
        return hash_of_block(index, row + index->key.offset);
    const struct key_at at = key_in_row(&index->key, row);
    return hashindex_part(key_hash(&index->key, &at));
}

/* --- Direct --- */

static uint64_t value_at(const struct index *index, const uint8_t *at)
{
    uint64_t value = 0;
    memcpy(&value, at, (size_t)index->key.types[0]->fixed_size);
    return value;
}

static uint64_t value_in_row(const struct index *index, const uint8_t *row)
{
    return value_at(index, key_row_column(index->key.table, row, index->key.columns[0]));
}

/* --- What was found last --- */

static inline bool same_block(const struct key *key, const uint8_t *left, const uint8_t *right)
{
    switch (key->shape) {
    case KEY_FOUR: return memcmp(left, right, 4) == 0;
    case KEY_EIGHT: return memcmp(left, right, 8) == 0;
    default: return memcmp(left, right, key->size) == 0;
    }
}

static inline rowref found_keep(const struct index *index, rowref ref)
{
    struct index *remembering = (struct index *)index;
    if (ref != ROWREF_NONE)
        remembering->found[remembering->found_count++ % FOUND_KEPT] = ref;
    return ref;
}

static void found_forget(struct index *index, rowref ref)
{
    for (uint32_t idx = 0; idx < FOUND_KEPT; idx++)
        if (index->found[idx] == ref)
            index->found[idx] = ROWREF_NONE;
}

/* The row with the key of `row`, if it is one of those: who changes a row has mostly just found it. */
static inline rowref found_again(const struct index *index, const uint8_t *row)
{
    if (index->key.shape == KEY_WALKED)
        return ROWREF_NONE;
    for (uint32_t idx = 0; idx < FOUND_KEPT; idx++) {
        const rowref ref = index->found[idx];
        if (ref != ROWREF_NONE && same_block(&index->key, block_in_row(index, ref), row + index->key.offset))
            return ref;
    }
    return ROWREF_NONE;
}

/* --- Changing and finding --- */

void index_add(struct index *index, rowref ref)
{
    const uint8_t *row = pages_row(index->pages, ref)->data;
    if (has_hash(index))
        hashindex_add(&index->hash, hash_of_row(index, row), ref);
    switch (index->structure) {
    case STRUCTURE_BTREE: btree_add(&index->btree, ref); break;
    case STRUCTURE_HASH: break;
    case STRUCTURE_DIRECT: direct_add(&index->direct, value_in_row(index, row), ref); break;
    }
}

void index_remove(struct index *index, rowref ref)
{
    const uint8_t *row = pages_row(index->pages, ref)->data;
    found_forget(index, ref);
    if (has_hash(index))
        hashindex_remove(&index->hash, hash_of_row(index, row), ref);
    switch (index->structure) {
    case STRUCTURE_BTREE: btree_remove(&index->btree, ref); break;
    case STRUCTURE_HASH: break;
    case STRUCTURE_DIRECT: direct_remove(&index->direct, value_in_row(index, row)); break;
    }
}

bool index_foresees(const struct index *index)
{
    return has_hash(index) && index->key.shape != KEY_WALKED;
}

void index_ask_entry(const struct index *index, const uint8_t *key)
{
    const struct hashindex_entry *home = hashindex_home(&index->hash, hash_of_block(index, key));
    __builtin_prefetch(home);
    __builtin_prefetch(home + HASHINDEX_LOOKAHEAD - 1); /* mostly in the next cache line */
}

void index_ask_row(const struct index *index, const uint8_t *key)
{
    const rowref ref = hashindex_seek(&index->hash, hash_of_block(index, key))->ref;
    if (ref != ROWREF_NONE)
        __builtin_prefetch(pages_row(index->pages, ref));
}

/* Hashes scatter what lies side by side in the tree: who goes through keys in their order is served from its leaves. */
static rowref find_unique(const struct index *index, const uint8_t *probe, const uint8_t *row)
{
    rowref found;
    const uint8_t *column = row != NULL ? key_row_column(index->key.table, row, index->key.columns[0]) : probe;
    if (btree_find_next(&index->btree, column, &found))
        return found;
    return hash_find(index, row != NULL ? row + index->key.offset : probe, row);
}

rowref index_find(const struct index *index, bytes key)
{
    switch (index->structure) {
    case STRUCTURE_HASH: return found_keep(index, hash_find(index, key.at, NULL));
    case STRUCTURE_DIRECT: return direct_find(&index->direct, value_at(index, key.at));
    case STRUCTURE_BTREE: break;
    }
    if (has_hash(index))
        return found_keep(index, find_unique(index, key.at, NULL));
    const struct key_at at = key_in_probe(&index->key, key.at, index->key.column_count);
    return btree_find(&index->btree, &at);
}

rowref index_find_again(const struct index *index, const uint8_t *row)
{
    const rowref again = found_again(index, row);
    return again != ROWREF_NONE ? again : index_find_row(index, row);
}

rowref index_find_row(const struct index *index, const uint8_t *row)
{
    switch (index->structure) {
    case STRUCTURE_HASH: return hash_find(index, row + index->key.offset, row);
    case STRUCTURE_DIRECT: return direct_find(&index->direct, value_in_row(index, row));
    case STRUCTURE_BTREE: break;
    }
    if (has_hash(index))
        return find_unique(index, NULL, row);
    const struct key_at at = key_in_row(&index->key, row);
    return btree_find(&index->btree, &at);
}

void index_key(const struct index *index, const uint8_t *row, struct buf *out)
{
    const struct key_at at = key_in_row(&index->key, row);
    for (uint32_t idx = 0; idx < at.count; idx++)
        buf_put(out, at.column[idx], bsatn_size(index->key.types[idx], at.column[idx]));
}

bool index_same_key(const struct index *index, const uint8_t *left, const uint8_t *right)
{
    const struct key *key = &index->key;
    if (key->shape != KEY_WALKED)
        return same_block(key, left + key->offset, right + key->offset);
    const struct key_at left_at = key_in_row(key, left);
    const struct key_at right_at = key_in_row(key, right);
    return key_equal(key, &left_at, &right_at);
}

/* --- Walking --- */

static err refuse_walk(const struct index *index, const char *why, struct diag *diag)
{
    return diag_set(diag, ERR_WRONG_INDEX, "the index `%.*s` %s", BYTES_FORMAT(index->def->name), why);
}

static bool is_whole_key(const struct index *index, const struct index_bound *lower, const struct index_bound *upper)
{
    return lower->column_count == index->key.column_count && upper->column_count == index->key.column_count &&
           lower->inclusive && upper->inclusive && bytes_equal(lower->key, upper->key);
}

static void walk_btree(const struct index *index, const struct index_bound *lower, const struct index_bound *upper,
                       bool reverse, bool (*each)(void *context, rowref ref), void *context)
{
    const struct key_at lower_at = key_in_probe(&index->key, lower->key.at, lower->column_count);
    const struct key_at upper_at = key_in_probe(&index->key, upper->key.at, upper->column_count);
    const struct btree_bound low = { lower->column_count > 0 ? &lower_at : NULL, !lower->inclusive };
    const struct btree_bound high = { upper->column_count > 0 ? &upper_at : NULL, upper->inclusive };
    btree_walk(&index->btree, low, high, reverse, each, context);
}

static void walk_direct(const struct index *index, const struct index_bound *lower, const struct index_bound *upper,
                        bool reverse, bool (*each)(void *context, rowref ref), void *context)
{
    uint64_t low = 0, high = UINT64_MAX;
    if (lower->column_count > 0) {
        low = value_at(index, lower->key.at);
        if (!lower->inclusive && low++ == UINT64_MAX)
            return;
    }
    if (upper->column_count > 0) {
        high = value_at(index, upper->key.at);
        if (!upper->inclusive && high-- == 0)
            return;
    }
    direct_walk(&index->direct, low, high, reverse, each, context);
}

static void walk_one(rowref ref, bool (*each)(void *context, rowref ref), void *context)
{
    if (ref != ROWREF_NONE)
        each(context, ref);
}

err index_walk(const struct index *index, struct index_bound lower, struct index_bound upper, bool reverse,
               bool (*each)(void *context, rowref ref), void *context, struct diag *diag)
{
    if (lower.column_count > index->key.column_count || upper.column_count > index->key.column_count)
        return refuse_walk(index, "has fewer columns than the key that is asked for", diag);
    if (index->def->kind == INDEX_HASH && !is_whole_key(index, &lower, &upper))
        return refuse_walk(index, "is a hash index: it finds rows by their whole key, not by a part or a range", diag);
    if (has_hash(index) && is_whole_key(index, &lower, &upper))
        walk_one(index_find(index, lower.key), each, context);
    else if (index->structure == STRUCTURE_BTREE)
        walk_btree(index, &lower, &upper, reverse, each, context);
    else
        walk_direct(index, &lower, &upper, reverse, each, context);
    return OK;
}

static bool put_ref(void *context, rowref ref)
{
    buf_put_u32(context, ref);
    return true;
}

err index_collect(const struct index *index, struct index_bound lower, struct index_bound upper, bool reverse,
                  struct buf *out, struct diag *diag)
{
    return index_walk(index, lower, upper, reverse, put_ref, out, diag);
}

/* --- Measuring and verifying --- */

uint64_t index_count(const struct index *index)
{
    switch (index->structure) {
    case STRUCTURE_BTREE: return index->btree.count;
    case STRUCTURE_HASH: return index->hash.count;
    case STRUCTURE_DIRECT: return index->direct.count;
    }
    unreachable();
}

uint64_t index_memory(const struct index *index)
{
    const uint64_t hash = has_hash(index) ? hashindex_memory(&index->hash) : 0;
    switch (index->structure) {
    case STRUCTURE_BTREE: return index->btree.byte_count + hash;
    case STRUCTURE_HASH: return hash;
    case STRUCTURE_DIRECT: return index->direct.byte_count;
    }
    unreachable();
}

void index_check(const struct index *index)
{
    if (has_hash(index)) {
        hashindex_check(&index->hash);
        check(index->hash.count == index_count(index));
    }
    switch (index->structure) {
    case STRUCTURE_BTREE: btree_check(&index->btree); break;
    case STRUCTURE_HASH: break;
    case STRUCTURE_DIRECT: direct_check(&index->direct); break;
    }
    check(index_count(index) == index->pages->row_count); /* X1 */
    rowref ref = ROWREF_NONE;
    for (const struct row *row; (row = pages_next(index->pages, &ref)) != NULL;) {
        const rowref found = index_find_row(index, row->data);
        check(found != ROWREF_NONE && index_same_key(index, row->data, pages_row(index->pages, found)->data));
        check(found == ref || !index->def->unique); /* X2 */
    }
}
