#include "engine/v1_updates.h"

#include "proto/v1_json.h"

/* A commit that was large once does not keep its memory. */
enum { KEPT_CAPACITY_MAX = 1 << 18 };

static void forget_large(struct buf *buf)
{
    if (buf->capacity > KEPT_CAPACITY_MAX)
        buf_deinit(buf);
}

void v1_updates_clear(struct v1_updates *updates)
{
    uint32_t place = 0;
    if (updates->messages.count == 0)
        return;
    for (struct map_entry *entry; (entry = map_next(&updates->messages, &place)) != NULL;)
        shared_unref(entry->value);
    map_deinit(&updates->messages);
}

void v1_updates_deinit(struct v1_updates *updates)
{
    v1_updates_clear(updates);
    buf_deinit(&updates->key);
    buf_deinit(&updates->joined);
    buf_deinit(&updates->message);
}

/* Equal for equal updates: shared bytes are known by where they are, which nothing else is while the commit lasts. */
static bytes make_key(struct v1_updates *updates, enum v1_form form, const struct update_part *parts, uint32_t count)
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

void v1_updates_put(struct v1_updates *updates, const struct v1_writer *writer, const struct update_part *parts,
                    uint32_t count)
{
    buf_clear(&updates->joined);
    update_parts_put(&updates->joined, parts, count);
    v1_update_put(writer, buf_bytes(&updates->joined));
    forget_large(&updates->joined);
}

static struct shared *make_message(struct v1_updates *updates, enum v1_form form, const struct schema *schema,
                                   const struct update_part *parts, uint32_t count)
{
    const struct v1_writer writer = { .out = &updates->message, .form = form, .schema = schema };
    buf_clear(&updates->message);
    v1_put_light_update(writer.out);
    v1_updates_put(updates, &writer, parts, count);
    struct shared *made = v1_json_share(form, buf_bytes(&updates->message));
    forget_large(&updates->message);
    updates->made_count++;
    return made;
}

struct shared *v1_updates_get(struct v1_updates *updates, enum v1_form form, const struct schema *schema,
                              const struct update_part *parts, uint32_t count)
{
    const bytes key = make_key(updates, form, parts, count);
    struct shared *message = map_find(&updates->messages, key);
    if (message != NULL)
        return message;
    message = make_message(updates, form, schema, parts, count);
    if (message != NULL)
        map_put(&updates->messages, key, message);
    return message;
}
