#include "sub/fanout.h"

#include <stdlib.h>

/* A commit that was large once does not keep its memory in every query it touched. */
enum { KEPT_CAPACITY_MAX = 1 << 18 };

void fanout_init(struct fanout *fanout)
{
    memset(fanout, 0, sizeof *fanout);
    query_list_init(&fanout->touched);
    buf_init(&fanout->updates);
    buf_init(&fanout->large);
    buf_init(&fanout->body);
}

void fanout_deinit(struct fanout *fanout)
{
    query_list_deinit(&fanout->touched);
    memory_free(fanout->concerned);
    buf_deinit(&fanout->updates);
    buf_deinit(&fanout->large);
    buf_deinit(&fanout->body);
    memory_free(fanout->parts);
}

static void put_update(struct buf *out, const struct shared_query *query)
{
    if (query->query->table->is_event)
        row_list_events(out, &query->inserts);
    else
        row_list_update(out, &query->inserts, &query->deletes);
}

static bool has_news(const struct shared_query *query)
{
    return query->inserts.count + query->deletes.count > 0;
}

static void encode_query(struct fanout *fanout, struct shared_query *query)
{
    if (!has_news(query))
        return;
    const size_t rows_size = row_list_encoded_size(&query->inserts) + row_list_encoded_size(&query->deletes);
    if (rows_size <= UPDATE_INLINE_MAX) {
        query->update_start = fanout->updates.size;
        put_update(&fanout->updates, query);
        query->update_size = fanout->updates.size - query->update_start;
        return;
    }
    buf_clear(&fanout->large);
    put_update(&fanout->large, query);
    query->update = shared_new(buf_bytes(&fanout->large));
}

/* The first thing for a client in this commit puts it among those concerned. */
static void note_concerned(struct fanout *fanout, struct subscriber *subscriber)
{
    if (fanout->concerned_count == fanout->concerned_capacity) {
        fanout->concerned_capacity = fanout->concerned_capacity == 0 ? 16 : fanout->concerned_capacity * 2;
        fanout->concerned = memory_resize(fanout->concerned, sizeof *fanout->concerned * fanout->concerned_capacity);
    }
    fanout->concerned[fanout->concerned_count++] = subscriber;
}

static void hand_out(struct fanout *fanout, const struct shared_query *query)
{
    for (uint32_t i = 0; has_news(query) && i < query->holder_count; i++) {
        struct holding *holding = query->holders[i];
        struct subscriber *subscriber = holding->set->subscriber;
        holding->set->was_told = true;
        if (subscriber->item_count == 0)
            note_concerned(fanout, subscriber);
        if (subscriber->item_count == subscriber->item_capacity) {
            subscriber->item_capacity = subscriber->item_capacity == 0 ? 2 : subscriber->item_capacity * 2;
            subscriber->items = memory_resize(subscriber->items, sizeof *subscriber->items * subscriber->item_capacity);
        }
        subscriber->items[subscriber->item_count++] = holding;
    }
}

static bytes table_name(const struct holding *holding)
{
    return holding->query->query->table->name;
}

/* Whether two holdings of one client are told in one set: Q5. */
static bool is_one_set(const struct holding *left, const struct holding *right)
{
    return left->set == right->set || left->set->subscriber->by_table;
}

/* Q4; the queries of one set on one table come as they were asked. */
static int compare_holdings(const struct holding *left, const struct holding *right)
{
    if (is_one_set(left, right) && left->query->table_id != right->query->table_id)
        return bytes_compare(table_name(left), table_name(right));
    if (left->set != right->set)
        return left->set->id < right->set->id ? -1 : 1;
    return left < right ? -1 : left > right;
}

static int compare_items(const void *left, const void *right)
{
    return compare_holdings(*(struct holding *const *)left, *(struct holding *const *)right);
}

/* Most clients have a few items, and those nearly sorted; qsort() takes memory for many. */
static void sort_items(struct holding **items, uint32_t count)
{
    enum { FEW = 16 };
    if (count > FEW) {
        qsort(items, count, sizeof *items, compare_items);
        return;
    }
    for (uint32_t i = 1; i < count; i++) {
        struct holding *item = items[i];
        uint32_t place = i;
        for (; place > 0 && compare_holdings(items[place - 1], item) > 0; place--)
            items[place] = items[place - 1];
        items[place] = item;
    }
}

/* Room for everything inline of one client, so that parts may point into the body while it grows, and for a part
 * before and after each shared buffer. */
static void reserve_body(struct fanout *fanout, const struct subscriber *subscriber)
{
    enum { HEAD_SIZE = 5 * sizeof(uint32_t) }; /* set id, tables, name size, elements; and the count of sets */
    size_t size = HEAD_SIZE;
    for (uint32_t i = 0; i < subscriber->item_count; i++) {
        const struct holding *item = subscriber->items[i];
        size += HEAD_SIZE + table_name(item).size + (item->query->update == NULL ? item->query->update_size : 0);
    }
    buf_clear(&fanout->body);
    buf_extend(&fanout->body, size);
    buf_clear(&fanout->body);
    const uint32_t part_max = subscriber->item_count * 2 + 1;
    if (fanout->part_capacity >= part_max)
        return;
    fanout->part_capacity = part_max * 2;
    fanout->parts = memory_resize(fanout->parts, sizeof *fanout->parts * fanout->part_capacity);
}

