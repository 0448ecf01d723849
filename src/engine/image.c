#include "engine/image.h"

#include "schema/migration.h"

void image_init(struct image *image)
{
    *image = (struct image){ 0 };
    store_init(&image->store);
    map_init(&image->clients);
    timers_init(&image->timers);
}

void image_deinit(struct image *image)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&image->clients, &place)) != NULL;)
        memory_free(entry->value);
    map_deinit(&image->clients);
    timers_deinit(&image->timers);
    store_deinit(&image->store);
    buf_deinit(&image->publish);
}

static void remember_client(struct image *image, const struct caller *caller)
{
    memory_free(map_put(&image->clients, map_u64_key(&caller->number), memory_copy(caller, sizeof *caller)));
    if (caller->number > image->last_client)
        image->last_client = caller->number;
}

/* What init changed is in the tables. */
static void remember_publish(struct image *image, const struct record *record, uint64_t offset)
{
    memcpy(image->hash, record->hash, sizeof image->hash);
    if (!image->was_published)
        memcpy(image->first_hash, record->hash, sizeof image->first_hash);
    image->was_published = true;
    image->publish_offset = offset;
    buf_clear(&image->publish);
    record_encode(&image->publish, record, NULL);
}

/* --- From a snapshot --- */

static err take_head(struct image *image, const struct snap_head *head, struct diag *diag)
{
    struct record record;
    TRY(record_decode(head->publish, &record, diag));
    remember_publish(image, &record, head->publish_offset);
    memcpy(image->first_hash, head->first_hash, sizeof image->first_hash);
    for (uint32_t idx = 0; idx < head->client_count; idx++) {
        const struct snap_client *client = &head->clients[idx];
        const struct caller caller = { client->who, client->connection, client->number };
        remember_client(image, &caller);
    }
    image->last_client = head->last_client;
    image->row_limit = head->row_limit;
    image->next_offset = head->offset;
    return OK;
}

static void take_timers(struct image *image, const struct snap_head *head)
{
    timers_rebuild(&image->timers, &image->store, head->timestamp_us);
    for (uint32_t idx = 0; idx < head->tick_count; idx++)
        timers_ticked(&image->timers, head->ticks[idx].schedule_id, head->ticks[idx].row_id, head->ticks[idx].last_us);
}

static err load(struct image *image, const struct snap_options *snap, uint64_t offset, const uint8_t database_id[16],
                bool with_rows, struct diag *diag)
{
    struct arena storage;
    struct snap_head head;
    arena_init(&storage);
    err code = with_rows
                   ? snap_load(snap, offset, database_id, &image->store, &head, &storage, diag)
                   : snap_load_head(snap, offset, database_id, &image->store.schema, &head, &storage, diag);
    if (code == OK)
        code = take_head(image, &head, diag);
    if (code == OK && with_rows)
        take_timers(image, &head);
    arena_deinit(&storage);
    if (code != OK) {
        image_deinit(image);
        image_init(image);
    }
    return code;
}

err image_load(struct image *image, const struct snap_options *snap, uint64_t offset, const uint8_t database_id[16],
               struct diag *diag)
{
    return load(image, snap, offset, database_id, true, diag);
}

err image_load_head(struct image *image, const struct snap_options *snap, uint64_t offset,
                    const uint8_t database_id[16], struct diag *diag)
{
    return load(image, snap, offset, database_id, false, diag);
}

/* --- From the log --- */

err image_migrate(struct image *image, const struct record *record, struct diag *diag)
{
    struct arena arena;
    struct schema *schema;
    struct schema_fault fault;
    struct migration plan;
    TRY(schema_build(record->def, image->store.schema, &schema, &fault, diag));
    arena_init(&arena);
    err code = migration_plan(&arena, image->store.schema, schema, &plan, diag);
    if (code == OK)
        code = store_migrate(&image->store, schema, &plan, NULL, diag);
    arena_deinit(&arena);
    if (code == OK)
        timers_rebuild(&image->timers, &image->store, record->timestamp_us);
    else
        schema_free(schema);
    return code;
}

struct change {
    struct image *image;
    int64_t timestamp_us;
};

static void follow_row(void *context, const struct table *table, bytes row, bool has_come)
{
    const struct change *change = context;
    struct image *image = change->image;
    if (table->def->schedule < 0)
        return;
    if (has_come)
        timers_row_came(&image->timers, image->store.schema, table, row, change->timestamp_us);
    else
        timers_row_gone(&image->timers, image->store.schema, table, row);
}

/* All that a record says beside its rows. */
static err apply_event(struct image *image, uint64_t offset, const struct record *record, struct diag *diag)
{
    switch (record->kind) {
    case RECORD_PUBLISH:
        TRY(image_migrate(image, record, diag));
        remember_publish(image, record, offset);
        break;
    case RECORD_RESERVE:
        if (store_restore_sequence(&image->store, record->sequence_id, record->reserved))
            break;
        return diag_set(diag, ERR_CORRUPT, "a reservation for the unknown sequence %u", record->sequence_id);
    case RECORD_CONNECT: {
        const struct caller caller = { record->who, record->connection, record->client };
        remember_client(image, &caller);
        break;
    }
    case RECORD_DISCONNECT: memory_free(map_remove(&image->clients, map_u64_key(&record->client))); break;
    case RECORD_TICK: timers_ticked(&image->timers, record->schedule_id, record->row_id, record->tick_us); break;
    case RECORD_SQL: image->row_limit = record->row_limit; break;
    case RECORD_CALL:
    case RECORD_UNDO: break;
    }
    return OK;
}

err image_follow(struct image *image, uint64_t offset, bytes content, struct record *record, struct diag *diag)
{
    TRY(record_decode(content, record, diag));
    TRY(apply_event(image, offset, record, diag));
    image->next_offset = offset + 1;
    return OK;
}

err image_apply(struct image *image, uint64_t offset, bytes content, struct diag *diag)
{
    struct record record;
    err code = image_follow(image, offset, content, &record, diag);
    struct change change = { image, record.timestamp_us };
    if (code == OK && record.kind != RECORD_RESERVE)
        code = delta_apply(&image->store, record.delta, follow_row, &change, diag);
    timers_settle(&image->timers);
    return code == OK ? OK : diag_note(diag, "replaying the log at offset %llu: ", (unsigned long long)offset);
}
