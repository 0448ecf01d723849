#include "txn/txn.h"

#include "sats/bsatn.h"
#include "store/float_key.h"
#include "store/key.h"
#include "txn/writes.h"

enum { KEPT_BYTES_MIN = 1 << 20 }; /* so much is never given back */

enum txn_state {
    TXN_IDLE,
    TXN_OPEN,
    TXN_SHOWN, /* committed; the delta is still read */
};

struct txn {
    struct store *store; /* borrowed */
    struct txn_limits limits;
    txn_reserve_fn *reserve;
    void *reserve_context;
    enum txn_state state;
    uint64_t row_count;     /* changes made */
    uint64_t byte_count;    /* of rows brought and taken away */
    struct writes **writes; /* owned: one a changed table, the first `writes_count` in use */
    uint32_t writes_count;
    uint32_t writes_capacity;
    struct buf old_rows; /* rows as they were before they were changed in place */
    size_t old_rows_peak; /* the most there have been since txn_trim() */
    struct buf filled;   /* the row at hand, with its sequences' values and settled floats */
    struct delta delta;
    struct delta_table *delta_tables; /* owned: as many as writes_capacity */
};

struct txn *txn_new(struct store *store, const struct txn_limits *limits)
{
    struct txn *txn = memory_new(sizeof *txn);
    txn->store = store;
    txn->limits = *limits;
    buf_init(&txn->old_rows);
    buf_init(&txn->filled);
    return txn;
}

void txn_free(struct txn *txn)
{
    if (txn == NULL)
        return;
    if (txn->state == TXN_OPEN)
        txn_abort(txn);
    txn_end(txn);
    for (uint32_t idx = 0; idx < txn->writes_capacity; idx++)
        writes_free(txn->writes[idx]);
    memory_free(txn->writes);
    memory_free(txn->delta_tables);
    buf_deinit(&txn->old_rows);
    buf_deinit(&txn->filled);
    memory_free(txn);
}

void txn_on_reserve(struct txn *txn, txn_reserve_fn *reserve, void *context)
{
    txn->reserve = reserve;
    txn->reserve_context = context;
}

void txn_begin(struct txn *txn)
{
    check(txn->state != TXN_OPEN);
    txn_end(txn);
    txn->state = TXN_OPEN;
}

bool txn_is_open(const struct txn *txn)
{
    return txn->state == TXN_OPEN;
}

struct store *txn_store(const struct txn *txn)
{
    return txn->store;
}

/* --- What is refused --- */

static err check_room(const struct txn *txn, uint64_t byte_count, struct diag *diag)
{
    if (txn->row_count >= txn->limits.rows_max)
        return diag_set(diag, ERR_TOO_LARGE, "the transaction makes more than %llu changes",
                        (unsigned long long)txn->limits.rows_max);
    if (byte_count > txn->limits.bytes_max - txn->byte_count)
        return diag_set(diag, ERR_TOO_LARGE, "the transaction changes more than %llu bytes",
                        (unsigned long long)txn->limits.bytes_max);
    return OK;
}

static err refuse_row(const struct table *table, struct diag *diag)
{
    return diag_note(diag, "a row of table `%.*s`: ", BYTES_FORMAT(table->def->name));
}

static err check_row(const struct txn *txn, const struct table *table, bytes row, struct diag *diag)
{
    const struct type *type = table->def->row_type;
    size_t used = row.size;
    if (row.size > ROW_SIZE_MAX)
        return diag_set(diag, ERR_TOO_LARGE, "a row of table `%.*s` has %zu bytes: more than %d",
                        BYTES_FORMAT(table->def->name), row.size, ROW_SIZE_MAX);
    if (!type->plain || row.size != (size_t)type->fixed_size) { /* T2 */
        if (bsatn_check(type, row, &used, diag) != OK)
            return refuse_row(table, diag);
        if (used != row.size)
            return diag_set(diag, ERR_BAD_VALUE, "a row of table `%.*s` has %zu bytes too many",
                            BYTES_FORMAT(table->def->name), row.size - used);
    }
    return check_room(txn, row.size, diag);
}

