#include "proto/row_list.h"

enum {
    HINT_FIXED_SIZE = 0,
    HINT_ROW_OFFSETS = 1,
    FIXED_SIZE_MAX = UINT16_MAX, /* the hint holds a u16 */
    UPDATE_PERSISTENT = 0,
    UPDATE_EVENT = 1,
};

void row_list_init(struct row_list *list)
{
    memset(list, 0, sizeof *list);
    buf_init(&list->rows);
    buf_init(&list->offsets);
}

void row_list_deinit(struct row_list *list)
{
    buf_deinit(&list->rows);
    buf_deinit(&list->offsets);
}

void row_list_clear(struct row_list *list)
{
    buf_clear(&list->rows);
    buf_clear(&list->offsets);
    list->count = 0;
    list->size = 0;
    list->mixed = false;
}

/* From here on every row needs its offset; those so far get theirs, which their one size tells. */
static void begin_offsets(struct row_list *list)
{
    list->mixed = true;
    for (uint32_t i = 0; i < list->count; i++)
        buf_put_u64(&list->offsets, (uint64_t)i * list->size);
}

void row_list_add(struct row_list *list, bytes row)
{
    if (!list->mixed) {
        if (list->count == 0)
            list->size = (uint32_t)row.size;
        if (row.size != list->size || row.size == 0 || row.size > FIXED_SIZE_MAX)
            begin_offsets(list);
    }
    if (list->mixed)
        buf_put_u64(&list->offsets, list->rows.size);
    buf_put_bytes(&list->rows, row);
    list->count++;
}

/* No rows have no size, so they are told by offsets, of which there are none. */
static bool has_fixed_size(const struct row_list *list)
{
    return list->count > 0 && !list->mixed;
}

size_t row_list_encoded_size(const struct row_list *list)
{
    const size_t hint_size = has_fixed_size(list) ? 1 + sizeof(uint16_t) : 1 + sizeof(uint32_t) + list->offsets.size;
    return hint_size + sizeof(uint32_t) + list->rows.size;
}

void row_list_encode_head(struct buf *out, const struct row_list *list)
{
    check(list->rows.size <= UINT32_MAX);
    check(!list->mixed || list->offsets.size == sizeof(uint64_t) * list->count);
    if (has_fixed_size(list)) {
        buf_put_u8(out, HINT_FIXED_SIZE);
        buf_put_u16(out, (uint16_t)list->size);
    } else {
        buf_put_u8(out, HINT_ROW_OFFSETS);
        buf_put_u32(out, list->count);
        buf_put_bytes(out, buf_bytes(&list->offsets));
    }
    buf_put_u32(out, (uint32_t)list->rows.size);
}

void row_list_encode(struct buf *out, const struct row_list *list)
{
    row_list_encode_head(out, list);
    buf_put_bytes(out, buf_bytes(&list->rows));
}

void row_list_update(struct buf *out, const struct row_list *inserts, const struct row_list *deletes)
{
    buf_put_u8(out, UPDATE_PERSISTENT);
    row_list_encode(out, inserts);
    row_list_encode(out, deletes);
}

void row_list_events(struct buf *out, const struct row_list *events)
{
    buf_put_u8(out, UPDATE_EVENT);
    row_list_encode(out, events);
}

struct row_list_view row_list_view_take(struct reader *from)
{
    struct row_list_view view = { .whole.at = from->at };
    const bool has_fixed = reader_get_u8(from) == HINT_FIXED_SIZE;
    if (has_fixed) {
        view.size = reader_get_u16(from);
    } else {
        view.count = reader_get_u32(from);
        view.offsets = reader_take(from, (size_t)view.count * sizeof(uint64_t)).at;
    }
    view.rows = reader_get_sized(from);
    check(!from->failed);
    if (has_fixed)
        view.count = (uint32_t)(view.rows.size / view.size);
    view.whole.size = (size_t)(from->at - view.whole.at);
    return view;
}

bytes row_list_view_row(const struct row_list_view *view, uint32_t place)
{
    check(place < view->count);
    if (view->size > 0)
        return bytes_of(view->rows.at + (size_t)place * view->size, view->size);
    const uint64_t start = bytes_get_u64(view->offsets + (size_t)place * sizeof start);
    const uint64_t end = place + 1 < view->count ? bytes_get_u64(view->offsets + ((size_t)place + 1) * sizeof end)
                                                 : view->rows.size;
    return bytes_of(view->rows.at + start, end - start);
}

void row_list_view_take_update(struct reader *from, struct row_list_view *inserts, struct row_list_view *deletes)
{
    static const uint8_t none[] = { HINT_ROW_OFFSETS, 0, 0, 0, 0, 0, 0, 0, 0 };
    const uint8_t kind = reader_get_u8(from);
    *inserts = row_list_view_take(from);
    struct reader empty = reader_of(bytes_of(none, sizeof none));
    *deletes = row_list_view_take(kind == UPDATE_PERSISTENT ? from : &empty);
}
