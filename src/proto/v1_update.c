#include "proto/v1_update.h"

#include "base/background.h"

#include <stdlib.h>

enum { UPDATE_UNCOMPRESSED = 0 };
enum {
    COPIED_SIZE_MAX = 1024, /* up to which a copy costs less than another holder */
    STAND_BACK_EVERY = 64,  /* rows, which take some tens of microseconds */
};

/* Elements */

static const struct v1_list no_rows = {
    .rows = { .whole = { (const uint8_t[]){ 1, 0, 0, 0, 0, 0, 0, 0, 0 }, 9 } }, /* offsets, of which there are none */
};

struct v1_element *v1_elements_at(const struct buf *elements, uint32_t place)
{
    return (struct v1_element *)elements->data + place;
}

uint32_t v1_elements_count(const struct buf *elements)
{
    return (uint32_t)(elements->size / sizeof(struct v1_element));
}

struct v1_element *v1_elements_add(struct buf *elements, bytes table)
{
    struct v1_element *element = (struct v1_element *)buf_extend(elements, sizeof *element);
    *element = (struct v1_element){ table, elements->size, no_rows, no_rows };
    return element;
}

/* Pieces */

bool v1_list_needs_piece(const struct v1_list *list, enum v1_form form)
{
    return form == V1_TEXT ? list->rows.count > 0 : list->rows.whole.size > COPIED_SIZE_MAX;
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

/* An array of JSON texts, each with its row; false when it is too long (P1). */
static bool print_rows(const struct v1_writer *writer, struct buf *out, const struct type *type,
                       const struct row_list_view *rows, enum json_style style)
{
    struct buf row = { 0 };
    buf_put_u8(out, '[');
    for (uint32_t place = 0; place < rows->count && out->size <= v1_message_size_max; place++) {
        if (place > 0)
            buf_put_u8(out, ',');
        buf_clear(&row);
        json_print(&row, type, row_list_view_row(rows, place), style);
        json_print_string(out, buf_bytes(&row));
        if (writer->in_background && place % STAND_BACK_EVERY == 0)
            background_stand_back();
    }
    buf_put_u8(out, ']');
    buf_deinit(&row);
    return out->size <= v1_message_size_max;
}

static struct shared *make_piece(const struct v1_writer *writer, const struct row_list_view *rows,
                                 const struct type *type, enum json_style style)
{
    struct buf text = { 0 };
    struct shared *piece = NULL;
    if (writer->message->form == V1_BYTES)
        return shared_new(rows->whole);
    if (print_rows(writer, &text, type, rows, style))
        piece = shared_new(buf_bytes(&text));
    buf_deinit(&text);
    return piece;
}

struct shared *v1_list_make_piece(const struct v1_writer *writer, const struct row_list_view *rows, bytes table,
                                  enum json_style style)
{
    return make_piece(writer, rows, table_of(writer, table)->row_type, style_of(writer, table, style));
}

void v1_list_set_piece(struct v1_message *message, struct v1_list *list, struct shared *piece)
{
    v1_message_count(message, piece);
    list->piece = piece;
}

/* Messages */

static void put_list(struct v1_message *message, struct v1_list *list)
{
    if (message->form == V1_TEXT || list->piece != NULL)
        v1_message_add(message, list->piece);
    else if (!message->is_too_large)
        buf_put_bytes(&message->layout, list->rows.whole);
}

static void put_query_update(struct v1_message *message, struct v1_element *element)
{
    if (message->form == V1_BYTES)
        buf_put_u8(&message->layout, UPDATE_UNCOMPRESSED);
    put_list(message, &element->deletes);
    put_list(message, &element->inserts);
}

/* A TableUpdate of `count` elements of one table. */
static void put_table(const struct v1_writer *writer, struct v1_element *elements, size_t count)
{
    struct buf *out = &writer->message->layout;
    uint64_t rows = 0;
    for (size_t idx = 0; idx < count; idx++)
        rows += (uint64_t)elements[idx].inserts.rows.count + elements[idx].deletes.rows.count;
    buf_put_u32(out, table_of(writer, elements->table)->id);
    buf_put_sized(out, elements->table);
    buf_put_u64(out, rows);
    buf_put_u32(out, (uint32_t)count);
    for (size_t idx = 0; idx < count; idx++)
        put_query_update(writer->message, &elements[idx]);
}

static int by_table(const void *left, const void *right)
{
    const struct v1_element *const first = left, *const second = right;
    const int order = bytes_compare(first->table, second->table);
    return order != 0 ? order : first->place < second->place ? -1 : 1;
}

void v1_update_put(const struct v1_writer *writer, struct buf *elements)
{
    struct v1_element *const first = v1_elements_at(elements, 0);
    struct buf *out = &writer->message->layout;
    const size_t count = v1_elements_count(elements), count_at = out->size;
    uint32_t tables = 0;
    if (count > 1)
        qsort(first, count, sizeof *first, by_table);
    buf_put_u32(out, 0);
    for (size_t start = 0, end; start < count; start = end, tables++) {
        for (end = start + 1; end < count && bytes_equal(first[end].table, first[start].table);)
            end++;
        put_table(writer, &first[start], end - start);
    }
    bytes_put_u32(out->data + count_at, tables);
    buf_clear(elements);
}

void v1_update_put_single(const struct v1_writer *writer, bytes table, struct buf *elements)
{
    struct buf *out = &writer->message->layout;
    check(v1_elements_count(elements) <= 1);
    if (v1_elements_count(elements) == 0)
        v1_elements_add(elements, table);
    buf_put_u32(out, table_of(writer, table)->id);
    buf_put_sized(out, table);
    put_table(writer, v1_elements_at(elements, 0), 1);
    buf_clear(elements);
}

void v1_update_put_tables(const struct v1_writer *writer, bytes query_rows, const struct type *row_type)
{
    struct v1_message *message = writer->message;
    struct reader from = reader_of(query_rows);
    const uint32_t tables = reader_get_u32(&from);
    buf_put_u32(&message->layout, tables);
    for (uint32_t idx = 0; idx < tables; idx++) {
        const bytes table = reader_get_sized(&from);
        struct v1_list list = { .rows = row_list_view_take(&from) };
        buf_put_sized(&message->layout, table);
        if (v1_list_needs_piece(&list, message->form))
            v1_list_set_piece(message, &list,
                              make_piece(writer, &list.rows, row_type, style_of(writer, table, JSON_STORED)));
        put_list(message, &list);
    }
    check(!from.failed);
}
