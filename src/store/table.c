#include "store/table.h"

#include "base/clock.h"
#include "sats/json.h"
#include "store/float_key.h"
#include "store/key.h"

#include <stdio.h>

static void sequences_new(struct table *table)
{
    const struct table_def *def = table->def;
    table->sequence_count = def->sequence_count;
    table->sequences = memory_new(def->sequence_count * sizeof *table->sequences);
    for (uint32_t idx = 0; idx < def->sequence_count; idx++) {
        const struct sequence_def *sequence = &def->sequences[idx];
        check(sequence->increment != 0);
        table->sequences[idx] = (struct sequence){ sequence, sequence->start, sequence->start };
    }
}

static bool column_is_indexed(const struct table_def *def, uint32_t column)
{
    for (uint32_t idx = 0; idx < def->index_count; idx++)
        for (uint32_t place = 0; place < def->indexes[idx].column_count; place++)
            if (def->indexes[idx].columns[place] == column)
                return true;
    return false;
}

static void float_keys_new(struct table *table)
{
    const struct table_def *def = table->def;
    for (uint32_t column = 0; column < def->column_count; column++) {
        if (!float_key_is_in(def->columns[column].type) || !column_is_indexed(def, column))
            continue;
        table->float_keys =
            memory_resize(table->float_keys, (table->float_key_count + 1) * sizeof *table->float_keys);
        table->float_keys[table->float_key_count++] = (uint16_t)column;
    }
}

/* Prefers a hash or direct index for finding equal rows: one look instead of a descent. */
static struct index *choose_identity(const struct table *table)
{
    struct index *chosen = NULL;
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct index_def *def = index_def(table->indexes[idx]);
        if (def->unique && (chosen == NULL || index_def(chosen)->kind == INDEX_BTREE))
            chosen = table->indexes[idx];
    }
    return chosen;
}

struct table *table_new(const struct table_def *def)
{
    struct table *table = memory_new(sizeof *table);
    table->def = def;
    pages_init(&table->pages);
    table->index_count = def->index_count;
    table->indexes = memory_new(def->index_count * sizeof *table->indexes);
    for (uint32_t idx = 0; idx < def->index_count; idx++)
        table->indexes[idx] = index_new(&def->indexes[idx], def, &table->pages);
    table->identity = choose_identity(table);
    hashindex_init(&table->row_set);
    random_bytes(&table->row_seed, sizeof table->row_seed);
    sequences_new(table);
    float_keys_new(table);
    return table;
}

void table_free(struct table *table)
{
    if (table == NULL)
        return;
    for (uint32_t idx = 0; idx < table->index_count; idx++)
        index_free(table->indexes[idx]);
    hashindex_deinit(&table->row_set);
    pages_deinit(&table->pages);
    memory_free(table->indexes);
    memory_free(table->sequences);
    memory_free(table->float_keys);
    memory_free(table);
}

const uint8_t *table_column(const struct table *table, const uint8_t *row, uint32_t column)
{
    return key_row_column(table->def, row, column);
}

uint64_t table_memory(const struct table *table)
{
    uint64_t size = table->pages.byte_count + hashindex_memory(&table->row_set);
    for (uint32_t idx = 0; idx < table->index_count; idx++)
        size += index_memory(table->indexes[idx]);
    return size;
}

static uint32_t row_hash(const struct table *table, bytes row)
{
    return hashindex_part(key_hash_block(table->row_seed, row.at, row.size));
}

static rowref row_set_find(const struct table *table, bytes row)
{
    const uint32_t hash = row_hash(table, row);
    const struct hashindex_entry *entry = hashindex_seek(&table->row_set, hash);
    for (; entry->hash == hash; entry++)
        if (bytes_equal(row_bytes(pages_row(&table->pages, entry->ref)), row))
            return entry->ref;
    return ROWREF_NONE;
}

rowref table_find_equal(const struct table *table, bytes row)
{
    if (table->identity == NULL)
        return row_set_find(table, row);
    const rowref ref = index_find_row(table->identity, row.at);
    if (ref == ROWREF_NONE || !bytes_equal(row_bytes(pages_row(&table->pages, ref)), row))
        return ROWREF_NONE;
    return ref;
}

void table_link(struct table *table, rowref ref)
{
    for (uint32_t idx = 0; idx < table->index_count; idx++)
        index_add(table->indexes[idx], ref);
    if (table->identity == NULL)
        hashindex_add(&table->row_set, row_hash(table, row_bytes(pages_row(&table->pages, ref))), ref);
}

void table_unlink(struct table *table, rowref ref)
{
    for (uint32_t idx = 0; idx < table->index_count; idx++)
        index_remove(table->indexes[idx], ref);
    if (table->identity == NULL)
        hashindex_remove(&table->row_set, row_hash(table, row_bytes(pages_row(&table->pages, ref))), ref);
}

bool table_put(struct table *table, bytes row)
{
    const rowref ref = pages_take(&table->pages, row.size);
    if (ref == ROWREF_NONE)
        return false;
    if (row.size > 0)
        memcpy(pages_writable(&table->pages, ref)->data, row.at, row.size);
    table_link(table, ref);
    return true;
}

