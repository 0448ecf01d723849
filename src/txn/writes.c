#include "txn/writes.h"

#include "txn/cancel.h"

/* So much is never given back. */
enum { KEPT_CHANGES_MIN = 4096, KEPT_SCRATCH_MIN = 65536 };

struct writes *writes_new(void)
{
    return memory_new(sizeof(struct writes));
}

static void lists_free(struct writes *writes)
{
    memory_free(writes->entries);
    memory_free(writes->deletes);
    memory_free(writes->inserts);
    buf_deinit(&writes->scratch);
}

void writes_free(struct writes *writes)
{
    lists_free(writes);
    memory_free(writes);
}

void writes_reset(struct writes *writes)
{
    if (writes->count > writes->peak_count)
        writes->peak_count = writes->count;
    writes->table = NULL;
    writes->updated_by = NULL;
    writes->is_mixed = writes->is_repeated = false;
    writes->count = writes->fresh_count = writes->gone_count = 0;
}

void writes_trim(struct writes *writes)
{
    check(writes->table == NULL);
    buf_trim(&writes->scratch, KEPT_SCRATCH_MIN);
    if (writes->capacity > (uint64_t)writes->peak_count * 2 + KEPT_CHANGES_MIN) {
        lists_free(writes);
        *writes = (struct writes){ 0 };
    }
    writes->peak_count = 0;
}

static void changes_grow(struct writes *writes)
{
    writes->capacity = writes->capacity == 0 ? 16 : writes->capacity * 2;
    writes->entries = memory_resize(writes->entries, writes->capacity * sizeof *writes->entries);
}

static struct writes_entry *entry_add(struct writes *writes, rowref ref)
{
    if (writes->count == writes->capacity)
        changes_grow(writes);
    struct writes_entry *entry = &writes->entries[writes->count++];
    *entry = (struct writes_entry){ ref, WRITES_NO_OLD, 0 };
    return entry;
}

static bytes old_bytes(const struct writes_entry *entry, const struct buf *old_rows)
{
    return bytes_of(old_rows->data + entry->old_place, entry->old_size);
}

static const struct row *row_of(const struct writes *writes, const struct writes_entry *entry)
{
    return pages_row(&writes->table->pages, entry->ref);
}

/* It stays where it is: the entry has made its page the writer's own (P4). */
static struct row *row_writable(struct writes *writes, const struct writes_entry *entry)
{
    return pages_writable(&writes->table->pages, entry->ref);
}

static void row_fill(struct row *row, bytes from, uint32_t flags)
{
    row->head = (uint32_t)from.size | flags;
    bytes_copy(row->data, from);
}

/* --- Changing --- */

/* Into the slot that was taken for it. */
static void row_come(struct writes *writes, rowref ref, bytes row)
{
    row_fill(pages_writable(&writes->table->pages, ref), row, ROW_FRESH);
    table_link(writes->table, ref);
    entry_add(writes, ref);
    writes->fresh_count++;
}

bool writes_insert(struct writes *writes, bytes row, rowref *ref)
{
    *ref = pages_take(&writes->table->pages, row.size);
    if (*ref == ROWREF_NONE)
        return false;
    row_come(writes, *ref, row);
    return true;
}

void writes_delete(struct writes *writes, rowref ref)
{
    struct table *table = writes->table;
    table_unlink(table, ref);
    if (!(pages_row(&table->pages, ref)->head & (ROW_FRESH | ROW_CHANGED))) /* L1 */
        entry_add(writes, ref);
    pages_hide(&table->pages, ref);
    writes->gone_count++;
}

bool writes_move(struct writes *writes, rowref from, bytes row, rowref *to)
{
    *to = pages_take(&writes->table->pages, row.size);
    if (*to == ROWREF_NONE)
        return false;
    writes_delete(writes, from);
    row_come(writes, *to, row);
    return true;
}

/* Takes a row out of the indexes in which its key changes, or brings it in again. True when there are any. In the
 * index `same`, which may be NULL, the key is known not to change. */
static bool move_keys(struct table *table, rowref ref, const struct index *same, const uint8_t *from, const uint8_t *to,
                      void (*move)(struct index *index, rowref ref))
{
    bool moved = false;
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        if (table->indexes[idx] == same || index_same_key(table->indexes[idx], from, to))
            continue;
        move(table->indexes[idx], ref);
        moved = true;
    }
    return moved;
}

/* New bytes for a row that has left the indexes in which its key changes. */
static void row_replace(struct writes *writes, rowref ref, bytes to, uint32_t flags)
{
    struct row *row = pages_writable(&writes->table->pages, ref);
    buf_clear(&writes->scratch);
    buf_put_bytes(&writes->scratch, row_bytes(row));
    row_fill(row, to, flags);
    move_keys(writes->table, ref, NULL, writes->scratch.data, row->data, index_add);
}

static void keep_old(struct writes *writes, rowref ref, bytes old, struct buf *old_rows)
{
    struct writes_entry *entry = entry_add(writes, ref);
    entry->old_size = (uint32_t)old.size;
    entry->old_place = old_rows->size;
    bytes_copy(buf_extend(old_rows, old.size), old);
}

static void note_update(struct writes *writes, const struct index *same)
{
    if (writes->updated_by == NULL)
        writes->updated_by = same;
    if (same == NULL || writes->updated_by != same)
        writes->is_mixed = true;
}

