#include "engine/v1_updates.h"

#include "sub/part_reader.h"

/* A commit that was large once does not keep its memory. */
enum { KEPT_CAPACITY_MAX = 1 << 18 };

static void forget_pieces(struct v1_updates *updates)
{
    uint32_t place = 0;
    if (updates->pieces.count == 0)
        return;
    for (struct map_entry *entry; (entry = map_next(&updates->pieces, &place)) != NULL;)
        shared_unref(entry->value);
    map_deinit(&updates->pieces);
}

static void forget_messages(struct v1_updates *updates)
{
    uint32_t place = 0;
    if (updates->messages.count == 0)
        return;
    for (struct map_entry *entry; (entry = map_next(&updates->messages, &place)) != NULL;) {
        v1_message_deinit(entry->value);
        memory_free(entry->value);
    }
    map_deinit(&updates->messages);
}

void v1_updates_clear(struct v1_updates *updates)
{
    forget_messages(updates);
    forget_pieces(updates);
    buf_trim(&updates->key, KEPT_CAPACITY_MAX);
    buf_trim(&updates->elements, KEPT_CAPACITY_MAX);
}

void v1_updates_deinit(struct v1_updates *updates)
{
    v1_updates_clear(updates);
    buf_deinit(&updates->key);
    buf_deinit(&updates->elements);
}

/* --- Rows of a query --- */

/* Where rows stand: shared bytes are known by where they are, which nothing else is while the commit lasts, and others
 * are known by themselves and what they are rows of. */
struct origin {
    const struct shared *shared;
    bytes table;
    bool inserts;
};

static bytes key_of_rows(struct v1_updates *updates, enum v1_form form, const struct origin *origin, bytes rows)
{
    struct buf *key = &updates->key;
    buf_clear(key);
    buf_put_u8(key, (uint8_t)form);
    buf_put_u8(key, origin->inserts);
    buf_put_u64(key, (uintptr_t)origin->shared);
    if (origin->shared == NULL) {
        buf_put_sized(key, origin->table);
        buf_put_bytes(key, rows);
    }
    return buf_bytes(key);
}

/* T1 */
static void need_piece(struct v1_updates *updates, const struct v1_writer *writer, const struct origin *origin,
                       struct v1_list *list)
{
    const enum v1_form form = writer->message->form;
    if (writer->message->is_too_large || !v1_list_needs_piece(list, form))
        return;
    const bytes key = key_of_rows(updates, form, origin, list->rows.whole);
    struct shared *piece = map_find(&updates->pieces, key);
    if (piece == NULL) {
        updates->piece_count++;
        piece = v1_list_make_piece(writer, &list->rows, origin->table, JSON_UNTYPED);
        if (piece != NULL)
            map_put(&updates->pieces, key, piece);
    }
    v1_list_set_piece(writer->message, list, piece != NULL ? shared_ref(piece) : NULL);
}

static void add_element(struct v1_updates *updates, const struct v1_writer *writer, struct part_reader *parts,
                        bytes table)
{
    struct v1_element *element = v1_elements_add(&updates->elements, table);
    struct origin origin = { .table = table };
    struct reader *from = part_reader_bytes(parts), all;
    if (reader_left(from) == 0) {
        origin.shared = parts->parts[part_reader_take_shared(parts)].shared;
        all = reader_of(bytes_of(origin.shared->data, origin.shared->size));
        from = &all;
    }
    row_list_view_take_update(from, &element->inserts.rows, &element->deletes.rows);
    need_piece(updates, writer, &origin, &element->deletes);
    origin.inserts = true;
    need_piece(updates, writer, &origin, &element->inserts);
}

static void add_elements(struct v1_updates *updates, const struct v1_writer *writer, struct part_reader *parts)
{
    for (uint32_t sets = reader_get_u32(part_reader_bytes(parts)); sets > 0; sets--) {
        (void)reader_get_u32(part_reader_bytes(parts)); /* the set's id */
        for (uint32_t tables = reader_get_u32(part_reader_bytes(parts)); tables > 0; tables--) {
            const bytes table = reader_get_sized(part_reader_bytes(parts));
            for (uint32_t elements = reader_get_u32(part_reader_bytes(parts)); elements > 0; elements--)
                add_element(updates, writer, parts, table);
        }
    }
    check(part_reader_is_done(parts));
}

void v1_updates_put(struct v1_updates *updates, const struct v1_writer *writer, const struct update_part *parts,
                    uint32_t count)
{
    struct part_reader reader = part_reader_of(parts, count);
    if (count > 0)
        add_elements(updates, writer, &reader);
    v1_update_put(writer, &updates->elements);
}

/* --- Messages --- */

/* Equal for equal updates. */
static bytes key_of_parts(struct v1_updates *updates, enum v1_form form, const struct update_part *parts,
                          uint32_t count)
{
    struct buf *key = &updates->key;
    buf_clear(key);
    buf_put_u8(key, (uint8_t)form);
    for (uint32_t idx = 0; idx < count; idx++) {
        buf_put_u64(key, (uintptr_t)parts[idx].shared);
        if (parts[idx].shared == NULL)
            buf_put_sized(key, parts[idx].inline_bytes);
    }
    return buf_bytes(key);
}

static struct v1_message *make_message(struct v1_updates *updates, enum v1_form form, const struct schema *schema,
                                       const struct update_part *parts, uint32_t count)
{
    struct v1_message *message = memory_new(sizeof *message);
    const struct v1_writer writer = { .message = message, .schema = schema };
    v1_message_begin(message, form);
    v1_put_light_update(&message->layout);
    v1_updates_put(updates, &writer, parts, count);
    v1_message_end(message);
    updates->made_count++;
    return message;
}

const struct v1_message *v1_updates_get(struct v1_updates *updates, enum v1_form form, const struct schema *schema,
                                        const struct update_part *parts, uint32_t count)
{
    struct v1_message *message = map_find(&updates->messages, key_of_parts(updates, form, parts, count));
    if (message != NULL)
        return message;
    message = make_message(updates, form, schema, parts, count);
    map_put(&updates->messages, key_of_parts(updates, form, parts, count), message);
    return message;
}
