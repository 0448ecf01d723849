#include "snap/meta.h"

#include <stdlib.h>

enum { EXTENT_SIZE = 16, CLIENT_SIZE = 56, TICK_SIZE = 20 };

/* --- The order of tables --- */

static int order_by_id(const void *left, const void *right, void *context)
{
    const struct table_def *tables = context;
    const uint32_t left_id = tables[*(const uint32_t *)left].id;
    const uint32_t right_id = tables[*(const uint32_t *)right].id;
    return (left_id > right_id) - (left_id < right_id);
}

void order_make(struct snap_order *order, const struct schema *schema, struct arena *arena)
{
    *order = (struct snap_order){ .count = schema != NULL ? schema->table_count : 0, .schema = schema };
    order->places = ARENA_ARRAY(arena, uint32_t, order->count);
    for (uint32_t idx = 0; idx < order->count; idx++)
        order->places[idx] = idx;
    if (order->count > 0)
        qsort_r(order->places, order->count, sizeof *order->places, order_by_id, schema->tables);
}

/* --- Head --- */

void inventory_encode(struct buf *out, const struct snap_inventory *inventory)
{
    buf_put_u64(out, inventory->publish_offset);
    buf_put(out, inventory->first_hash, sizeof inventory->first_hash);
    buf_put_u64(out, inventory->last_client);
    buf_put_u64(out, inventory->row_limit);
    buf_put_u32(out, inventory->chunks_crc);
    buf_put_u32(out, inventory->table_count);
    for (uint32_t idx = 0; idx < inventory->table_count; idx++) {
        buf_put_u32(out, inventory->tables[idx].table_id);
        buf_put_u32(out, inventory->tables[idx].chunk_count);
        buf_put_u64(out, inventory->tables[idx].row_count);
    }
}

err inventory_decode(bytes from, struct arena *arena, struct snap_inventory *inventory, struct diag *diag)
{
    struct reader reader = reader_of(from);
    *inventory = (struct snap_inventory){ .publish_offset = reader_get_u64(&reader) };
    const bytes hash = reader_take(&reader, sizeof inventory->first_hash);
    memcpy(inventory->first_hash, hash.at, hash.size);
    inventory->last_client = reader_get_u64(&reader);
    inventory->row_limit = reader_get_u64(&reader);
    inventory->chunks_crc = reader_get_u32(&reader);
    inventory->table_count = reader_get_u32(&reader);
    if (reader.failed || reader_left(&reader) != (uint64_t)inventory->table_count * EXTENT_SIZE)
        return diag_set(diag, ERR_CORRUPT, "its size does not go with what it counts");

    inventory->tables = ARENA_ARRAY(arena, struct snap_extent, inventory->table_count);
    for (uint32_t idx = 0; idx < inventory->table_count; idx++) {
        struct snap_extent *table = &inventory->tables[idx];
        table->table_id = reader_get_u32(&reader);
        table->chunk_count = reader_get_u32(&reader);
        table->row_count = reader_get_u64(&reader);
    }
    return OK;
}

bool inventory_fits(const struct snap_inventory *inventory, const struct snap_order *order, uint64_t row_count)
{
    if (inventory->table_count != order->count)
        return false;
    uint64_t rows = 0;
    for (uint32_t idx = 0; idx < order->count; idx++) {
        if (inventory->tables[idx].table_id != order_table(order, idx)->id)
            return false;
        rows += inventory->tables[idx].row_count;
    }
    return rows == row_count;
}

/* --- Clients --- */

void clients_encode(struct buf *out, const struct snap_client *clients, uint32_t count)
{
    for (uint32_t idx = 0; idx < count; idx++) {
        buf_put_u64(out, clients[idx].number);
        buf_put(out, clients[idx].who.at, sizeof clients[idx].who.at);
        buf_put(out, clients[idx].connection.at, sizeof clients[idx].connection.at);
    }
}

err clients_decode(bytes from, struct arena *arena, struct snap_head *head, struct diag *diag)
{
    if (from.size % CLIENT_SIZE != 0 || from.size / CLIENT_SIZE > UINT32_MAX)
        return diag_set(diag, ERR_CORRUPT, "its size is not that of a number of clients");
    head->client_count = (uint32_t)(from.size / CLIENT_SIZE);
    struct snap_client *clients = ARENA_ARRAY(arena, struct snap_client, head->client_count);
    for (uint32_t idx = 0; idx < head->client_count; idx++) {
        const uint8_t *at = from.at + (size_t)idx * CLIENT_SIZE;
        memcpy(&clients[idx].number, at, 8);
        memcpy(clients[idx].who.at, at + 8, sizeof clients[idx].who.at);
        memcpy(clients[idx].connection.at, at + 40, sizeof clients[idx].connection.at);
    }
    head->clients = clients;
    return OK;
}

/* --- Ticks --- */

void ticks_encode(struct buf *out, const struct snap_tick *ticks, uint32_t count)
{
    for (uint32_t idx = 0; idx < count; idx++) {
        buf_put_u32(out, ticks[idx].schedule_id);
        buf_put_u64(out, ticks[idx].row_id);
        buf_put_u64(out, (uint64_t)ticks[idx].last_us);
    }
}

err ticks_decode(bytes from, struct arena *arena, struct snap_head *head, struct diag *diag)
{
    struct reader reader = reader_of(from);
    if (from.size % TICK_SIZE != 0 || from.size / TICK_SIZE > UINT32_MAX)
        return diag_set(diag, ERR_CORRUPT, "its size is not that of a number of ticks");
    head->tick_count = (uint32_t)(from.size / TICK_SIZE);
    struct snap_tick *ticks = ARENA_ARRAY(arena, struct snap_tick, head->tick_count);
    for (uint32_t idx = 0; idx < head->tick_count; idx++) {
        ticks[idx].schedule_id = reader_get_u32(&reader);
        ticks[idx].row_id = reader_get_u64(&reader);
        ticks[idx].last_us = (int64_t)reader_get_u64(&reader);
    }
    head->ticks = ticks;
    return OK;
}

/* --- Sequences --- */

void sequences_encode(struct buf *out, const struct frozen *frozen)
{
    const struct schema *schema = frozen_schema(frozen);
    for (uint32_t place = 0; place < frozen_table_count(frozen); place++) {
        for (uint32_t idx = 0; idx < schema->tables[place].sequence_count; idx++) {
            const __int128 reserved = frozen_sequence(frozen, place, idx);
            buf_put_u32(out, schema->tables[place].sequences[idx].id);
            buf_put(out, &reserved, sizeof reserved);
        }
    }
}

err sequences_decode(bytes from, const struct schema *schema, struct store *store, struct diag *diag)
{
    struct reader reader = reader_of(from);
    for (uint32_t place = 0; schema != NULL && place < schema->table_count; place++) {
        for (uint32_t idx = 0; idx < schema->tables[place].sequence_count; idx++) {
            const uint32_t id = reader_get_u32(&reader);
            const bytes reserved_at = reader_take(&reader, sizeof(__int128));
            if (reader.failed || id != schema->tables[place].sequences[idx].id)
                return diag_set(diag, ERR_CORRUPT, "it lacks a sequence");
            __int128 reserved;
            memcpy(&reserved, reserved_at.at, sizeof reserved);
            if (store != NULL)
                check(sequence_restore(store->tables[place], id, reserved));
        }
    }
    return reader_left(&reader) == 0 ? OK : diag_set(diag, ERR_CORRUPT, "it has sequences that no table has");
}
