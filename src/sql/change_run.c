#include "sats/bsatn.h"
#include "sql/change.h"
#include "sql/plan_run.h"

/* The rows that match. Their references hold while they are changed, and what was deleted can still be read: its slot is
 * not given again before the end (N3, N4). */
struct gathering {
    struct buf refs; /* rowref */
    struct budget *budget;
};

static bool gather_row(void *context, rowref ref)
{
    struct gathering *gathering = context;
    if (!budget_take_bytes(gathering->budget, sizeof ref))
        return false;
    buf_put(&gathering->refs, &ref, sizeof ref);
    return true;
}

static err gather(const struct change *change, const struct store *store, struct gathering *gathering)
{
    struct arena arena;
    struct plan plan;
    arena_init(&arena);
    plan_make(&plan, &arena, change->relation, store);
    const err code = plan_run_refs(&plan, gathering->budget, gather_row, gathering);
    arena_deinit(&arena);
    return code;
}

static uint64_t gathered_count(const struct gathering *gathering)
{
    return gathering->refs.size / sizeof(rowref);
}

/* The row at `place`, while there is one and time for it. */
static bool gathered_next(const struct gathering *gathering, uint64_t place, rowref *ref)
{
    enum { LOOK_EVERY = 256 };
    if (place == gathered_count(gathering) || (place % LOOK_EVERY == 0 && !budget_look(gathering->budget)))
        return false;
    *ref = ((const rowref *)gathering->refs.data)[place];
    return true;
}

static err insert_rows(const struct change *change, struct txn *txn, struct budget *budget,
                       struct change_counts *counts)
{
    struct table *table = store_find(txn_store(txn), change->table->id);
    const uint64_t before = table->pages.row_count;
    for (uint32_t idx = 0; idx < change->row_count; idx++) {
        rowref stored;
        TRY(txn_insert(txn, table, change->rows[idx], &stored, budget->diag));
    }
    counts->inserted = table->pages.row_count - before;
    return OK;
}

static err delete_rows(const struct gathering *gathering, struct txn *txn, struct table *table)
{
    rowref ref;
    for (uint64_t place = 0; gathered_next(gathering, place, &ref); place++)
        TRY(txn_delete(txn, table, ref, gathering->budget->diag));
    return gathering->budget->code;
}

/* The row with the new values in their columns. */
static void make_successor(const struct change *change, bytes row, struct buf *out)
{
    const uint8_t *at = row.at;
    buf_clear(out);
    for (uint32_t idx = 0; idx < change->table->column_count; idx++) {
        bytes value = bytes_of(at, bsatn_size(change->table->columns[idx].type, at));
        at += value.size;
        for (uint32_t place = 0; place < change->value_count; place++)
            if (change->values[place].column == idx)
                value = change->values[place].value;
        buf_put_bytes(out, value);
    }
}

/* A unique index whose columns stay as they are finds each row for its successor, which takes its place. */
static struct index *find_kept_index(const struct change *change, const struct table *table)
{
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct index_def *def = index_def(table->indexes[idx]);
        bool is_kept = def->unique;
        for (uint32_t place = 0; place < change->value_count; place++)
            for (uint32_t column = 0; column < def->column_count; column++)
                is_kept &= def->columns[column] != change->values[place].column;
        if (is_kept)
            return table->indexes[idx];
    }
    return NULL;
}

static err update_row(struct txn *txn, struct table *table, struct index *index, bytes row, struct diag *diag)
{
    rowref stored;
    return index == NULL ? txn_insert(txn, table, row, &stored, diag)
                         : txn_update(txn, table, index, row, &stored, diag);
}

/* Without a kept index all old rows go before the first new one comes, so that no new row meets an old one. */
static err update_rows(const struct change *change, const struct gathering *gathering, struct txn *txn,
                       struct table *table)
{
    struct index *index = find_kept_index(change, table);
    struct buf row;
    rowref ref;
    buf_init(&row);
    err code = index == NULL ? delete_rows(gathering, txn, table) : OK;
    for (uint64_t place = 0; code == OK && gathered_next(gathering, place, &ref); place++) {
        make_successor(change, row_bytes(pages_row(&table->pages, ref)), &row);
        code = update_row(txn, table, index, buf_bytes(&row), gathering->budget->diag);
    }
    buf_deinit(&row);
    return code != OK ? code : gathering->budget->code;
}

static err change_rows(const struct change *change, const struct gathering *gathering, struct txn *txn,
                       struct change_counts *counts)
{
    struct table *table = store_find(txn_store(txn), change->table->id);
    if (change->kind == STATEMENT_DELETE) {
        counts->deleted = gathered_count(gathering);
        return delete_rows(gathering, txn, table);
    }
    counts->updated = gathered_count(gathering);
    return update_rows(change, gathering, txn, table);
}

err change_run(const struct change *change, struct txn *txn, struct budget *budget, struct change_counts *counts)
{
    *counts = (struct change_counts){ 0 };
    if (change->kind == STATEMENT_INSERT)
        return insert_rows(change, txn, budget, counts);
    struct gathering gathering = { .budget = budget };
    err code = gather(change, txn_store(txn), &gathering);
    if (code == OK)
        code = change_rows(change, &gathering, txn, counts);
    buf_deinit(&gathering.refs);
    return code;
}

void change_explain(struct buf *out, const struct change *change, const struct store *store)
{
    if (change->kind == STATEMENT_INSERT) {
        buf_put_format(out, "insert %u row%s into %.*s\n", change->row_count, change->row_count == 1 ? "" : "s",
                       BYTES_FORMAT(change->table->name));
        return;
    }
    struct arena arena;
    struct plan plan;
    arena_init(&arena);
    plan_make(&plan, &arena, change->relation, store);
    plan_print(out, &plan, change->relation);
    arena_deinit(&arena);
    buf_put_text(out, change->kind == STATEMENT_DELETE ? "delete what was found\n" : "update what was found\n");
}