bool table_has_shape(const struct table *table, const struct table_def *def)
{
    const struct table_def *own = table->def;
    if (own->column_count != def->column_count || own->index_count != def->index_count ||
        own->sequence_count != def->sequence_count)
        return false;
    for (uint32_t idx = 0; idx < def->index_count; idx++)
        if (!index_def_equal(&own->indexes[idx], &def->indexes[idx]))
            return false;
    for (uint32_t idx = 0; idx < def->sequence_count; idx++)
        if (own->sequences[idx].id != def->sequences[idx].id ||
            own->sequences[idx].column != def->sequences[idx].column)
            return false;
    return true;
}

void table_rebind(struct table *table, const struct table_def *def)
{
    check(table_has_shape(table, def));
    table->def = def;
    for (uint32_t idx = 0; idx < def->index_count; idx++)
        index_rebind(table->indexes[idx], &def->indexes[idx], def);
    for (uint32_t idx = 0; idx < def->sequence_count; idx++)
        table->sequences[idx].def = &def->sequences[idx];
}

err table_admits(const struct table *table, bytes row, struct diag *diag)
{
    for (uint32_t idx = 0; idx < table->index_count; idx++)
        if (index_def(table->indexes[idx])->unique && index_find_row(table->indexes[idx], row.at) != ROWREF_NONE)
            return diag_set(diag, ERR_CORRUPT, "an earlier row has the same key in `%.*s`",
                            BYTES_FORMAT(index_def(table->indexes[idx])->name));
    if (table->identity == NULL && table_find_equal(table, row) != ROWREF_NONE)
        return diag_set(diag, ERR_CORRUPT, "an earlier row has the same bytes");
    return OK;
}

void table_restore(struct table *table, bytes row)
{
    check(table_put(table, row)); /* it had a place when it was logged */
}

err table_erase(struct table *table, bytes row, struct diag *diag)
{
    const rowref ref = table_find_equal(table, row);
    if (ref == ROWREF_NONE)
        return diag_set(diag, ERR_CORRUPT, "a row to delete from table `%.*s` is not there",
                        BYTES_FORMAT(table->def->name));
    table_unlink(table, ref);
    pages_free(&table->pages, ref);
    return OK;
}

static void tell_row(const struct table *table, bytes row, const char *what, bytes index, table_fault_fn *fault,
                     void *context)
{
    struct buf text = { 0 };
    buf_put_format(&text, "table `%.*s`: %s%s%.*s%s ", BYTES_FORMAT(table->def->name), what, index.size > 0 ? " `" : "",
                   BYTES_FORMAT(index), index.size > 0 ? "`" : "");
    json_print(&text, table->def->row_type, row, JSON_TYPED);
    buf_put_u8(&text, '\0');
    fault(context, (const char *)text.data);
    buf_deinit(&text);
}

static void inspect_row(const struct table *table, rowref ref, table_fault_fn *fault, void *context)
{
    const bytes row = row_bytes(pages_row(&table->pages, ref));
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct index *index = table->indexes[idx];
        const rowref found = index_find_row(index, row.at);
        if (found == ROWREF_NONE)
            tell_row(table, row, "the row is missing in the index", index_def(index)->name, fault, context); /* X1 */
        else if (found != ref && index_def(index)->unique)
            tell_row(table, row, "another row has the same key in the index", index_def(index)->name, fault, context);
    }
    if (table->identity == NULL && table_find_equal(table, row) != ref) /* B1 */
        tell_row(table, row, "the row is there twice, or cannot be found:", bytes_of("", 0), fault, context);
}

static void tell_total(const struct table *table, bytes index, uint64_t count, table_fault_fn *fault, void *context)
{
    char text[500];
    snprintf(text, sizeof text, "table `%.*s`: it has %llu rows, and its index `%.*s` has %llu",
             BYTES_FORMAT(table->def->name), (unsigned long long)table->pages.row_count, BYTES_FORMAT(index),
             (unsigned long long)count);
    fault(context, text);
}

bool table_inspect(const struct table *table, rowref *ref, uint32_t count, table_fault_fn *fault, void *context)
{
    if (*ref == ROWREF_NONE) {
        for (uint32_t idx = 0; idx < table->index_count; idx++)
            if (index_count(table->indexes[idx]) != table->pages.row_count)
                tell_total(table, index_def(table->indexes[idx])->name, index_count(table->indexes[idx]), fault, context);
    }
    for (uint32_t done = 0; done < count; done++) {
        if (pages_next(&table->pages, ref) == NULL)
            return false;
        inspect_row(table, *ref, fault, context);
    }
    return true;
}

void table_check(const struct table *table)
{
    pages_check(&table->pages);
    hashindex_check(&table->row_set);
    check(table->row_set.count == (table->identity == NULL ? table->pages.row_count : 0));
    for (uint32_t idx = 0; idx < table->index_count; idx++)
        index_check(table->indexes[idx]);
    rowref ref = ROWREF_NONE;
    for (const struct row *row; (row = pages_next(&table->pages, &ref)) != NULL;)
        check(table_find_equal(table, row_bytes(row)) == ref); /* B1 */
}
