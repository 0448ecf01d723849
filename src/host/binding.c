#include "host/binding.h"

#include "sats/bsatn.h"
#include "store/float_key.h"

static int32_t plain_size(const struct table_def *table, const struct index_def *index)
{
    int32_t size = 0;
    for (uint32_t idx = 0; idx < index->column_count; idx++) {
        const struct type *type = table->columns[index->columns[idx]].type;
        if (!type->plain || float_key_is_in(type)) /* B3 */
            return -1;
        size += type->fixed_size;
    }
    return size;
}

static void bind_table(struct bound_table *bound, struct table *table)
{
    bound->table = table;
    bound->index_count = table->index_count;
    bound->indexes = memory_new(table->index_count * sizeof *bound->indexes);
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct index_def *def = &table->def->indexes[idx];
        bound->indexes[idx] = (struct bound_index){ table->indexes[idx], def, plain_size(table->def, def) };
    }
}

void binding_init(struct binding *binding, const struct store *store)
{
    *binding = (struct binding){ .schema = store->schema, .table_count = store->table_count };
    binding->tables = memory_new(store->table_count * sizeof *binding->tables);
    for (uint32_t idx = 0; idx < store->table_count; idx++)
        bind_table(&binding->tables[idx], store->tables[idx]);
}

void binding_deinit(struct binding *binding)
{
    for (uint32_t idx = 0; idx < binding->table_count; idx++)
        memory_free(binding->tables[idx].indexes);
    memory_free(binding->tables);
    *binding = (struct binding){ 0 };
}

static err refuse_key(const struct bound_table *table, const struct bound_index *index, struct diag *diag)
{
    return diag_note(diag, "the key for index `%.*s` of table `%.*s`: ", BYTES_FORMAT(index->def->accessor),
                     BYTES_FORMAT(table->table->def->name));
}

static err check_columns(const struct bound_table *table, const struct bound_index *index, bytes key,
                         uint32_t column_count, struct diag *diag)
{
    for (uint32_t idx = 0; idx < column_count; idx++) {
        const struct column_def *column = &table->table->def->columns[index->def->columns[idx]];
        size_t used;
        TRY(bsatn_check(column->type, key, &used, diag));
        if (float_key_is_in(column->type) && float_key_is_nan(column->type, key.at))
            return diag_set(diag, ERR_BAD_VALUE, "NaN cannot be one");
        key = bytes_of(key.at + used, key.size - used);
    }
    if (key.size > 0)
        return diag_set(diag, ERR_BAD_VALUE, "%zu bytes too many", key.size);
    return OK;
}

err binding_check_key(const struct bound_table *table, const struct bound_index *index, bytes key,
                      uint32_t column_count, struct diag *diag)
{
    const bool is_full = column_count == index->def->column_count;
    if (is_full && index->plain_size >= 0 && key.size == (size_t)index->plain_size)
        return OK;
    if (column_count > index->def->column_count) {
        diag_set(diag, ERR_WRONG_INDEX, "it has %u columns, not %u", index->def->column_count, column_count);
        return refuse_key(table, index, diag);
    }
    if (check_columns(table, index, key, column_count, diag) != OK)
        return refuse_key(table, index, diag);
    return OK;
}

err binding_check_bound(const struct bound_table *table, const struct bound_index *index, const stdb_bound *from,
                        struct index_bound *bound, struct diag *diag)
{
    *bound = (struct index_bound){ 0 };
    if (from == NULL || from->column_count == 0)
        return OK;
    bound->key = bytes_of(from->key, from->size);
    bound->column_count = from->column_count;
    bound->inclusive = from->inclusive != 0;
    return binding_check_key(table, index, bound->key, bound->column_count, diag);
}