static err refuse_duplicate(const struct table *table, const struct index *index, const uint8_t *row, struct diag *diag)
{
    const struct index_def *def = index_def(index);
    struct buf text;
    buf_init(&text);
    buf_put_format(&text, "Unique constraint violation '%.*s' in table '%.*s': column(s): '", BYTES_FORMAT(def->name),
                   BYTES_FORMAT(table->def->name));
    key_print_columns(&text, table->def, def);
    buf_put_text(&text, "' value: ");
    key_print(&text, table->def, def, row);
    diag_set(diag, ERR_UNIQUE, "%.*s", BYTES_FORMAT(buf_bytes(&text)));
    buf_deinit(&text);
    return ERR_UNIQUE;
}

static err refuse_missing(const struct table *table, const struct index *index, const uint8_t *row, struct diag *diag)
{
    struct buf text;
    buf_init(&text);
    buf_put_format(&text, "table `%.*s` has no row to update with ", BYTES_FORMAT(table->def->name));
    key_print_columns(&text, table->def, index_def(index));
    buf_put_text(&text, " = ");
    key_print(&text, table->def, index_def(index), row);
    diag_set(diag, ERR_NO_ROW, "%.*s", BYTES_FORMAT(buf_bytes(&text)));
    buf_deinit(&text);
    return ERR_NO_ROW;
}

/* X2 for a new row. An equal row (B1) is what any unique index finds, if there is one. */
static err check_new(const struct table *table, bytes row, rowref *equal, struct diag *diag)
{
    if (table->identity == NULL) {
        *equal = table_find_equal(table, row);
        return OK;
    }
    *equal = ROWREF_NONE;
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct index *index = table->indexes[idx];
        const rowref rival = index_def(index)->unique ? index_find_row(index, row.at) : ROWREF_NONE;
        if (rival == ROWREF_NONE)
            continue;
        if (!bytes_equal(row_bytes(pages_row(&table->pages, rival)), row))
            return refuse_duplicate(table, index, row.at, diag);
        *equal = rival;
        return OK;
    }
    return OK;
}

/* X2 for the row that takes the place of `stored` and has its key in the index `same`, which may be NULL. */
static err check_successor(const struct table *table, const struct index *same, const uint8_t *row,
                           const struct row *stored, struct diag *diag)
{
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct index *index = table->indexes[idx];
        if (index == same || !index_def(index)->unique || index_same_key(index, row, stored->data))
            continue;
        if (index_find_row(index, row) != ROWREF_NONE)
            return refuse_duplicate(table, index, row, diag);
    }
    return OK;
}

/* --- What is stored otherwise than it was given --- */

/* The row where it may be changed: a copy, made once. */
static uint8_t *own_row(struct txn *txn, bytes *row)
{
    if (row->at != txn->filled.data) {
        buf_clear(&txn->filled);
        buf_put_bytes(&txn->filled, *row);
        *row = buf_bytes(&txn->filled);
    }
    return txn->filled.data;
}

/* B3 */
static err settle_floats(struct txn *txn, const struct table *table, bytes *row, struct diag *diag)
{
    for (uint32_t idx = 0; idx < table->float_key_count; idx++) {
        const struct column_def *column = &table->def->columns[table->float_keys[idx]];
        const size_t place = (size_t)(table_column(table, row->at, table->float_keys[idx]) - row->at);
        if (float_key_is_nan(column->type, row->at + place))
            return diag_set(diag, ERR_BAD_VALUE, "a row of table `%.*s`: column `%.*s` is a key, and NaN cannot be one",
                            BYTES_FORMAT(table->def->name), BYTES_FORMAT(column->name));
        if (float_key_is_negative_zero(column->type, row->at + place))
            float_key_settle(column->type, own_row(txn, row) + place);
    }
    return OK;
}

static bool is_zero(const uint8_t *at, size_t size)
{
    for (size_t idx = 0; idx < size; idx++)
        if (at[idx] != 0)
            return false;
    return true;
}

