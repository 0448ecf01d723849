#include "engine/reads.h"

#include "sats/bsatn.h"
#include "store/table.h"

enum read_kind { READ_KEY, READ_RANGE, READ_WHOLE };

/* One look of one reader. Those with one key are a list, those of a table another. */
struct read_entry {
    struct reader_set *set;
    struct read_entry *next_of_set;
    struct read_entry **list; /* that it stands in */
    struct read_entry *previous, *next;
    enum read_kind kind;
    uint32_t table;
    int32_t index;
    struct index_bound lower, upper; /* their keys are owned */
};

/* The readers of one key: what the map of keys points to. */
struct key_readers {
    struct read_entry *first;
    struct buf key;
};

struct table_readers {
    struct read_entry *first; /* of ranges and of the whole */
    uint32_t *key_counts;     /* owned: by index, how many looks by key there are */
    uint32_t index_count;
};

struct reads {
    struct map keys;              /* table, index, key -> struct key_readers, owned */
    struct table_readers **tables; /* owned: by place in the schema; NULL: nobody reads it */
    uint32_t table_count;
    uint64_t commits;
    struct buf key; /* the one being looked up */
};

struct reads *reads_new(void)
{
    struct reads *reads = memory_new(sizeof *reads);
    map_init(&reads->keys);
    return reads;
}

void reads_free(struct reads *reads)
{
    check(reads->keys.count == 0);
    for (uint32_t idx = 0; idx < reads->table_count; idx++) {
        if (reads->tables[idx] != NULL)
            memory_free(reads->tables[idx]->key_counts);
        memory_free(reads->tables[idx]);
    }
    memory_free(reads->tables);
    map_deinit(&reads->keys);
    buf_deinit(&reads->key);
    memory_free(reads);
}

static struct table_readers *need_table(struct reads *reads, uint32_t table)
{
    if (table >= reads->table_count) {
        reads->tables = memory_resize(reads->tables, (table + 1) * sizeof *reads->tables);
        memset(reads->tables + reads->table_count, 0, (table + 1 - reads->table_count) * sizeof *reads->tables);
        reads->table_count = table + 1;
    }
    if (reads->tables[table] == NULL)
        reads->tables[table] = memory_new(sizeof **reads->tables);
    return reads->tables[table];
}

static uint32_t *need_key_count(struct table_readers *table, uint32_t index)
{
    if (index >= table->index_count) {
        table->key_counts = memory_resize(table->key_counts, (index + 1) * sizeof *table->key_counts);
        memset(table->key_counts + table->index_count, 0, (index + 1 - table->index_count) * sizeof *table->key_counts);
        table->index_count = index + 1;
    }
    return &table->key_counts[index];
}

static struct buf *key_begin(struct reads *reads, uint32_t table, uint32_t index)
{
    buf_clear(&reads->key);
    buf_put_u32(&reads->key, table);
    buf_put_u32(&reads->key, index);
    return &reads->key;
}

static enum read_kind kind_of(const struct schema *schema, const struct view_read *read)
{
    if (read->index < 0)
        return READ_WHOLE;
    const uint32_t columns = schema->tables[read->table].indexes[read->index].column_count;
    const bool is_key = read->lower.column_count == columns && read->upper.column_count == columns &&
                        read->lower.inclusive && read->upper.inclusive && bytes_equal(read->lower.key, read->upper.key);
    return is_key ? READ_KEY : READ_RANGE;
}

static bool bounds_equal(const struct index_bound *left, const struct index_bound *right)
{
    return left->column_count == right->column_count && left->inclusive == right->inclusive &&
           (left->column_count == 0 || bytes_equal(left->key, right->key));
}

/* The newest of a set are looked at alone: what repeats itself does so soon, and twice is only a waste. */
static bool is_known(const struct reader_set *set, enum read_kind kind, const struct view_read *read)
{
    enum { LOOK_BACK = 8 };
    const struct read_entry *entry = set->first;
    for (int seen = 0; entry != NULL && seen < LOOK_BACK; seen++, entry = entry->next_of_set) {
        if (entry->kind == kind && entry->table == read->table && entry->index == read->index &&
            (kind == READ_WHOLE ||
             (bounds_equal(&entry->lower, &read->lower) && bounds_equal(&entry->upper, &read->upper))))
            return true;
    }
    return false;
}

static void bound_keep(struct index_bound *bound)
{
    if (bound->column_count > 0)
        bound->key = bytes_of(memory_copy(bound->key.at, bound->key.size), bound->key.size);
    else
        bound->key = bytes_of(NULL, 0);
}

static void link_entry(struct read_entry *entry, struct read_entry **list)
{
    entry->list = list;
    entry->next = *list;
    if (*list != NULL)
        (*list)->previous = entry;
    *list = entry;
}

