/* Readers walk frozen views on threads of their own while the writer changes the table, for spec/store/frozen_spec.lua
 * and for ThreadSanitizer.
 *
 *     frozen_driver SEED ROUNDS
 *
 * A row's text follows from its id and version, so that a reader finds a torn row; the sum of all rows tells it
 * whether they are those of the moment. Stops at the first view that is not whole. */
#include "store/frozen.h"
#include "txn/txn.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { IDS = 4000, READERS = 3, WALKS = 3, TXNS_IN_ROUND = 40, CHANGES_MAX = 60, TEXT_MAX = 40000 };

struct view {
    struct frozen *frozen;
    uint64_t count, sum; /* what it must show */
    pthread_t thread;
    bool is_read;
};

struct writer {
    uint64_t random;
    struct store store;
    struct table *table;
    struct txn *txn;
    uint64_t versions[IDS]; /* 0: no such row */
    uint64_t count, sum;
    struct view views[READERS];
};

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 31) * 0x9e3779b97f4a7c15;
    value = (value ^ value >> 29) * 0xbf58476d1ce4e5b9;
    return value ^ value >> 32;
}

static uint32_t random_below(struct writer *writer, uint32_t limit)
{
    writer->random += 0x9e3779b97f4a7c15;
    return (uint32_t)(mix(writer->random) % limit);
}

static uint64_t row_sum(uint32_t id, uint64_t version)
{
    return mix((uint64_t)id << 40 ^ version);
}

/* Now and then a row has a block of its own. */
static uint32_t text_size(uint32_t id, uint64_t version)
{
    const uint64_t dice = row_sum(id, version);
    return dice % 300 == 0 ? TEXT_MAX : dice % 60;
}

static bytes row_make(uint32_t id, uint64_t version, uint8_t *row)
{
    const uint32_t size = text_size(id, version);
    memcpy(row, &id, 4);
    memcpy(row + 4, &version, 8);
    memcpy(row + 12, &size, 4);
    memset(row + 16, (int)('a' + row_sum(id, version) % 26), size);
    return bytes_of(row, 16 + size);
}

/* --- Reading --- */

static void read_view(const struct view *view, bool is_last)
{
    static _Thread_local uint8_t expected[16 + TEXT_MAX];
    uint64_t count = 0, sum = 0;
    rowref ref = ROWREF_NONE;
    const struct row *row;
    while ((row = is_last ? frozen_pass(view->frozen, 0, &ref) : frozen_next(view->frozen, 0, &ref)) != NULL) {
        uint32_t id;
        uint64_t version;
        memcpy(&id, row->data, 4);
        memcpy(&version, row->data + 4, 8);
        check(bytes_equal(row_bytes(row), row_make(id, version, expected)));
        sum += row_sum(id, version);
        count++;
    }
    check(count == view->count && sum == view->sum); /* F1 */
    check(frozen_row_count(view->frozen, 0) == count);
}

static void *reader_run(void *context)
{
    struct view *view = context;
    for (int walk = 1; walk <= WALKS; walk++)
        read_view(view, walk == WALKS);
    check(frozen_memory(view->frozen) == 0);
    frozen_drop(view->frozen);
    return NULL;
}

static void view_end(struct view *view)
{
    if (view->is_read)
        check(pthread_join(view->thread, NULL) == 0);
    view->is_read = false;
}

static void view_begin(struct writer *writer, struct view *view)
{
    *view = (struct view){ store_freeze(&writer->store), writer->count, writer->sum, .is_read = true };
    check(pthread_create(&view->thread, NULL, reader_run, view) == 0);
}

/* --- Writing --- */

struct change {
    uint32_t id;
    uint64_t before;
};

/* Gives the row another version, or takes it away where that is 0. */
static void model_set(struct writer *writer, uint32_t id, uint64_t version)
{
    const uint64_t before = writer->versions[id];
    if (before != 0)
        writer->count--, writer->sum -= row_sum(id, before);
    if (version != 0)
        writer->count++, writer->sum += row_sum(id, version);
    writer->versions[id] = version;
}

