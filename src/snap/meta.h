/* meta — the small values of a snapshot, to bytes and back. snap.h says what they hold.
 *
 * Readers take sealed bytes, yet believe no count in them (M4). */
#pragma once

#include "snap/snap.h"

/* The tables of a schema by ascending id, which is how chunks stand in the file. */
struct snap_order {
    uint32_t count;
    uint32_t *places; /* in schema->tables */
    const struct schema *schema;
};

/* `schema` may be NULL: no tables. */
void order_make(struct snap_order *order, const struct schema *schema, struct arena *arena);
static inline const struct table_def *order_table(const struct snap_order *order, uint32_t idx)
{
    return &order->schema->tables[order->places[idx]];
}

/* What is in the database "rows" of one table. */
struct snap_extent {
    uint32_t table_id;
    uint32_t chunk_count;
    uint64_t row_count;
};

/* The value "head":
 * u64 publish offset, u8[32] first hash, u64 last client, u64 row limit, u32 checksum of chunks, u32 tables, per table an extent */
struct snap_inventory {
    uint64_t publish_offset;
    uint8_t first_hash[32];
    uint64_t last_client;
    uint64_t row_limit;
    uint32_t chunks_crc;
    uint32_t table_count;
    struct snap_extent *tables; /* in snap_order's order */
};

void inventory_encode(struct buf *out, const struct snap_inventory *inventory);
err inventory_decode(bytes from, struct arena *arena, struct snap_inventory *inventory, struct diag *diag);
/* Whether its tables are those of the schema and hold `row_count` rows in all. */
bool inventory_fits(const struct snap_inventory *inventory, const struct snap_order *order, uint64_t row_count);

void clients_encode(struct buf *out, const struct snap_client *clients, uint32_t count);
err clients_decode(bytes from, struct arena *arena, struct snap_head *head, struct diag *diag);

void ticks_encode(struct buf *out, const struct snap_tick *ticks, uint32_t count);
err ticks_decode(bytes from, struct arena *arena, struct snap_head *head, struct diag *diag);

void sequences_encode(struct buf *out, const struct frozen *frozen);
/* `store` NULL: only looks. */
err sequences_decode(bytes from, const struct schema *schema, struct store *store, struct diag *diag);
