#include "proto/v1_message.h"

#include "proto/v1_json.h"

/* A message that was large once does not keep its memory. */
enum { KEPT_CAPACITY_MAX = 1 << 18 };

size_t v1_message_size_max = UINT32_MAX;
const bytes v1_no_rows = { (const uint8_t *)"[]", 2 };

uint32_t v1_message_piece_count(const struct v1_message *message)
{
    return (uint32_t)(message->pieces.size / sizeof(struct shared *));
}

struct shared *v1_message_piece(const struct v1_message *message, uint32_t place)
{
    return ((struct shared *const *)message->pieces.data)[place];
}

static size_t start_of(const struct v1_message *message, uint32_t place)
{
    return ((const size_t *)message->places.data)[place];
}

bytes v1_message_bytes(const struct v1_message *message, uint32_t place)
{
    const size_t start = place > 0 ? start_of(message, place - 1) : 0;
    const size_t end = place < v1_message_piece_count(message) ? start_of(message, place) : message->bytes.size;
    return bytes_of(message->bytes.data + start, end - start);
}

static void let_go(struct v1_message *message)
{
    for (uint32_t place = 0; place < v1_message_piece_count(message); place++)
        shared_unref(v1_message_piece(message, place));
    buf_clear(&message->pieces);
}

static void clear(struct buf *buf)
{
    buf_trim(buf, KEPT_CAPACITY_MAX);
    buf_clear(buf);
}

void v1_message_clear(struct v1_message *message)
{
    let_go(message);
    clear(&message->layout);
    clear(&message->bytes);
    clear(&message->places);
    clear(&message->pieces);
    message->size = 0;
    message->is_too_large = false;
}

void v1_message_begin(struct v1_message *message, enum v1_form form)
{
    v1_message_clear(message);
    message->form = form;
}

void v1_message_deinit(struct v1_message *message)
{
    let_go(message);
    buf_deinit(&message->layout);
    buf_deinit(&message->bytes);
    buf_deinit(&message->places);
    buf_deinit(&message->pieces);
}

static void count_bytes(struct v1_message *message, size_t size)
{
    message->size += size;
    message->is_too_large = message->is_too_large || message->size > v1_message_size_max;
}

void v1_message_count(struct v1_message *message, const struct shared *piece)
{
    message->is_too_large = message->is_too_large || piece == NULL;
    if (piece != NULL)
        count_bytes(message, piece->size);
}

void v1_message_add(struct v1_message *message, struct shared *piece)
{
    buf_put(&message->places, &message->layout.size, sizeof message->layout.size);
    buf_put(&message->pieces, &piece, sizeof piece);
}

static void take_layout(struct v1_message *message)
{
    const struct buf layout = message->layout;
    message->layout = message->bytes;
    message->bytes = layout;
}

/* Pieces stay in their order: places in the layout become places in the text. */
static void print_layout(struct v1_message *message)
{
    buf_clear(&message->places);
    v1_json_print(&message->bytes, buf_bytes(&message->layout), &message->places);
    check(message->places.size / sizeof(size_t) == v1_message_piece_count(message));
}

void v1_message_end(struct v1_message *message)
{
    if (message->is_too_large)
        return;
    if (message->form == V1_BYTES)
        take_layout(message);
    else
        print_layout(message);
    count_bytes(message, message->bytes.size);
    for (uint32_t place = 0; place < v1_message_piece_count(message); place++) {
        if (v1_message_piece(message, place) == NULL)
            count_bytes(message, v1_no_rows.size);
    }
}
