#include "engine/recovery.h"

#include "base/clock.h"
#include "engine/call.h"
#include "schema/migration.h"

void recovery_init(struct recovery *recovery, struct engine *engine)
{
    recovery->engine = engine;
    recovery->last_offset = 0;
    map_init(&recovery->clients);
}

void recovery_deinit(struct recovery *recovery)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&recovery->clients, &place)) != NULL;)
        memory_free(entry->value);
    map_deinit(&recovery->clients);
}

static err replay_publish(struct engine *engine, const struct record *record, struct diag *diag)
{
    struct arena arena;
    struct schema *schema;
    struct schema_fault fault;
    struct migration plan;
    TRY(schema_build(record->def, engine->store.schema, &schema, &fault, diag));
    arena_init(&arena);
    err code = migration_plan(&arena, engine->store.schema, schema, &plan, diag);
    if (code == OK)
        code = store_migrate(&engine->store, schema, &plan, diag);
    arena_deinit(&arena);
    if (code != OK) {
        schema_free(schema);
        return code;
    }
    memcpy(engine->hash, record->hash, sizeof engine->hash);
    if (!engine->was_published)
        memcpy(engine->first_hash, record->hash, sizeof engine->first_hash);
    engine->was_published = true;
    return OK;
}

static err replay_reserve(struct engine *engine, const struct record *record, struct diag *diag)
{
    if (!store_restore_sequence(&engine->store, record->sequence_id, record->reserved))
        return diag_set(diag, ERR_CORRUPT, "a reservation for the unknown sequence %u", record->sequence_id);
    return OK;
}

static void remember_client(struct recovery *recovery, const struct record *record)
{
    const struct caller caller = { record->who, record->connection, record->client };
    memory_free(map_put(&recovery->clients, map_u64_key(&record->client), memory_copy(&caller, sizeof caller)));
    if (record->client > recovery->engine->last_client)
        recovery->engine->last_client = record->client;
}

static err replay_record(struct recovery *recovery, const struct record *record, struct diag *diag)
{
    struct engine *engine = recovery->engine;
    switch (record->kind) {
    case RECORD_PUBLISH: TRY(replay_publish(engine, record, diag)); break;
    case RECORD_RESERVE: return replay_reserve(engine, record, diag);
    case RECORD_CONNECT: remember_client(recovery, record); break;
    case RECORD_DISCONNECT: memory_free(map_remove(&recovery->clients, map_u64_key(&record->client))); break;
    case RECORD_CALL: break;
    }
    return delta_apply(&engine->store, record->delta, diag);
}

err recovery_replay(void *context, uint64_t offset, bytes bytes, struct diag *diag)
{
    struct recovery *recovery = context;
    struct record record;
    recovery->last_offset = offset;
    err code = record_decode(bytes, &record, diag);
    if (code == OK)
        code = replay_record(recovery, &record, diag);
    if (code != OK)
        diag_note(diag, "replaying the log at offset %llu: ", (unsigned long long)offset);
    return code;
}

void recovery_disconnect_leftovers(struct recovery *recovery)
{
    struct engine *engine = recovery->engine;
    uint32_t place = 0;
    engine->now_us = clock_wall_us();
    for (struct map_entry *entry; (entry = map_next(&recovery->clients, &place)) != NULL;) {
        struct diag diag;
        (void)call_run_lifecycle(engine, entry->value, LIFECYCLE_DISCONNECT, true, &diag);
    }
}
