#include "engine/publication.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/answer.h"
#include "engine/call.h"
#include "engine/clients.h"
#include "engine/derivations.h"
#include "engine/schedule.h"
#include "engine/subscription.h"
#include "engine/v1.h"
#include "schema/migration.h"

struct publication {
    struct module *module;
    struct diag *diag;
    err code;
    bool done;
};

void publication_bind(struct engine *engine, struct module *module)
{
    const struct schema *schema = engine->store.schema;
    map_deinit(&engine->reducers);
    map_init(&engine->reducers);
    for (uint32_t idx = 0; idx < schema->reducer_count; idx++)
        map_put(&engine->reducers, schema->reducers[idx].name, (void *)(uintptr_t)(idx + 1));
    module_bind(module, &engine->store);
    memcpy(engine->hash, module_hash(module), sizeof engine->hash);
    engine->module = module;
}

err publication_load(const struct engine *engine, struct module **module, struct diag *diag)
{
    struct record record;
    if (!engine->was_published)
        return diag_set(diag, ERR_NOT_FOUND, "no module has ever been published to it");
    TRY(record_decode(buf_bytes(&engine->publish), &record, diag));
    return module_load_kept(module, record.files, record.file_count, &engine->limits, module_log_say, NULL, diag);
}

static void end_subscription(void *context, struct subscriber *subscriber, uint32_t query_set_id, const struct diag *diag)
{
    subscription_tell_ended(context, subscriber, query_set_id, diag);
}

static void put_files(struct buf *out, const struct module *module)
{
    for (uint32_t idx = 0; idx < module_file_count(module); idx++) {
        buf_put_sized(out, module_file_name(module, idx));
        buf_put_sized(out, module_file_text(module, idx));
    }
}

static void log_reservations(struct engine *engine)
{
    const struct record *records = (const struct record *)engine->reservations.data;
    for (size_t idx = 0; idx < engine->reservations.size / sizeof *records; idx++)
        call_log(engine, &records[idx], NULL);
    buf_deinit(&engine->reservations);
}

/* The record of the open transaction, which holds what init did. */
static void commit_publication(struct engine *engine, const struct module *module)
{
    struct buf files = { 0 };
    put_files(&files, module);
    struct record record = { .kind = RECORD_PUBLISH,
                             .timestamp_us = engine->now_us,
                             .seed = engine->init_seed,
                             .who = engine->owner,
                             .def = module_def(module),
                             .file_count = module_file_count(module),
                             .files = buf_bytes(&files) };
    memcpy(record.hash, module_hash(module), sizeof record.hash);
    if (!engine->was_published)
        memcpy(engine->first_hash, record.hash, sizeof record.hash);
    engine->was_published = true;
    engine->publish_offset = wal_next_offset(engine->wal);
    call_commit(engine, &record, NULL, NULL, NULL);
    buf_clear(&engine->publish);
    record_encode(&engine->publish, &record, NULL);
    log_reservations(engine);
    buf_deinit(&files);
}

/* A database without its first module is empty: going back from a failed init is dropping all tables. */
static err run_init(struct engine *engine, struct module *module, struct diag *diag)
{
    const int32_t init = engine->store.schema->lifecycle[LIFECYCLE_INIT];
    if (init < 0)
        return OK;
    engine->init_seed = call_draw_seed(engine);
    const struct call_context context = { .sender = engine->owner,
                                          .timestamp_us = engine->now_us,
                                          .random_seed = engine->init_seed };
    const err code = module_call(module, engine->txn, &context, (uint32_t)init, bytes_of("", 0), diag);
    if (code == OK)
        return OK;
    txn_abort(engine->txn);
    buf_deinit(&engine->reservations);
    store_deinit(&engine->store);
    store_init(&engine->store);
    diag_note(diag, "init failed: ");
    return code;
}

static void log_steps(struct engine *engine, const struct migration *plan)
{
    for (uint32_t idx = 0; idx < plan->step_count; idx++) {
        struct buf text = { 0 };
        migration_step_print(&text, &plan->steps[idx]);
        module_log_system(engine->module_log, 2, "%.*s", BYTES_FORMAT(buf_bytes(&text)));
        buf_deinit(&text);
    }
}

