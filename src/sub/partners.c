#include "sub/partners.h"

#include "sats/bsatn.h"
#include "store/key.h"
#include "sub/row_index.h"

/* Up to so many changed rows are looked through. */
enum { FEW = 16 };
/* A second, or less, of each. */
enum { CROSSINGS_MAX = 4 << 20, PAIRS_MAX = 16 << 20, REFILLS_MAX = 16 << 20 };

/* The changed rows of a table by the value of a column; inserts are marked. */
struct changed_index {
    uint32_t table_id;
    uint16_t column;
    struct row_index rows;
};

bytes partners_value(const struct table_def *table, const uint8_t *row, uint16_t column)
{
    const struct type *type = table->columns[column].type;
    const uint8_t *at = key_row_column(table, row, column);
    return bytes_of(at, type->fixed_size != TYPE_VARIABLE ? (size_t)type->fixed_size : bsatn_size(type, at));
}

void partners_begin(struct partners *partners, const struct store *store, const struct delta *delta)
{
    *partners = (struct partners){
        .store = store, .delta = delta, .crossings_left = CROSSINGS_MAX, .pairs_left = PAIRS_MAX, .refills_left = REFILLS_MAX
    };
}

void partners_end(struct partners *partners)
{
    for (uint32_t idx = 0; idx < partners->index_count; idx++) {
        row_index_deinit(&partners->indexes[idx]->rows);
        memory_free(partners->indexes[idx]);
    }
    memory_free(partners->indexes);
    *partners = (struct partners){ 0 };
}

/* What is there -------------------------------------------------------------------------------------------------- */

static bool serves(const struct index_def *index, uint16_t column)
{
    return index->columns[0] == column && (index->column_count == 1 || index->kind == INDEX_BTREE);
}

/* An index over the column alone is better than one that goes on: a hash finds it faster. */
static const struct index_def *choose(const struct table_def *table, uint16_t column)
{
    const struct index_def *chosen = NULL;
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct index_def *index = &table->indexes[idx];
        if (serves(index, column) && (chosen == NULL || index->column_count < chosen->column_count))
            chosen = index;
    }
    return chosen;
}

struct walk {
    const struct table *table;
    bool (*each)(void *context, bytes row);
    void *context;
};

static bool give_row(void *context, rowref ref)
{
    const struct walk *walk = context;
    return walk->each(walk->context, row_bytes(pages_row(&walk->table->pages, ref)));
}

void partners_stored(const struct partners *partners, const struct table_def *def, uint16_t column, bytes value,
                     bool (*each)(void *context, bytes row), void *context)
{
    const struct table *table = store_find(partners->store, def->id);
    check(table != NULL);
    const struct index_def *index = choose(table->def, column);
    check(index != NULL);
    struct walk walk = { table, each, context };
    const struct index_bound bound = { .key = value, .column_count = 1, .inclusive = true };
    struct diag diag;
    check(index_walk(table->indexes[index - table->def->indexes], bound, bound, false, give_row, &walk, &diag) == OK);
}

/* What changed --------------------------------------------------------------------------------------------------- */

static const struct delta_table *changes_of(const struct partners *partners, const struct table_def *table)
{
    for (uint32_t idx = 0; idx < partners->delta->table_count; idx++) {
        if (partners->delta->tables[idx].table_id == table->id)
            return &partners->delta->tables[idx];
    }
    return NULL;
}

static void put_rows(struct changed_index *index, const struct table_def *table, const bytes *rows, uint32_t count,
                     bool are_inserts)
{
    for (uint32_t idx = 0; idx < count; idx++)
        row_index_add(&index->rows, rows[idx], partners_value(table, rows[idx].at, index->column), are_inserts);
}

static struct changed_index *make_index(const struct table_def *table, uint16_t column,
                                        const struct delta_table *changes)
{
    struct changed_index *index = memory_new(sizeof *index);
    index->table_id = table->id;
    index->column = column;
    put_rows(index, table, changes->deletes, changes->delete_count, false);
    put_rows(index, table, changes->inserts, changes->insert_count, true);
    return index;
}

static const struct changed_index *need_index(struct partners *partners, const struct table_def *table, uint16_t column,
                                              const struct delta_table *changes)
{
    for (uint32_t idx = 0; idx < partners->index_count; idx++) {
        if (partners->indexes[idx]->table_id == table->id && partners->indexes[idx]->column == column)
            return partners->indexes[idx];
    }
    partners->indexes = memory_resize(partners->indexes, sizeof *partners->indexes * (partners->index_count + 1));
    return partners->indexes[partners->index_count++] = make_index(table, column, changes);
}

void partners_changed(struct partners *partners, const struct table_def *table, uint16_t column, bytes value,
                      void (*each)(void *context, bytes row, bool is_insert), void *context)
{
    const struct delta_table *changes = changes_of(partners, table);
    if (changes == NULL)
        return;
    const uint32_t count = changes->delete_count + changes->insert_count;
    if (count > FEW) {
        const struct row_index *rows = &need_index(partners, table, column, changes)->rows;
        for (const struct row_entry *entry = row_index_find(rows, value); entry != NULL;
             entry = row_index_next(rows, entry))
            each(context, entry->row, entry->mark);
        return;
    }
    for (uint32_t idx = 0; idx < count; idx++) {
        const bool is_insert = idx >= changes->delete_count;
        const bytes row = is_insert ? changes->inserts[idx - changes->delete_count] : changes->deletes[idx];
        if (bytes_equal(partners_value(table, row.at, column), value))
            each(context, row, is_insert);
    }
}