void writes_overwrite(struct writes *writes, rowref ref, bytes row, const struct index *same, struct buf *old_rows)
{
    struct table *table = writes->table;
    struct row *stored = pages_writable(&table->pages, ref);
    check(table->identity != NULL); /* a table with a unique index has no set of rows to keep (B1) */

    uint32_t flags = stored->head & ~ROW_SIZE_MASK;
    note_update(writes, same);
    if (flags == 0) {
        keep_old(writes, ref, row_bytes(stored), old_rows); /* L1 */
        flags = ROW_CHANGED;
    } else {
        writes->is_repeated = true;
    }
    if (move_keys(table, ref, same, stored->data, row.at, index_remove))
        row_replace(writes, ref, row, flags);
    else
        row_fill(stored, row, flags);
}

/* --- Going back --- */

static void undo_new_keys(struct writes *writes, const struct writes_entry *entry, const struct buf *old_rows)
{
    struct table *table = writes->table;
    const struct row *row = row_of(writes, entry);
    if (row->head & ROW_GONE)
        return;
    if (row->head & ROW_FRESH)
        table_unlink(table, entry->ref);
    else
        move_keys(table, entry->ref, NULL, row->data, old_bytes(entry, old_rows).at, index_remove);
}

static void undo_old_keys(struct writes *writes, const struct writes_entry *entry, const struct buf *old_rows)
{
    struct table *table = writes->table;
    struct row *row = row_writable(writes, entry);
    if (row->head & ROW_FRESH) {
        pages_free(&table->pages, entry->ref);
    } else if (row->head & ROW_GONE) {
        pages_show(&table->pages, entry->ref);
        if (entry->old_size != WRITES_NO_OLD)
            row_fill(row, old_bytes(entry, old_rows), 0);
        table_link(table, entry->ref);
    } else {
        row_replace(writes, entry->ref, old_bytes(entry, old_rows), 0);
    }
}

void writes_undo(struct writes *writes, const struct buf *old_rows)
{
    for (uint32_t idx = writes->count; idx > 0; idx--)
        undo_new_keys(writes, &writes->entries[idx - 1], old_rows);
    for (uint32_t idx = writes->count; idx > 0; idx--)
        undo_old_keys(writes, &writes->entries[idx - 1], old_rows);
}

/* --- Making final --- */

static void net_insert(struct writes *writes, struct delta_table *net, const struct writes_entry *entry,
                       const struct row *row)
{
    writes->inserts[net->insert_count++] = row_bytes(row);
    if (!writes->table->def->is_event)
        return;
    table_unlink(writes->table, entry->ref);
    pages_hide(&writes->table->pages, entry->ref);
    writes->gone_count++;
}

/* N2 as far as one row tells it. */
static void settle_row(struct writes *writes, const struct writes_entry *entry, const struct buf *old_rows,
                       struct delta_table *net)
{
    struct row *row = row_writable(writes, entry);
    const uint32_t flags = row->head & ~ROW_SIZE_MASK;
    row->head &= ROW_SIZE_MASK | ROW_GONE; /* P2 */
    if (flags & ROW_FRESH) {
        if (!(flags & ROW_GONE))
            net_insert(writes, net, entry, row);
        return;
    }
    const bytes old = entry->old_size == WRITES_NO_OLD ? row_bytes(row) : old_bytes(entry, old_rows);
    if (flags & ROW_GONE) {
        writes->deletes[net->delete_count++] = old;
    } else if (!writes->is_repeated || !bytes_equal(old, row_bytes(row))) {
        writes->deletes[net->delete_count++] = old;
        writes->inserts[net->insert_count++] = row_bytes(row);
    }
}

static void lists_grow(struct writes *writes)
{
    if (writes->list_capacity >= writes->count)
        return;
    writes->list_capacity = writes->capacity;
    writes->deletes = memory_resize(writes->deletes, writes->list_capacity * sizeof *writes->deletes);
    writes->inserts = memory_resize(writes->inserts, writes->list_capacity * sizeof *writes->inserts);
}

/* Whether a row may have gone and come back the same under another reference (N2). A row updated through a
 * unique index keeps its key there, so nothing else can become what it was while it lives. */
static bool may_cancel(const struct writes *writes)
{
    return writes->is_mixed || (writes->fresh_count > 0 && writes->gone_count > 0);
}

bool writes_settle(struct writes *writes, const struct buf *old_rows, struct delta_table *net)
{
    const bool cancels = may_cancel(writes);
    lists_grow(writes);
    *net = (struct delta_table){ .table = writes->table, .table_id = writes->table->def->id };
    for (uint32_t idx = 0; idx < writes->count; idx++)
        settle_row(writes, &writes->entries[idx], old_rows, net);
    if (cancels)
        cancel_equal(writes->deletes, &net->delete_count, writes->inserts, &net->insert_count, &writes->scratch);
    net->deletes = writes->deletes;
    net->inserts = writes->inserts;
    return net->delete_count + net->insert_count > 0;
}

void writes_sweep(struct writes *writes)
{
    for (uint32_t idx = 0; writes->gone_count > 0 && idx < writes->count; idx++)
        if (row_of(writes, &writes->entries[idx])->head & ROW_GONE)
            pages_free(&writes->table->pages, writes->entries[idx].ref);
}
