#include "sats/bsatn.h"
#include "sql/change.h"
#include "sql/plan_run.h"

/* The rows that match, one behind the other: copies, since what is changed moves. */
struct gathering {
    struct buf rows; /* u32 size, then the row */
    struct budget *budget;
    uint64_t count;
};

static bool gather_row(void *context, const uint8_t *const *rows)
{
    struct gathering *gathering = context;
    const bytes row = plan_row(rows[0]);
    if (!budget_take_bytes(gathering->budget, sizeof(uint32_t) + row.size))
        return false;
    buf_put_sized(&gathering->rows, row);
    gathering->count++;
    return true;
}

static err gather(const struct change *change, const struct store *store, struct gathering *gathering)
{
    struct arena arena;
    struct plan plan;
    arena_init(&arena);
    plan_make(&plan, &arena, change->relation, store);
    const err code = plan_run(&plan, gathering->budget, gather_row, gathering);
    arena_deinit(&arena);
    return code;
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

static err delete_rows(const struct gathering *gathering, struct txn *txn, struct table *table, struct diag *diag)
{
    struct reader left = reader_of(buf_bytes(&gathering->rows));
    while (reader_left(&left) > 0) {
        const rowref ref = table_find_equal(table, reader_get_sized(&left));
        check(ref != ROWREF_NONE); /* B1 */
        TRY(txn_delete(txn, table, ref, diag));
    }
    return OK;
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

/* Without one all old rows go before the first new one comes, so that no new row meets an old one. */
static err update_rows(const struct change *change, const struct gathering *gathering, struct txn *txn,
                       struct table *table, struct diag *diag)
{
    struct index *index = find_kept_index(change, table);
    struct buf row;
    buf_init(&row);
    err code = index == NULL ? delete_rows(gathering, txn, table, diag) : OK;
    struct reader left = reader_of(buf_bytes(&gathering->rows));
    while (reader_left(&left) > 0 && code == OK) {
        rowref stored;
        make_successor(change, reader_get_sized(&left), &row);
        code = index == NULL ? txn_insert(txn, table, buf_bytes(&row), &stored, diag)
                             : txn_update(txn, table, index, buf_bytes(&row), &stored, diag);
    }
    buf_deinit(&row);
    return code;
}

static err change_rows(const struct change *change, const struct gathering *gathering, struct txn *txn,
                       struct change_counts *counts)
{
    struct table *table = store_find(txn_store(txn), change->table->id);
    if (gathering->count == 0)
        return OK;
    if (change->kind == STATEMENT_DELETE) {
        counts->deleted = gathering->count;
        return delete_rows(gathering, txn, table, gathering->budget->diag);
    }
    counts->updated = gathering->count;
    return update_rows(change, gathering, txn, table, gathering->budget->diag);
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
    buf_deinit(&gathering.rows);
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
