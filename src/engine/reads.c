#include "engine/reads.h"

#include "sats/bsatn.h"
#include "store/table.h"
#include "sub/intervals.h"

enum read_kind { READ_KEY, READ_RANGE, READ_WHOLE };

/* One look of one reader. */
struct read_entry {
    struct reader_set *set;
    struct read_entry *next_of_set;
    struct read_entry **list; /* that it stands in, with others that look at the same */
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

/* The readers of ranges that are alike in the first column: what an interval points to. */
struct range_readers {
    struct read_entry *first;
};

struct index_readers {
    uint32_t key_count;      /* looks by key */
    struct intervals ranges; /* of the first column -> struct range_readers, owned */
};

struct table_readers {
    struct read_entry *first; /* of the whole */
    struct index_readers *indexes; /* owned: by place */
    uint32_t index_count;
};

struct reads {
    struct map keys;              /* table, index, key -> struct key_readers, owned */
    struct table_readers **tables; /* owned: by place in the schema; NULL: nobody has read it */
    uint32_t table_count;
    uint64_t commits;
    struct buf key; /* the one being looked up */
};

/* --- Life --- */

struct reads *reads_new(void)
{
    struct reads *reads = memory_new(sizeof *reads);
    map_init(&reads->keys);
    return reads;
}

static void table_readers_free(struct table_readers *table)
{
    for (uint32_t idx = 0; idx < table->index_count; idx++)
        intervals_deinit(&table->indexes[idx].ranges);
    memory_free(table->indexes);
    memory_free(table);
}

void reads_free(struct reads *reads)
{
    check(reads->keys.count == 0);
    for (uint32_t idx = 0; idx < reads->table_count; idx++) {
        if (reads->tables[idx] != NULL)
            table_readers_free(reads->tables[idx]);
    }
    memory_free(reads->tables);
    map_deinit(&reads->keys);
    buf_deinit(&reads->key);
    memory_free(reads);
}

static struct table_readers *table_readers_new(const struct table_def *def)
{
    struct table_readers *table = memory_new(sizeof *table);
    table->indexes = memory_new((def->index_count + 1) * sizeof *table->indexes);
    table->index_count = def->index_count;
    for (uint32_t idx = 0; idx < def->index_count; idx++)
        intervals_init(&table->indexes[idx].ranges, def->columns[def->indexes[idx].columns[0]].type);
    return table;
}

static struct table_readers *need_table(struct reads *reads, const struct schema *schema, uint32_t place)
{
    if (reads->tables == NULL) {
        reads->tables = memory_new(schema->table_count * sizeof *reads->tables);
        reads->table_count = schema->table_count;
    }
    check(place < reads->table_count);
    if (reads->tables[place] == NULL)
        reads->tables[place] = table_readers_new(&schema->tables[place]);
    return reads->tables[place];
}

/* --- Where a look is found --- */

static struct buf *key_begin(struct reads *reads, uint32_t table, uint32_t index)
{
    buf_clear(&reads->key);
    buf_put_u32(&reads->key, table);
    buf_put_u32(&reads->key, index);
    return &reads->key;
}

static const struct index_def *index_of(const struct schema *schema, uint32_t table, int32_t index)
{
    return &schema->tables[table].indexes[index];
}

static enum read_kind kind_of(const struct schema *schema, const struct view_read *read)
{
    if (read->index < 0)
        return READ_WHOLE;
    const uint32_t columns = index_of(schema, read->table, read->index)->column_count;
    const bool is_key = read->lower.column_count == columns && read->upper.column_count == columns &&
                        read->lower.inclusive && read->upper.inclusive && bytes_equal(read->lower.key, read->upper.key);
    return is_key ? READ_KEY : READ_RANGE;
}

/* What the bounds say about the first column: where more columns follow, its value is within. */
static struct query_range first_range(const struct intervals *ranges, const struct index_bound *lower,
                                      const struct index_bound *upper)
{
    struct query_range range = { .has_lower = lower->column_count > 0, .has_upper = upper->column_count > 0 };
    if (range.has_lower) {
        range.lower = bytes_of(lower->key.at, bsatn_size(ranges->type, lower->key.at));
        range.lower_inclusive = lower->inclusive || lower->column_count > 1;
    }
    if (range.has_upper) {
        range.upper = bytes_of(upper->key.at, bsatn_size(ranges->type, upper->key.at));
        range.upper_inclusive = upper->inclusive || upper->column_count > 1;
    }
    return range;
}

static struct read_entry **need_key_list(struct reads *reads, struct index_readers *index, const struct view_read *read)
{
    struct buf *key = key_begin(reads, read->table, (uint32_t)read->index);
    buf_put_bytes(key, read->lower.key);
    struct key_readers *readers = map_find(&reads->keys, buf_bytes(key));
    if (readers == NULL) {
        readers = memory_new(sizeof *readers);
        buf_put_bytes(&readers->key, buf_bytes(key));
        map_put(&reads->keys, buf_bytes(key), readers);
    }
    index->key_count++;
    return &readers->first;
}

static struct read_entry **need_range_list(struct index_readers *index, const struct view_read *read)
{
    const struct query_range range = first_range(&index->ranges, &read->lower, &read->upper);
    struct interval *interval = intervals_add(&index->ranges, &range);
    if (interval->item == NULL)
        interval->item = memory_new(sizeof(struct range_readers));
    return &((struct range_readers *)interval->item)->first;
}

static struct read_entry **need_list(struct reads *reads, const struct schema *schema, enum read_kind kind,
                                     const struct view_read *read)
{
    struct table_readers *table = need_table(reads, schema, read->table);
    if (kind == READ_WHOLE)
        return &table->first;
    struct index_readers *index = &table->indexes[read->index];
    return kind == READ_KEY ? need_key_list(reads, index, read) : need_range_list(index, read);
}

/* --- Remembering --- */

static bool bounds_equal(const struct index_bound *left, const struct index_bound *right)
{
    return left->column_count == right->column_count && left->inclusive == right->inclusive &&
           (left->column_count == 0 || bytes_equal(left->key, right->key));
}

/* The newest of a set are looked at alone: what repeats itself does so soon. Whole tables are few. */
static bool is_known(const struct reader_set *set, enum read_kind kind, const struct view_read *read)
{
    enum { LOOK_BACK = 8 };
    const struct read_entry *entry = set->first;
    for (int seen = 0; entry != NULL && (seen < LOOK_BACK || set->is_coarse); seen++, entry = entry->next_of_set) {
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

static void add_entry(struct reads *reads, struct reader_set *set, const struct schema *schema,
                      const struct view_read *read)
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
    set->count++;
    link_entry(entry, need_list(reads, schema, kind, read));
}

static void add_whole(struct reads *reads, struct reader_set *set, const struct schema *schema, uint32_t table)
{
    const struct view_read whole = { .table = table, .index = -1 };
    add_entry(reads, set, schema, &whole);
}

/* E1 */
static void coarsen(struct reads *reads, struct reader_set *set, const struct schema *schema)
{
    bool *is_read = memory_new(schema->table_count);
    for (const struct read_entry *entry = set->first; entry != NULL; entry = entry->next_of_set)
        is_read[entry->table] = true;
    reads_clear(reads, set);
    set->is_coarse = true;
    for (uint32_t table = 0; table < schema->table_count; table++) {
        if (is_read[table])
            add_whole(reads, set, schema, table);
    }
    memory_free(is_read);
}

void reads_add(struct reads *reads, struct reader_set *set, const struct schema *schema, const struct view_read *read)
{
    if (set->is_coarse) {
        add_whole(reads, set, schema, read->table);
        return;
    }
    add_entry(reads, set, schema, read);
    if (set->count > READS_MAX)
        coarsen(reads, set, schema);
}

/* --- Forgetting --- */

static void unlink_entry(const struct read_entry *entry)
{
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        *entry->list = entry->next;
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
}

static void release_key_list(struct reads *reads, const struct read_entry *entry)
{
    struct key_readers *readers = container_of(entry->list, struct key_readers, first);
    reads->tables[entry->table]->indexes[entry->index].key_count--;
    if (readers->first != NULL)
        return;
    map_remove(&reads->keys, buf_bytes(&readers->key));
    buf_deinit(&readers->key);
    memory_free(readers);
}

static void release_range_list(struct reads *reads, const struct read_entry *entry)
{
    struct range_readers *readers = container_of(entry->list, struct range_readers, first);
    struct intervals *ranges = &reads->tables[entry->table]->indexes[entry->index].ranges;
    if (readers->first != NULL)
        return;
    const struct query_range range = first_range(ranges, &entry->lower, &entry->upper);
    intervals_remove(ranges, &range);
    memory_free(readers);
}

static void remove_entry(struct reads *reads, struct read_entry *entry)
{
    unlink_entry(entry);
    if (entry->kind == READ_KEY)
        release_key_list(reads, entry);
    else if (entry->kind == READ_RANGE)
        release_range_list(reads, entry);
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
    set->count = 0;
    set->is_coarse = false;
}

/* --- Finding --- */

struct finding {
    struct reads *reads;
    const struct table *table; /* of the row at hand */
    const uint8_t *row;
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

static void tell_all(const struct finding *finding, const struct read_entry *first)
{
    for (const struct read_entry *entry = first; entry != NULL; entry = entry->next)
        tell(finding, entry->set);
}

/* -1, 0, 1: how the row's leading columns stand to the bound's. */
static int compare_with_bound(const struct finding *finding, const struct index_def *index,
                              const struct index_bound *bound)
{
    const struct table *table = finding->table;
    const uint8_t *at = bound->key.at;
    for (uint32_t idx = 0; idx < bound->column_count; idx++) {
        const struct type *type = table->def->columns[index->columns[idx]].type;
        const int order = bsatn_compare(type, table_column(table, finding->row, index->columns[idx]), at);
        if (order != 0)
            return order;
        at += bsatn_size(type, at);
    }
    return 0;
}

static bool is_within(const struct finding *finding, const struct read_entry *entry)
{
    const struct index_def *index = &finding->table->def->indexes[entry->index];
    const int low = entry->lower.column_count > 0 ? compare_with_bound(finding, index, &entry->lower) : 1;
    const int high = entry->upper.column_count > 0 ? compare_with_bound(finding, index, &entry->upper) : -1;
    return (low > 0 || (low == 0 && entry->lower.inclusive)) && (high < 0 || (high == 0 && entry->upper.inclusive));
}

static void on_range(void *context, void *item)
{
    const struct finding *finding = context;
    const struct range_readers *readers = item;
    for (const struct read_entry *entry = readers->first; entry != NULL; entry = entry->next) {
        if (entry->set->found != finding->reads->commits && is_within(finding, entry))
            tell(finding, entry->set);
    }
}

static void find_by_key(const struct finding *finding, uint32_t place, uint32_t index)
{
    struct reads *reads = finding->reads;
    index_key(finding->table->indexes[index], finding->row, key_begin(reads, place, index));
    const struct key_readers *readers = map_find(&reads->keys, buf_bytes(&reads->key));
    if (readers != NULL)
        tell_all(finding, readers->first);
}

static void find_by_row(struct finding *finding, uint32_t place, const uint8_t *row)
{
    const struct table_readers *readers = finding->reads->tables[place];
    finding->row = row;
    tell_all(finding, readers->first);
    for (uint32_t idx = 0; idx < readers->index_count; idx++) {
        const struct index_readers *index = &readers->indexes[idx];
        const uint32_t column = finding->table->def->indexes[idx].columns[0];
        if (index->key_count > 0)
            find_by_key(finding, place, idx);
        if (index->ranges.count > 0)
            intervals_stab(&index->ranges, table_column(finding->table, row, column), on_range, finding);
    }
}

void reads_find(struct reads *reads, const struct store *store, const struct delta *delta,
                void (*found)(void *context, struct reader_set *set), void *context)
{
    struct finding finding = { .reads = reads, .found = found, .context = context };
    reads->commits++;
    for (uint32_t idx = 0; idx < delta->table_count; idx++) {
        const struct delta_table *changes = &delta->tables[idx];
        const uint32_t place = (uint32_t)(changes->table->def - store->schema->tables);
        if (place >= reads->table_count || reads->tables[place] == NULL || changes->table->def->is_event)
            continue;
        finding.table = changes->table;
        for (uint32_t row = 0; row < changes->delete_count; row++)
            find_by_row(&finding, place, changes->deletes[row].at);
        for (uint32_t row = 0; row < changes->insert_count; row++)
            find_by_row(&finding, place, changes->inserts[row].at);
    }
}
