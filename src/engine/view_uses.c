#include "engine/view_uses.h"

#include "engine/derivations.h"
#include "engine/system_tables.h"

/* Uses are found by the view's table and who looks. */
struct use_key {
    uint8_t at[sizeof(uint32_t) + sizeof(identity)];
};

struct counting {
    struct map views;     /* table id -> struct derived_view *, in `instances` */
    struct map places;    /* use_key -> place of the use + 1 */
    struct buf instances; /* struct derived_view */
    const identity *who;  /* whose queries are being counted */
    struct buf *uses;
};

static struct use_key use_key(uint32_t table_id, const identity *who)
{
    struct use_key key;
    bytes_put_u32(key.at, table_id);
    memcpy(key.at + sizeof table_id, who->at, sizeof who->at);
    return key;
}

static void add_use(struct buf *uses, const struct derived_view *view, const identity *who, uint64_t subscribers)
{
    const struct system_view_use use = { .view_id = view->view_id,
                                         .is_anonymous = view->is_anonymous,
                                         .who = *who,
                                         .subscribers = subscribers,
                                         .called_us = view->called_us };
    buf_put(uses, &use, sizeof use);
}

static void count_table(void *context, uint32_t table_id)
{
    struct counting *counting = context;
    struct derived_view *view = map_find(&counting->views, map_u32_key(&table_id));
    if (view == NULL)
        return;
    view->is_looked_at = true;
    const struct use_key key = use_key(table_id, counting->who);
    const uintptr_t place = (uintptr_t)map_find(&counting->places, bytes_of(key.at, sizeof key.at));
    if (place > 0) {
        ((struct system_view_use *)counting->uses->data)[place - 1].subscribers++;
        return;
    }
    add_use(counting->uses, view, counting->who, 1);
    map_put(&counting->places, bytes_of(key.at, sizeof key.at),
            (void *)(uintptr_t)(counting->uses->size / sizeof(struct system_view_use)));
}

static void add_unused(const struct counting *counting)
{
    const struct derived_view *views = (const struct derived_view *)counting->instances.data;
    for (size_t idx = 0; idx < counting->instances.size / sizeof *views; idx++)
        if (!views[idx].is_looked_at)
            add_use(counting->uses, &views[idx], &views[idx].caller, 0);
}

void view_uses_list(void *context, struct buf *uses)
{
    const struct engine *engine = context;
    struct counting counting = { .uses = uses };
    map_init(&counting.views);
    map_init(&counting.places);
    derivations_views(engine->derivations, &counting.instances);
    struct derived_view *views = (struct derived_view *)counting.instances.data;
    for (size_t idx = 0; idx < counting.instances.size / sizeof *views; idx++)
        map_put(&counting.views, map_u32_key(&views[idx].table_id), &views[idx]);
    for (const struct client *client = engine->clients; client != NULL; client = client->next) {
        counting.who = &client->caller.who;
        subscriber_each_table(&client->subscriber, count_table, &counting);
    }
    add_unused(&counting);
    map_deinit(&counting.views);
    map_deinit(&counting.places);
    buf_deinit(&counting.instances);
}
