#include "txn/delta.h"

#include "sats/bsatn.h"
#include "store/table.h"

static size_t rows_size(const bytes *rows, uint32_t count)
{
    size_t size = 0;
    for (uint32_t idx = 0; idx < count; idx++)
        size += rows[idx].size;
    return size;
}

static uint8_t *rows_copy(uint8_t *to, const bytes *rows, uint32_t count)
{
    for (uint32_t idx = 0; idx < count; idx++) {
        bytes_copy(to, rows[idx]);
        to += rows[idx].size;
    }
    return to;
}

void delta_encode(struct buf *out, const struct delta *delta)
{
    buf_put_u32(out, delta->table_count);
    for (uint32_t idx = 0; idx < delta->table_count; idx++) {
        const struct delta_table *table = &delta->tables[idx];
        buf_put_u32(out, table->table_id);
        buf_put_u32(out, table->delete_count);
        buf_put_u32(out, table->insert_count);
        uint8_t *to = buf_extend(out, rows_size(table->deletes, table->delete_count) +
                                          rows_size(table->inserts, table->insert_count));
        to = rows_copy(to, table->deletes, table->delete_count);
        rows_copy(to, table->inserts, table->insert_count);
    }
}

static err read_row(struct reader *from, const struct table *table, bytes *row, struct diag *diag)
{
    size_t used;
    if (bsatn_check(table->def->row_type, bytes_of(from->at, reader_left(from)), &used, diag) != OK) {
        diag->code = ERR_CORRUPT;
        return diag_note(diag, "a logged row of table `%.*s`: ", BYTES_FORMAT(table->def->name));
    }
    if (used > ROW_SIZE_MAX)
        return diag_set(diag, ERR_CORRUPT, "a logged row of table `%.*s` is larger than a row may be",
                        BYTES_FORMAT(table->def->name));
    *row = reader_take(from, used);
    return OK;
}

struct applying {
    struct store *store;
    delta_row_fn *told; /* may be NULL */
    void *context;
};

static err apply_rows(const struct applying *applying, struct reader *from, struct table *table, uint32_t count,
                      bool are_deletes, struct diag *diag)
{
    if (count > 1 && table->def->row_type->min_size == 0) /* rows of no bytes are all equal */
        return diag_set(diag, ERR_CORRUPT, "a logged change counts %u empty rows in table `%.*s`", count,
                        BYTES_FORMAT(table->def->name));
    for (uint32_t idx = 0; idx < count; idx++) {
        bytes row;
        TRY(read_row(from, table, &row, diag));
        if (table->def->is_event) /* D3 */
            continue;
        if (are_deletes)
            TRY(table_erase(table, row, diag));
        else if (table_admits(table, row, diag) != OK)
            return diag_note(diag, "a logged row of table `%.*s` cannot be put there: ", BYTES_FORMAT(table->def->name));
        else
            table_restore(table, row);
        if (applying->told != NULL)
            applying->told(applying->context, table, row, !are_deletes);
    }
    return OK;
}

static err apply_table(const struct applying *applying, struct reader *from, struct diag *diag)
{
    const uint32_t table_id = reader_get_u32(from);
    const uint32_t delete_count = reader_get_u32(from);
    const uint32_t insert_count = reader_get_u32(from);
    if (from->failed)
        return diag_set(diag, ERR_CORRUPT, "a logged change ends within the head of a table");
    struct table *table = store_find(applying->store, table_id);
    if (table == NULL)
        return diag_set(diag, ERR_CORRUPT, "a logged change names the unknown table %u", table_id);
    TRY(apply_rows(applying, from, table, delete_count, true, diag));
    return apply_rows(applying, from, table, insert_count, false, diag);
}

err delta_apply(struct store *store, bytes encoded, delta_row_fn *told, void *context, struct diag *diag)
{
    const struct applying applying = { store, told, context };
    struct reader from = reader_of(encoded);
    const uint32_t table_count = reader_get_u32(&from);
    if (from.failed)
        return diag_set(diag, ERR_CORRUPT, "a logged change is cut off");
    for (uint32_t idx = 0; idx < table_count; idx++)
        TRY(apply_table(&applying, &from, diag));
    if (reader_left(&from) > 0)
        return diag_set(diag, ERR_CORRUPT, "a logged change has %zu bytes too many", reader_left(&from));
    return OK;
}