/* From here on nothing can fail: the tables have their new shape. */
static void take_over(struct engine *engine, struct module *module, struct filters *filters, const struct migration *plan)
{
    struct derivations *before = engine->derivations;
    module_free(engine->module);
    publication_bind(engine, module);
    engine->derivations = derivations_new(engine, filters);
    subs_recompile(engine->subs, engine->store.schema, end_subscription, engine);
    v1_drop_ended(engine);
    schedule_rebuild(engine->schedule);
    if (plan->breaks_clients) {
        module_log_system(engine->module_log, 2, "Disconnecting all users");
        clients_close_all(engine, "the module's tables have changed: reconnect with new bindings");
    } else if (before != NULL) {
        call_publish(engine, derivations_difference(engine->derivations, before));
    }
    derivations_free(before);
}

/* The tables in their new shape, with all their rows; takes `schema` over then. */
static err migrate(struct engine *engine, struct module *module, struct schema *schema, struct arena *arena,
                   struct migration *plan, struct diag *diag)
{
    struct schema_fault fault;
    err code = migration_plan(arena, engine->store.schema, schema, plan, diag);
    if (code != OK) {
        module_explain(module, plan->faults, plan->fault_count, diag);
    } else {
        log_steps(engine, plan);
        code = store_migrate(&engine->store, schema, plan, &fault, diag);
        if (code != OK)
            module_explain(module, &fault, 1, diag);
    }
    if (code != OK)
        module_log_system(engine->module_log, 0, "Update refused: %s", diag->text);
    return code;
}

static err apply(struct engine *engine, struct module *module, struct arena *arena, struct diag *diag)
{
    struct schema *schema;
    struct schema_fault fault;
    struct migration plan;
    const bool is_first = engine->store.schema == NULL;
    if (schema_build(module_def(module), engine->store.schema, &schema, &fault, diag) != OK) {
        module_explain(module, &fault, 1, diag);
        return diag->code;
    }
    struct filters filters;
    if (filters_init(&filters, schema, &fault, diag) != OK) {
        module_explain(module, &fault, 1, diag);
        schema_free(schema);
        return diag->code;
    }
    err code = migrate(engine, module, schema, arena, &plan, diag);
    if (code != OK) {
        schema_free(schema);
        filters_deinit(&filters);
        return code;
    }
    module_bind(module, &engine->store);
    txn_begin(engine->txn);
    if (is_first && (code = run_init(engine, module, diag)) != OK) {
        filters_deinit(&filters);
        return code;
    }
    commit_publication(engine, module);
    take_over(engine, module, &filters, &plan);

    module_log_system(engine->module_log, 2, "%s", is_first ? "Database created" : "Database updated");
    diag_set(diag, OK, "%u table%s, %u reducer%s%s", schema->table_count, schema->table_count == 1 ? "" : "s",
             schema->reducer_count, schema->reducer_count == 1 ? "" : "s",
             plan.breaks_clients                ? "; clients were disconnected, since their tables changed"
             : plan.step_count > 0 && !is_first ? "; the schema was migrated"
                                                : "");
    return OK;
}

err publication_apply(struct engine *engine, struct module *module, struct diag *diag)
{
    if (engine->module != NULL && memcmp(engine->hash, module_hash(module), sizeof engine->hash) == 0) {
        module_free(module);
        diag_set(diag, OK, "unchanged");
        return OK;
    }
    struct arena arena;
    arena_init(&arena);
    engine->now_us = clock_wall_us();
    const err code = apply(engine, module, &arena, diag);
    arena_deinit(&arena);
    return code;
}

void publication_run(struct engine *engine)
{
    pthread_mutex_lock(&engine->publication_lock);
    struct publication *publication = engine->publication;
    engine->publication = NULL;
    pthread_mutex_unlock(&engine->publication_lock);
    if (publication == NULL)
        return;

    const err code = publication_apply(engine, publication->module, publication->diag);
    pthread_mutex_lock(&engine->publication_lock);
    publication->code = code;
    publication->done = true;
    pthread_cond_broadcast(&engine->publication_done);
    pthread_mutex_unlock(&engine->publication_lock);
}

bool engine_version_is_durable(const struct engine *engine)
{
    return wal_durable_offset(engine->wal) > engine->publish_offset;
}

err engine_publish(struct engine *engine, struct module *module, struct diag *diag)
{
    struct publication publication = { .module = module, .diag = diag };
    pthread_mutex_lock(&engine->publication_lock);
    engine->publication = &publication;
    pthread_mutex_unlock(&engine->publication_lock);
    if (engine->by_hand)
        (void)engine_step(engine, ENGINE_TURN);
    else
        port_interrupt(engine->port);
    pthread_mutex_lock(&engine->publication_lock);
    while (!publication.done)
        pthread_cond_wait(&engine->publication_done, &engine->publication_lock);
    pthread_mutex_unlock(&engine->publication_lock);
    if (publication.code != OK)
        module_free(module);
    return publication.code;
}
