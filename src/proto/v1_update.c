#include "proto/v1_update.h"

#include "proto/row_list.h"
#include "sats/json.h"

#include <stdlib.h>

enum { UPDATE_UNCOMPRESSED = 0 };

/* One query's rows of one table. */
struct element {
    bytes table;
    size_t place; /* as it came: elements of one table stay in that order */
    struct row_list_view inserts, deletes;
};

static const struct row_list_view no_rows = {
    .whole = { (const uint8_t[]){ 1, 0, 0, 0, 0, 0, 0, 0, 0 }, 9 }, /* offsets, of which there are none */
};

static struct element *elements_add(struct buf *elements)
{
    struct element *element = (struct element *)buf_extend(elements, sizeof *element);
    element->place = elements->size;
    element->inserts = element->deletes = no_rows;
    return element;
}

static void collect_update(struct buf *elements, struct reader *from)
{
    for (uint32_t sets = reader_get_u32(from); sets > 0; sets--) {
        (void)reader_get_u32(from); /* the set's id */
        for (uint32_t tables = reader_get_u32(from); tables > 0; tables--) {
            const bytes table = reader_get_sized(from);
            for (uint32_t rows = reader_get_u32(from); rows > 0; rows--) {
                struct element *element = elements_add(elements);
                element->table = table;
                row_list_view_take_update(from, &element->inserts, &element->deletes);
            }
        }
    }
    check(!from->failed);
}

static void collect_rows(struct buf *elements, struct reader *from, bool inserts)
{
    for (uint32_t tables = reader_get_u32(from); tables > 0; tables--) {
        struct element *element = elements_add(elements);
        element->table = reader_get_sized(from);
        *(inserts ? &element->inserts : &element->deletes) = row_list_view_take(from);
    }
    check(!from->failed);
}

/* Rows of a view come from no table: they are lists from the first on. */
static enum json_style style_of(const struct v1_writer *writer, bytes name, enum json_style style)
{
    return schema_find_view(writer->schema, name) != NULL ? JSON_UNTYPED : style;
}

/* Tables that rows were made of are in the schema. Clients go by their names; the numbers only fill a field. */
static const struct table_def *table_of(const struct v1_writer *writer, bytes name)
{
    const struct table_def *table = schema_find_table(writer->schema, name);
    const struct view_def *view = schema_find_view(writer->schema, name);
    check(table != NULL || view != NULL);
    return table != NULL ? table : &view->rows;
}

static void put_rows(const struct v1_writer *writer, const struct type *type, const struct row_list_view *rows,
                     enum json_style style)
{
    if (writer->form == V1_BYTES) {
        buf_put_bytes(writer->out, rows->whole);
        return;
    }
    buf_put_u32(writer->out, rows->count);
    for (uint32_t place = 0; place < rows->count; place++) {
        const size_t start = writer->out->size;
        buf_put_u32(writer->out, 0);
        json_print(writer->out, type, row_list_view_row(rows, place), style);
        bytes_put_u32(writer->out->data + start, (uint32_t)(writer->out->size - start - sizeof(uint32_t)));
    }
}

static void put_query_update(const struct v1_writer *writer, const struct element *element, enum json_style style)
{
    if (writer->form == V1_BYTES)
        buf_put_u8(writer->out, UPDATE_UNCOMPRESSED);
    const struct type *const type = table_of(writer, element->table)->row_type;
    put_rows(writer, type, &element->deletes, style);
    put_rows(writer, type, &element->inserts, style);
}

/* A TableUpdate of `count` elements of one table. */
static void put_table(const struct v1_writer *writer, const struct element *elements, size_t count,
                      enum json_style style)
{
    uint64_t rows = 0;
    for (size_t idx = 0; idx < count; idx++)
        rows += (uint64_t)elements[idx].inserts.count + elements[idx].deletes.count;
    buf_put_u32(writer->out, table_of(writer, elements->table)->id);
    buf_put_sized(writer->out, elements->table);
    buf_put_u64(writer->out, rows);
    buf_put_u32(writer->out, (uint32_t)count);
    for (size_t idx = 0; idx < count; idx++)
        put_query_update(writer, &elements[idx], style_of(writer, elements->table, style));
}

static int by_table(const void *left, const void *right)
{
    const struct element *const first = left, *const second = right;
    const int order = bytes_compare(first->table, second->table);
    return order != 0 ? order : first->place < second->place ? -1 : 1;
}

static void put_elements(const struct v1_writer *writer, struct buf *elements, enum json_style style)
{
    struct element *const first = (struct element *)elements->data;
    const size_t count = elements->size / sizeof *first, count_at = writer->out->size;
    uint32_t tables = 0;
    if (count > 1)
        qsort(first, count, sizeof *first, by_table);
    buf_put_u32(writer->out, 0);
    for (size_t start = 0, end; start < count; start = end, tables++) {
        for (end = start + 1; end < count && bytes_equal(first[end].table, first[start].table);)
            end++;
        put_table(writer, &first[start], end - start, style);
    }
    bytes_put_u32(writer->out->data + count_at, tables);
    buf_deinit(elements);
}

void v1_update_put(const struct v1_writer *writer, bytes transaction_update)
{
    struct buf elements = { 0 };
    struct reader from = reader_of(transaction_update);
    collect_update(&elements, &from);
    put_elements(writer, &elements, JSON_UNTYPED);
}

void v1_update_put_rows(const struct v1_writer *writer, bytes query_rows, uint32_t count, bool inserts)
{
    struct buf elements = { 0 };
    struct reader from = reader_of(query_rows);
    for (uint32_t idx = 0; idx < count; idx++)
        collect_rows(&elements, &from, inserts);
    put_elements(writer, &elements, JSON_STORED);
}

void v1_update_put_single(const struct v1_writer *writer, bytes table, bytes query_rows, bool inserts)
{
    struct buf elements = { 0 };
    struct reader from = reader_of(query_rows);
    if (query_rows.size > 0)
        collect_rows(&elements, &from, inserts);
    if (elements.size == 0)
        elements_add(&elements)->table = table;
    const struct element *const first = (const struct element *)elements.data;
    buf_put_u32(writer->out, table_of(writer, table)->id);
    buf_put_sized(writer->out, table);
    put_table(writer, first, 1, JSON_STORED);
    buf_deinit(&elements);
}

void v1_update_put_tables(const struct v1_writer *writer, bytes query_rows, const struct type *row_type)
{
    struct reader from = reader_of(query_rows);
    const uint32_t tables = reader_get_u32(&from);
    buf_put_u32(writer->out, tables);
    for (uint32_t idx = 0; idx < tables; idx++) {
        const bytes table = reader_get_sized(&from);
        const struct row_list_view rows = row_list_view_take(&from);
        buf_put_sized(writer->out, table);
        put_rows(writer, row_type, &rows, style_of(writer, table, JSON_STORED));
    }
    check(!from.failed);
}