/* Replaces zeros in sequences' columns; *row becomes a copy then, and *filled true. Values that were drawn stay drawn. */
static err fill_sequences(struct txn *txn, struct table *table, bytes *row, bool *filled, struct diag *diag)
{
    for (uint32_t idx = 0; idx < table->sequence_count; idx++) {
        const uint32_t column = table->sequences[idx].def->column;
        const size_t place = (size_t)(table_column(table, row->at, column) - row->at);
        if (!is_zero(row->at + place, (size_t)table->def->columns[column].type->fixed_size))
            continue;
        uint8_t *value = own_row(txn, row) + place;
        TRY(sequence_take(table, idx, txn->reserve, txn->reserve_context, value, diag));
        *filled = true;
    }
    return OK;
}

/* --- Changes --- */

static void writes_list_grow(struct txn *txn)
{
    const uint32_t capacity = txn->writes_capacity == 0 ? 4 : txn->writes_capacity * 2;
    txn->writes = memory_resize(txn->writes, capacity * sizeof *txn->writes);
    txn->delta_tables = memory_resize(txn->delta_tables, capacity * sizeof *txn->delta_tables);
    while (txn->writes_capacity < capacity)
        txn->writes[txn->writes_capacity++] = writes_new();
}

static struct writes *writes_of(struct txn *txn, struct table *table)
{
    if (table->writes != NULL)
        return table->writes;
    if (txn->writes_count == txn->writes_capacity)
        writes_list_grow(txn);
    struct writes *writes = txn->writes[txn->writes_count++];
    writes->table = table;
    table->writes = writes;
    return writes;
}

static void count_change(struct txn *txn, uint64_t byte_count)
{
    txn->row_count++;
    txn->byte_count += byte_count;
}

static err refuse_full(const struct table *table, struct diag *diag)
{
    return diag_set(diag, ERR_TOO_LARGE, "table `%.*s` is full", BYTES_FORMAT(table->def->name));
}

static err add_row(struct txn *txn, struct table *table, bytes row, rowref *stored, struct diag *diag)
{
    if (!writes_insert(writes_of(txn, table), row, stored))
        return refuse_full(table, diag);
    count_change(txn, row.size);
    return OK;
}

err txn_insert(struct txn *txn, struct table *table, bytes row, rowref *stored, struct diag *diag)
{
    check(txn->state == TXN_OPEN);
    bool filled = false;
    TRY(check_row(txn, table, row, diag));
    if (table->float_key_count > 0)
        TRY(settle_floats(txn, table, &row, diag));
    if (table->sequence_count > 0)
        TRY(fill_sequences(txn, table, &row, &filled, diag));
    TRY(check_new(table, row, stored, diag));
    return *stored != ROWREF_NONE ? OK : add_row(txn, table, row, stored, diag);
}

/* New bytes for a row. One that no longer fits its slot goes and comes anew; or neither, since the module may catch the
 * refusal. `same` is the index in which it keeps its key, NULL if it does not. */
static err replace_row(struct txn *txn, struct table *table, const struct index *same, bytes row, rowref *stored,
                       struct diag *diag)
{
    const size_t old_size = row_bytes(pages_row(&table->pages, *stored)).size;
    TRY(check_room(txn, row.size + old_size, diag));
    if (pages_fits(&table->pages, *stored, row.size))
        writes_overwrite(writes_of(txn, table), *stored, row, same, &txn->old_rows);
    else if (!writes_move(writes_of(txn, table), *stored, row, stored))
        return refuse_full(table, diag);
    count_change(txn, row.size + old_size);
    return OK;
}