/* The body of one client, being written: counts are filled in when their things have been seen. */
struct body {
    struct fanout *fanout;
    uint32_t part_count;
    size_t part_start; /* of the inline part that is open */
};

static size_t put_count(struct body *body)
{
    struct buf *out = &body->fanout->body;
    buf_put_u32(out, 0);
    return out->size - sizeof(uint32_t);
}

static void set_count(struct body *body, size_t at, uint32_t count)
{
    memcpy(body->fanout->body.data + at, &count, sizeof count);
}

static void end_inline_part(struct body *body)
{
    const struct buf *out = &body->fanout->body;
    if (out->size == body->part_start)
        return;
    const bytes inline_bytes = bytes_of(out->data + body->part_start, out->size - body->part_start);
    body->fanout->parts[body->part_count++] = (struct update_part){ .inline_bytes = inline_bytes };
    body->part_start = out->size;
}

static void put_element(struct body *body, const struct shared_query *query)
{
    struct fanout *fanout = body->fanout;
    if (query->update == NULL) {
        buf_put(&fanout->body, fanout->updates.data + query->update_start, query->update_size);
        return;
    }
    end_inline_part(body);
    fanout->parts[body->part_count++] = (struct update_part){ .shared = query->update };
}

/* Takes the items of one table; returns how many. */
static uint32_t put_table(struct body *body, struct holding *const *items, uint32_t count)
{
    struct buf *out = &body->fanout->body;
    buf_put_sized(out, table_name(items[0]));
    const size_t elements_at = put_count(body);
    uint32_t taken = 0;
    while (taken < count && is_one_set(items[taken], items[0]) &&
           items[taken]->query->table_id == items[0]->query->table_id)
        put_element(body, items[taken++]->query);
    set_count(body, elements_at, taken);
    return taken;
}

static uint32_t put_set(struct body *body, struct holding *const *items, uint32_t count)
{
    const struct query_set *set = items[0]->set;
    buf_put_u32(&body->fanout->body, set->subscriber->by_table ? 0 : set->id);
    const size_t tables_at = put_count(body);
    uint32_t taken = 0, tables = 0;
    while (taken < count && is_one_set(items[taken], items[0])) {
        taken += put_table(body, items + taken, count - taken);
        tables++;
    }
    set_count(body, tables_at, tables);
    return taken;
}

static void deliver_to(struct fanout *fanout, struct subscriber *subscriber, subs_deliver_fn *deliver, void *context)
{
    sort_items(subscriber->items, subscriber->item_count);
    reserve_body(fanout, subscriber);
    const uint8_t *const data = fanout->body.data;
    struct body body = { .fanout = fanout };
    const size_t sets_at = put_count(&body);
    uint32_t taken = 0, sets = 0;
    while (taken < subscriber->item_count) {
        taken += put_set(&body, subscriber->items + taken, subscriber->item_count - taken);
        sets++;
    }
    set_count(&body, sets_at, sets);
    end_inline_part(&body);
    check(fanout->body.data == data); /* parts point into it */
    check(body.part_count <= fanout->part_capacity);
    subscriber->item_count = 0;
    deliver(context, subscriber, fanout->parts, body.part_count);
}

static void clear_rows(struct row_list *list)
{
    if (list->rows.capacity <= KEPT_CAPACITY_MAX) {
        row_list_clear(list);
        return;
    }
    row_list_deinit(list);
    row_list_init(list);
}

static void clear_changes(struct change_list *list)
{
    list->count = 0;
    if (list->capacity * sizeof *list->rows <= KEPT_CAPACITY_MAX)
        return;
    memory_free(list->rows);
    *list = (struct change_list){ 0 };
}

static void clear_query(struct shared_query *query)
{
    query->touched = false;
    shared_unref(query->update);
    query->update = NULL;
    clear_rows(&query->inserts);
    clear_rows(&query->deletes);
    for (uint32_t side = 0; side < 2; side++)
        clear_changes(&query->changes[side]);
}

void fanout_deliver(struct fanout *fanout, subs_deliver_fn *deliver, void *context)
{
    struct query_list *touched = &fanout->touched;
    buf_clear(&fanout->updates);
    for (uint32_t i = 0; i < touched->count; i++)
        encode_query(fanout, touched->queries[i]);
    for (uint32_t i = 0; i < touched->count; i++)
        hand_out(fanout, touched->queries[i]);
    for (uint32_t i = 0; i < fanout->concerned_count; i++)
        deliver_to(fanout, fanout->concerned[i], deliver, context);
    fanout->concerned_count = 0;
    for (uint32_t i = 0; i < touched->count; i++)
        clear_query(touched->queries[i]);
}