static struct change change_one(struct writer *writer)
{
    static uint8_t row[16 + TEXT_MAX];
    static uint64_t newest;
    const uint32_t id = random_below(writer, IDS);
    const struct change change = { id, writer->versions[id] };
    struct diag diag;
    rowref stored;
    const uint64_t version = change.before != 0 && random_below(writer, 4) == 0 ? 0 : ++newest;
    const bytes made = row_make(id, version, row);
    if (version == 0)
        check(txn_delete(writer->txn, writer->table, index_find_row(writer->table->indexes[0], made.at), &diag) == OK);
    else if (change.before == 0)
        check(txn_insert(writer->txn, writer->table, made, &stored, &diag) == OK);
    else
        check(txn_update(writer->txn, writer->table, writer->table->indexes[0], made, &stored, &diag) == OK);
    model_set(writer, id, version);
    return change;
}

static void run_transaction(struct writer *writer)
{
    struct change changes[CHANGES_MAX];
    const uint32_t count = random_below(writer, CHANGES_MAX);
    txn_begin(writer->txn);
    for (uint32_t idx = 0; idx < count; idx++)
        changes[idx] = change_one(writer);
    if (random_below(writer, 4) > 0) {
        txn_commit(writer->txn);
        txn_end(writer->txn);
        return;
    }
    txn_abort(writer->txn);
    for (uint32_t idx = count; idx > 0; idx--)
        model_set(writer, changes[idx - 1].id, changes[idx - 1].before);
}

/* One table `row`: id u32, unique; version u64; text string. Updates in place change no key. */
static struct schema *schema_make(void)
{
    static const char *const names[] = { "id", "version", "text" };
    static const enum type_kind kinds[] = { TYPE_U32, TYPE_U64, TYPE_STRING };
    static const int32_t offsets[] = { 0, 4, 12 };
    struct schema *schema = memory_new(sizeof *schema);
    atomic_init(&schema->holders, 1);
    arena_init(&schema->arena);
    schema->table_count = 1;
    struct table_def *def = schema->tables = ARENA_NEW(&schema->arena, struct table_def);
    struct type_field fields[3];
    def->columns = ARENA_ARRAY(&schema->arena, struct column_def, 3);
    for (uint32_t idx = 0; idx < 3; idx++) {
        fields[idx] = (struct type_field){ bytes_of_text(names[idx]), type_scalar(kinds[idx]) };
        struct column_def *column = &def->columns[idx];
        *column = (struct column_def){ .name = fields[idx].name, .type = fields[idx].type, .offset = offsets[idx] };
    }
    def->id = SCHEMA_FIRST_ID;
    def->name = bytes_of_text("row");
    def->column_count = 3;
    def->row_type = type_product(&schema->arena, fields, 3);
    def->index_count = 1;
    def->indexes = ARENA_NEW(&schema->arena, struct index_def);
    def->indexes[0] = (struct index_def){ .kind = INDEX_HASH, .unique = true, .column_count = 1, .columns = { 0 } };
    return schema;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    static struct writer writer;
    writer.random = strtoull(argv[1], NULL, 10);
    const unsigned long rounds = strtoul(argv[2], NULL, 10);
    struct diag diag;
    store_init(&writer.store);
    check(store_migrate(&writer.store, schema_make(), NULL, NULL, &diag) == OK);
    writer.table = writer.store.tables[0];
    const struct txn_limits limits = { UINT32_MAX, UINT32_MAX };
    writer.txn = txn_new(&writer.store, &limits);

    for (unsigned long round = 0; round < rounds; round++) {
        struct view *view = &writer.views[round % READERS];
        view_end(view);
        view_begin(&writer, view);
        for (uint32_t idx = 0; idx < TXNS_IN_ROUND; idx++)
            run_transaction(&writer);
        table_check(writer.table);
    }
    /* Views outlive the tables. */
    txn_free(writer.txn);
    store_deinit(&writer.store);
    for (uint32_t idx = 0; idx < READERS; idx++)
        view_end(&writer.views[idx]);
    printf("%lu views showed their moment\n", rounds);
    return 0;
}