static struct read_entry **need_list(struct reads *reads, enum read_kind kind, const struct view_read *read)
{
    struct table_readers *table = need_table(reads, read->table);
    if (kind != READ_KEY)
        return &table->first;
    struct buf *key = key_begin(reads, read->table, (uint32_t)read->index);
    buf_put_bytes(key, read->lower.key);
    struct key_readers *readers = map_find(&reads->keys, buf_bytes(key));
    if (readers == NULL) {
        readers = memory_new(sizeof *readers);
        buf_put_bytes(&readers->key, buf_bytes(key));
        map_put(&reads->keys, buf_bytes(key), readers);
    }
    (*need_key_count(table, (uint32_t)read->index))++;
    return &readers->first;
}

void reads_add(struct reads *reads, struct reader_set *set, const struct schema *schema, const struct view_read *read)
{
    const enum read_kind kind = kind_of(schema, read);
    if (is_known(set, kind, read))
        return;
    struct read_entry *entry = memory_new(sizeof *entry);
    *entry = (struct read_entry){ .set = set, .next_of_set = set->first, .kind = kind, .table = read->table,
                                  .index = read->index, .lower = read->lower, .upper = read->upper };
    bound_keep(&entry->lower);
    bound_keep(&entry->upper);
    set->first = entry;
    link_entry(entry, need_list(reads, kind, read));
}

static void remove_entry(struct reads *reads, struct read_entry *entry)
{
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        *entry->list = entry->next;
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
    if (entry->kind == READ_KEY) {
        struct key_readers *readers = container_of(entry->list, struct key_readers, first);
        reads->tables[entry->table]->key_counts[entry->index]--;
        if (readers->first == NULL) {
            map_remove(&reads->keys, buf_bytes(&readers->key));
            buf_deinit(&readers->key);
            memory_free(readers);
        }
    }
    memory_free((void *)entry->lower.key.at);
    memory_free((void *)entry->upper.key.at);
    memory_free(entry);
}

void reads_clear(struct reads *reads, struct reader_set *set)
{
    while (set->first != NULL) {
        struct read_entry *entry = set->first;
        set->first = entry->next_of_set;
        remove_entry(reads, entry);
    }
}

struct finding {
    struct reads *reads;
    void (*found)(void *context, struct reader_set *set);
    void *context;
};

static void tell(const struct finding *finding, struct reader_set *set)
{
    if (set->found == finding->reads->commits)
        return;
    set->found = finding->reads->commits;
    finding->found(finding->context, set);
}

/* -1, 0, 1: how the row's leading columns stand to the bound's. */
static int compare_with_bound(const struct table *table, const struct index_def *index, const uint8_t *row,
                              const struct index_bound *bound)
{
    const uint8_t *at = bound->key.at;
    for (uint32_t idx = 0; idx < bound->column_count; idx++) {
        const struct type *type = table->def->columns[index->columns[idx]].type;
        const int order = bsatn_compare(type, table_column(table, row, index->columns[idx]), at);
        if (order != 0)
            return order;
        at += bsatn_size(type, at);
    }
    return 0;
}

static bool is_within(const struct table *table, const struct read_entry *entry, const uint8_t *row)
{
    const struct index_def *index = &table->def->indexes[entry->index];
    const int low = entry->lower.column_count > 0 ? compare_with_bound(table, index, row, &entry->lower) : 1;
    const int high = entry->upper.column_count > 0 ? compare_with_bound(table, index, row, &entry->upper) : -1;
    return (low > 0 || (low == 0 && entry->lower.inclusive)) && (high < 0 || (high == 0 && entry->upper.inclusive));
}

static void find_by_row(const struct finding *finding, const struct table *table, uint32_t place, const uint8_t *row)
{
    struct reads *reads = finding->reads;
    const struct table_readers *readers = reads->tables[place];
    for (uint32_t idx = 0; idx < readers->index_count && idx < table->index_count; idx++) {
        if (readers->key_counts[idx] == 0)
            continue;
        index_key(table->indexes[idx], row, key_begin(reads, place, idx));
        const struct key_readers *found = map_find(&reads->keys, buf_bytes(&reads->key));
        for (struct read_entry *entry = found != NULL ? found->first : NULL; entry != NULL; entry = entry->next)
            tell(finding, entry->set);
    }
    for (struct read_entry *entry = readers->first; entry != NULL; entry = entry->next) {
        if (entry->set->found != reads->commits && (entry->kind == READ_WHOLE || is_within(table, entry, row)))
            tell(finding, entry->set);
    }
}

void reads_find(struct reads *reads, const struct store *store, const struct delta *delta,
                void (*found)(void *context, struct reader_set *set), void *context)
{
    const struct finding finding = { reads, found, context };
    reads->commits++;
    for (uint32_t idx = 0; idx < delta->table_count; idx++) {
        const struct delta_table *changes = &delta->tables[idx];
        const uint32_t place = (uint32_t)(changes->table->def - store->schema->tables);
        if (place >= reads->table_count || reads->tables[place] == NULL || changes->table->def->is_event)
            continue;
        for (uint32_t row = 0; row < changes->delete_count; row++)
            find_by_row(&finding, changes->table, place, changes->deletes[row].at);
        for (uint32_t row = 0; row < changes->insert_count; row++)
            find_by_row(&finding, changes->table, place, changes->inserts[row].at);
    }
}
