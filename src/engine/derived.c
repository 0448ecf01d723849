#include "engine/derived.h"

#include "store/table.h"

/* One row on the scales. */
struct touch {
    bytes row;
    int64_t before, now;
};

struct derived *derived_new(enum derived_kind kind, uint32_t subject, struct schema *schema, uint32_t id)
{
    struct derived *derived = memory_new(sizeof *derived);
    derived->kind = kind;
    derived->subject = subject;
    derived->schema = schema_ref(schema);
    derived->def = kind == DERIVED_VIEW ? schema->views[subject].rows : schema->tables[subject];
    derived->def.id = id;
    derived->def.sequence_count = 0; /* nothing is inserted by anybody */
    derived->table = table_new(&derived->def);
    subscriber_init(&derived->subscriber);
    map_init(&derived->many);
    map_init(&derived->touched);
    arena_init(&derived->arena);
    return derived;
}

void derived_free(struct derived *derived)
{
    check(derived->reads.first == NULL && derived->subscriber.set_count == 0);
    table_free(derived->table);
    map_deinit(&derived->many);
    map_deinit(&derived->touched);
    arena_deinit(&derived->arena);
    buf_deinit(&derived->deletes);
    buf_deinit(&derived->inserts);
    buf_deinit(&derived->query);
    schema_free(derived->schema);
    memory_free(derived);
}

static int64_t count_of(const struct derived *derived, bytes row)
{
    const uintptr_t many = (uintptr_t)map_find(&derived->many, row);
    return many > 0 ? (int64_t)many : table_find_equal(derived->table, row) != ROWREF_NONE;
}

static struct touch *touch(struct derived *derived, bytes row)
{
    struct touch *found = map_find(&derived->touched, row);
    if (found != NULL)
        return found;
    found = ARENA_NEW(&derived->arena, struct touch);
    found->row = arena_copy(&derived->arena, row);
    found->before = found->now = derived->def.is_event ? 0 : count_of(derived, row);
    map_put(&derived->touched, row, found);
    return found;
}

void derived_count(struct derived *derived, bytes row, int32_t change)
{
    touch(derived, row)->now += change;
}

void derived_count_in(struct derived *derived, bytes row)
{
    touch(derived, row)->now = 1;
}

void derived_count_out(struct derived *derived)
{
    rowref ref = ROWREF_NONE;
    uint32_t place = 0;
    for (const struct row *row; (row = pages_next(&derived->table->pages, &ref)) != NULL;)
        (void)touch(derived, row_bytes(row));
    for (struct map_entry *entry; (entry = map_next(&derived->touched, &place)) != NULL;)
        ((struct touch *)entry->value)->now = 0;
}

static void forget_touched(struct derived *derived)
{
    map_deinit(&derived->touched);
    map_init(&derived->touched);
}

void derived_begin(struct derived *derived, uint64_t commit)
{
    if (derived->commit == commit)
        return;
    derived->commit = commit;
    forget_touched(derived);
    arena_reset(&derived->arena);
}

static void keep_count(struct derived *derived, const struct touch *touch)
{
    if (touch->now > 1)
        map_put(&derived->many, touch->row, (void *)(uintptr_t)touch->now);
    else if (touch->before > 1)
        map_remove(&derived->many, touch->row);
}

/* V1, V2. Goings first: what comes may take their keys. */
static void weigh(struct derived *derived)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&derived->touched, &place)) != NULL;) {
        const struct touch *touch = entry->value;
        check(touch->now >= 0);
        if (touch->before == 0 && touch->now > 0)
            buf_put(&derived->inserts, &touch->row, sizeof touch->row);
        else if (touch->before > 0 && touch->now == 0)
            buf_put(&derived->deletes, &touch->row, sizeof touch->row);
        if (!derived->def.is_event)
            keep_count(derived, touch);
    }
}

static err put_row(struct derived *derived, bytes row, struct diag *diag)
{
    for (uint32_t idx = 0; idx < derived->table->index_count; idx++) {
        const struct index *index = derived->table->indexes[idx];
        if (index_def(index)->unique && index_find_row(index, row.at) != ROWREF_NONE)
            return diag_set(diag, ERR_UNIQUE, "`%.*s` gives two rows with the same primary key",
                            BYTES_FORMAT(derived->def.name));
    }
    table_restore(derived->table, row);
    return OK;
}

static err store_change(struct derived *derived, const struct delta_table *change, struct diag *diag)
{
    struct diag never;
    for (uint32_t idx = 0; idx < change->delete_count; idx++)
        check(table_erase(derived->table, change->deletes[idx], &never) == OK);
    for (uint32_t idx = 0; idx < change->insert_count; idx++)
        TRY(put_row(derived, change->inserts[idx], diag));
    return OK;
}

static void note_change(struct derived *derived, struct delta_table *change)
{
    *change = (struct delta_table){ .table = derived->table,
                                    .table_id = derived->def.id,
                                    .delete_count = (uint32_t)(derived->deletes.size / sizeof(bytes)),
                                    .insert_count = (uint32_t)(derived->inserts.size / sizeof(bytes)),
                                    .deletes = (const bytes *)derived->deletes.data,
                                    .inserts = (const bytes *)derived->inserts.data };
}

err derived_apply(struct derived *derived, struct delta_table *change, bool *any, struct diag *diag)
{
    buf_clear(&derived->deletes);
    buf_clear(&derived->inserts);
    weigh(derived);
    note_change(derived, change);
    *any = change->delete_count + change->insert_count > 0;
    forget_touched(derived);
    return derived->def.is_event ? OK : store_change(derived, change, diag);
}

/* The rows of one that are not in the other. */
static void list_missing(struct buf *list, const struct table *from, const struct table *in)
{
    rowref ref = ROWREF_NONE;
    buf_clear(list);
    for (const struct row *row; (row = pages_next(&from->pages, &ref)) != NULL;) {
        const bytes whole = row_bytes(row);
        if (table_find_equal(in, whole) == ROWREF_NONE)
            buf_put(list, &whole, sizeof whole);
    }
}

bool derived_difference(struct derived *derived, const struct derived *before, struct delta_table *change)
{
    list_missing(&derived->deletes, before->table, derived->table);
    list_missing(&derived->inserts, derived->table, before->table);
    note_change(derived, change);
    return change->delete_count + change->insert_count > 0;
}

void derived_forget_change(struct derived *derived)
{
    forget_touched(derived);
    arena_deinit(&derived->arena);
    arena_init(&derived->arena);
    buf_deinit(&derived->deletes);
    buf_deinit(&derived->inserts);
}

void derived_empty(struct derived *derived)
{
    table_free(derived->table);
    derived->table = table_new(&derived->def);
    map_deinit(&derived->many);
    map_init(&derived->many);
    buf_deinit(&derived->query);
    derived_forget_change(derived);
}