err txn_update(struct txn *txn, struct table *table, struct index *index, bytes row, rowref *stored, struct diag *diag)
{
    check(txn->state == TXN_OPEN);
    if (!index_def(index)->unique)
        return diag_set(diag, ERR_WRONG_INDEX, "the index `%.*s` is not unique: it cannot say which row to update",
                        BYTES_FORMAT(index_def(index)->name));
    bool filled = false;
    TRY(check_row(txn, table, row, diag));
    if (table->float_key_count > 0)
        TRY(settle_floats(txn, table, &row, diag));
    *stored = index_find_again(index, row.at);
    if (*stored == ROWREF_NONE)
        return refuse_missing(table, index, row.at, diag);
    if (table->sequence_count > 0)
        TRY(fill_sequences(txn, table, &row, &filled, diag));
    const struct index *same = filled ? NULL : index; /* it was found by its key, which a sequence may be part of */
    const struct row *before = pages_row(&table->pages, *stored);
    if (bytes_equal(row_bytes(before), row))
        return OK;
    TRY(check_successor(table, same, row.at, before, diag));
    return replace_row(txn, table, same, row, stored, diag);
}

err txn_delete(struct txn *txn, struct table *table, rowref ref, struct diag *diag)
{
    check(txn->state == TXN_OPEN);
    const struct row *row = txn_row_at(txn, table, ref);
    if (row == NULL)
        return diag_set(diag, ERR_NO_ROW, "the row of table `%.*s` has been deleted already",
                        BYTES_FORMAT(table->def->name));
    const size_t size = row_bytes(row).size;
    TRY(check_room(txn, size, diag));
    writes_delete(writes_of(txn, table), ref);
    count_change(txn, size);
    return OK;
}

const struct row *txn_row_at(const struct txn *txn, const struct table *table, rowref ref)
{
    const struct row *row = pages_row(&table->pages, ref);
    return row->head & ROW_GONE ? NULL : row;
}

/* --- The end --- */

/* Few tables are touched by one transaction: insertion keeps D2. */
static void delta_put(struct txn *txn, const struct delta_table *net)
{
    uint32_t place = txn->delta.table_count++;
    for (; place > 0 && txn->delta_tables[place - 1].table_id > net->table_id; place--)
        txn->delta_tables[place] = txn->delta_tables[place - 1];
    txn->delta_tables[place] = *net;
}

const struct delta *txn_commit(struct txn *txn)
{
    check(txn->state == TXN_OPEN);
    txn->state = TXN_SHOWN;
    for (uint32_t idx = 0; idx < txn->writes_count; idx++) {
        struct writes *writes = txn->writes[idx];
        struct delta_table net;
        if (writes_settle(writes, &txn->old_rows, &net))
            delta_put(txn, &net);
        writes->table->writes = NULL;
    }
    txn->delta.tables = txn->delta_tables;
    return txn->delta.table_count > 0 ? &txn->delta : NULL;
}

static void forget(struct txn *txn)
{
    for (uint32_t idx = 0; idx < txn->writes_count; idx++) {
        txn->writes[idx]->table->writes = NULL;
        writes_reset(txn->writes[idx]);
    }
    if (txn->old_rows.size > txn->old_rows_peak)
        txn->old_rows_peak = txn->old_rows.size;
    buf_clear(&txn->old_rows);
    txn->writes_count = 0;
    txn->row_count = txn->byte_count = 0;
    txn->delta.table_count = 0;
    txn->state = TXN_IDLE;
}

void txn_abort(struct txn *txn)
{
    check(txn->state == TXN_OPEN);
    for (uint32_t idx = 0; idx < txn->writes_count; idx++)
        writes_undo(txn->writes[idx], &txn->old_rows); /* N1 */
    forget(txn);
}

void txn_end(struct txn *txn)
{
    check(txn->state != TXN_OPEN);
    for (uint32_t idx = 0; idx < txn->writes_count; idx++)
        writes_sweep(txn->writes[idx]); /* P3, N3 */
    forget(txn);
}

void txn_trim(struct txn *txn)
{
    check(txn->state == TXN_IDLE);
    buf_trim(&txn->old_rows, txn->old_rows_peak * 2 + KEPT_BYTES_MIN);
    buf_trim(&txn->filled, KEPT_BYTES_MIN);
    txn->old_rows_peak = 0;
    for (uint32_t idx = 0; idx < txn->writes_capacity; idx++)
        writes_trim(txn->writes[idx]);
}
