#include "engine/tick.h"

enum { AT_INTERVAL = 0 };

static struct index *key_index(const struct table *table)
{
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct index_def *def = index_def(table->indexes[idx]);
        if (def->unique && def->column_count == 1 && def->columns[0] == table->def->primary_key)
            return table->indexes[idx];
    }
    unreachable();
}

static rowref find_row(const struct tick *tick)
{
    return index_find(key_index(tick->table), bytes_of(&tick->row_id, sizeof tick->row_id));
}

bool tick_init(struct tick *tick, const struct store *store, uint32_t schedule_id, uint64_t row_id, int64_t time_us)
{
    const struct schema *schema = store->schema;
    *tick = (struct tick){ .row_id = row_id, .time_us = time_us };
    for (uint32_t idx = 0; schema != NULL && idx < schema->schedule_count; idx++) {
        if (schema->schedules[idx].id == schedule_id)
            tick->def = &schema->schedules[idx];
    }
    if (tick->def == NULL)
        return false;
    tick->table = store->tables[tick->def->table];
    const rowref ref = find_row(tick);
    if (ref == ROWREF_NONE)
        return false;
    buf_put_bytes(&tick->row, row_bytes(pages_row(&tick->table->pages, ref)));
    tick->repeats = table_column(tick->table, tick->row.data, tick->def->at_column)[0] == AT_INTERVAL;
    return true;
}

void tick_deinit(struct tick *tick)
{
    buf_deinit(&tick->row);
}

/* T2: unless the reducer gave it another time, or deleted it itself. */
static err delete_row(const struct tick *tick, struct txn *txn, struct diag *diag)
{
    const rowref ref = tick->repeats ? ROWREF_NONE : find_row(tick);
    if (ref == ROWREF_NONE)
        return OK;
    const uint8_t *const at = table_column(tick->table, pages_row(&tick->table->pages, ref)->data, tick->def->at_column);
    const bool has_its_time = at[0] != AT_INTERVAL && (int64_t)bytes_get_u64(at + 1) == tick->time_us;
    return has_its_time ? txn_delete(txn, tick->table, ref, diag) : OK;
}

err tick_run(const struct tick *tick, struct module *module, struct txn *txn, const struct call_context *context,
             struct diag *diag)
{
    struct diag never;
    txn_begin(txn);
    err code = module_call(module, txn, context, tick->def->reducer, buf_bytes(&tick->row), diag);
    if (code == OK)
        code = delete_row(tick, txn, diag);
    if (code != OK) {
        txn_abort(txn);
        txn_begin(txn);
        check(delete_row(tick, txn, &never) == OK);
    }
    return code;
}
