/* From a file to a store, or to the certainty that it could be one. Verifying and loading are one walk: only where
 * the rows go differs. */
#include "schema/migration.h"
#include "schema/schema_ids.h"
#include "snap/chunk.h"
#include "snap/content.h"
#include "snap/folder.h"
#include "snap/mapped.h"
#include "snap/meta.h"
#include "snap/scratch.h"

#include <inttypes.h>

struct reading {
    const struct snap_options *options;
    struct store *store; /* NULL: nothing is kept */
    char *path;          /* owned */
    struct disk_file *file;
    struct snap_label label;
    struct scratch scratch;
    struct content content;
    struct schema *schema; /* owned until it is the store's */
    struct snap_order order;
    struct snap_inventory inventory;
    struct arena arena;
    uint64_t rows_done;
};

/* --- The file --- */

static err report(const struct reading *reading, struct diag *diag)
{
    const struct snap_options *options = reading->options;
    if (options->progress == NULL || options->progress(options->context, reading->rows_done, reading->label.row_count))
        return OK;
    return diag_set(diag, ERR_BUSY, "reading %s was stopped", reading->path);
}

static void reading_init(struct reading *reading, const struct snap_options *options, uint64_t offset)
{
    *reading = (struct reading){ .options = options, .scratch = SCRATCH_NONE };
    reading->path = snap_path(options->dir, offset);
    arena_init(&reading->arena);
}

static void reading_deinit(struct reading *reading)
{
    content_close(&reading->content);
    scratch_close(&reading->scratch);
    reading->options->disk->close(reading->options->disk->self, reading->file);
    schema_free(reading->schema);
    arena_deinit(&reading->arena);
    memory_free(reading->path);
}

static err read_label(struct reading *reading, uint64_t offset, struct diag *diag)
{
    const struct disk *disk = reading->options->disk;
    TRY(disk->open(disk->self, reading->path, false, &reading->file, diag));
    TRY(label_read(disk, reading->file, reading->path, &reading->label, diag));
    if (reading->label.offset != offset)
        return diag_set(diag, ERR_CORRUPT, "%s does not hold what its name says, but the snapshot at offset %" PRIu64,
                        reading->path, reading->label.offset);
    return OK;
}

static err piece_found(void *context, uint64_t position, bytes piece, struct diag *diag)
{
    const struct reading *reading = context;
    TRY(scratch_copy_in(&reading->scratch, position, piece, diag));
    return report(reading, diag);
}

/* M4: LMDB comes after the last block. */
static err check_blocks(struct reading *reading, struct diag *diag)
{
    const struct disk *disk = reading->options->disk;
    TRY(scratch_open(&reading->scratch, disk, reading->path, diag));
    return label_check(disk, reading->file, reading->path, &reading->label, piece_found, reading, diag);
}

/* --- The values --- */

static err blame_value(const struct reading *reading, const char *key, struct diag *diag)
{
    diag_note(diag, "%s is damaged: its value `%s`: ", reading->path, key);
    return diag->code = ERR_CORRUPT;
}

static err read_schema(struct reading *reading, struct diag *diag)
{
    bytes def, ids;
    TRY(content_get(&reading->content, "schema", &def, diag));
    TRY(content_get(&reading->content, "ids", &ids, diag));
    if (def.size > 0 && schema_restore(def, ids, &reading->schema, diag) != OK)
        return blame_value(reading, "schema", diag);
    order_make(&reading->order, reading->schema, &reading->arena);
    return OK;
}

static err read_inventory(struct reading *reading, struct diag *diag)
{
    bytes value;
    TRY(content_get(&reading->content, "head", &value, diag));
    if (inventory_decode(value, &reading->arena, &reading->inventory, diag) != OK)
        return blame_value(reading, "head", diag);
    if (!inventory_fits(&reading->inventory, &reading->order, reading->label.row_count))
        return diag_set(diag, ERR_CORRUPT, "%s is damaged: it does not hold the tables of its schema", reading->path);
    return OK;
}

static err read_clients(struct reading *reading, struct snap_head *head, struct arena *storage, struct diag *diag)
{
    bytes value;
    TRY(content_get(&reading->content, "clients", &value, diag));
    return clients_decode(value, storage, head, diag) == OK ? OK : blame_value(reading, "clients", diag);
}

static err read_ticks(struct reading *reading, struct snap_head *head, struct arena *storage, struct diag *diag)
{
    bytes value;
    TRY(content_get(&reading->content, "ticks", &value, diag));
    return ticks_decode(value, storage, head, diag) == OK ? OK : blame_value(reading, "ticks", diag);
}

static err read_sequences(struct reading *reading, struct diag *diag)
{
    bytes value;
    TRY(content_get(&reading->content, "sequences", &value, diag));
    const err code = sequences_decode(value, reading->order.schema, reading->store, diag);
    return code == OK ? OK : blame_value(reading, "sequences", diag);
}

/* --- The rows --- */

static err read_chunk(struct reading *reading, uint32_t idx, uint32_t chunk, uint64_t *rows, struct diag *diag)
{
    const struct table_def *def = order_table(&reading->order, idx);
    struct table *table = reading->store != NULL ? reading->store->tables[reading->order.places[idx]] : NULL;
    bytes value;
    uint32_t count;
    err code = content_next_rows(&reading->content, def->id, chunk, &value, diag);
    if (code == OK)
        code = chunk_load(value, def, table, &count, diag);
    if (code != OK) {
        diag_note(diag, "%s is damaged: chunk %" PRIu32 " of table `%.*s`: ", reading->path, chunk,
                  BYTES_FORMAT(def->name));
        return code;
    }
    *rows += count;
    reading->rows_done += count;
    return report(reading, diag);
}

static err read_table(struct reading *reading, uint32_t idx, struct diag *diag)
{
    const struct snap_extent *extent = &reading->inventory.tables[idx];
    uint64_t rows = 0;
    for (uint32_t chunk = 0; chunk < extent->chunk_count; chunk++)
        TRY(read_chunk(reading, idx, chunk, &rows, diag));
    if (rows != extent->row_count)
        return diag_set(diag, ERR_CORRUPT,
                        "%s is damaged: table `%.*s` has %" PRIu64 " rows there and should have %" PRIu64,
                        reading->path, BYTES_FORMAT(order_table(&reading->order, idx)->name), rows, extent->row_count);
    return OK;
}

static err read_rows(struct reading *reading, struct diag *diag)
{
    for (uint32_t idx = 0; idx < reading->order.count; idx++)
        TRY(read_table(reading, idx, diag));
    if (!content_at_end(&reading->content))
        return diag_set(diag, ERR_CORRUPT, "%s is damaged: it has rows that belong to no table", reading->path);
    if (reading->content.chunks_crc != reading->inventory.chunks_crc)
        return diag_set(diag, ERR_CORRUPT, "%s is damaged: its chunks are not those that were written", reading->path);
    return OK;
}

/* --- Verifying --- */

static err verify_content(void *context, struct diag *diag)
{
    struct reading *reading = context;
    struct snap_head head;
    bytes publish;
    TRY(content_open(&reading->content, scratch_path(&reading->scratch), reading->path, diag));
    TRY(read_schema(reading, diag));
    TRY(read_inventory(reading, diag));
    TRY(read_clients(reading, &head, &reading->arena, diag));
    TRY(read_ticks(reading, &head, &reading->arena, diag));
    TRY(content_get(&reading->content, "publish", &publish, diag));
    TRY(read_sequences(reading, diag));
    return read_rows(reading, diag);
}

static err read_all(struct reading *reading, uint64_t offset, struct diag *diag)
{
    TRY(read_label(reading, offset, diag));
    TRY(check_blocks(reading, diag));
    return mapped_read(verify_content, reading, reading->path, diag);
}

err snap_verify(const struct snap_options *options, uint64_t offset, struct diag *diag)
{
    struct reading reading;
    reading_init(&reading, options, offset);
    const err code = read_all(&reading, offset, diag);
    reading_deinit(&reading);
    return code;
}

err snap_peek(const struct snap_options *options, uint64_t offset, struct snap_label *label, struct diag *diag)
{
    struct reading reading;
    reading_init(&reading, options, offset);
    const err code = read_label(&reading, offset, diag);
    *label = reading.label;
    reading_deinit(&reading);
    return code;
}

/* --- Loading --- */

static err check_owner(const struct reading *reading, const uint8_t database_id[16], struct diag *diag)
{
    if (memcmp(reading->label.database_id, database_id, sizeof reading->label.database_id) == 0)
        return OK;
    return diag_set(diag, ERR_IN_USE, "%s is the snapshot of another database", reading->path);
}

/* An empty store takes any schema. */
static err take_schema(struct reading *reading, struct store *store, struct diag *diag)
{
    reading->store = store;
    if (reading->schema == NULL)
        return OK;
    struct migration plan;
    TRY(migration_plan(&reading->arena, NULL, reading->schema, &plan, diag));
    TRY(store_migrate(store, reading->schema, &plan, NULL, diag));
    reading->schema = NULL;
    return OK;
}

static err take_head(struct reading *reading, struct snap_head *head, struct arena *storage, struct diag *diag)
{
    const struct snap_inventory *inventory = &reading->inventory;
    *head = (struct snap_head){
        .offset = reading->label.offset,
        .timestamp_us = reading->label.timestamp_us,
        .publish_offset = inventory->publish_offset,
        .last_client = inventory->last_client,
        .row_limit = inventory->row_limit,
    };
    memcpy(head->database_id, reading->label.database_id, sizeof head->database_id);
    memcpy(head->first_hash, inventory->first_hash, sizeof head->first_hash);
    bytes publish;
    TRY(content_get(&reading->content, "publish", &publish, diag));
    head->publish = arena_copy(storage, publish);
    TRY(read_clients(reading, head, storage, diag));
    return read_ticks(reading, head, storage, diag);
}

/* Where what is loaded goes. */
struct loading {
    struct reading reading;
    struct store *store; /* NULL: the head alone */
    struct snap_head *head;
    struct arena *storage;
};

static err load_content(void *context, struct diag *diag)
{
    struct loading *loading = context;
    struct reading *reading = &loading->reading;
    TRY(content_open(&reading->content, scratch_path(&reading->scratch), reading->path, diag));
    TRY(read_schema(reading, diag));
    TRY(read_inventory(reading, diag));
    TRY(take_head(reading, loading->head, loading->storage, diag));
    if (loading->store == NULL)
        return OK;
    TRY(take_schema(reading, loading->store, diag));
    TRY(read_sequences(reading, diag));
    return read_rows(reading, diag);
}

static err load_all(struct loading *loading, uint64_t offset, const uint8_t database_id[16], struct diag *diag)
{
    struct reading *reading = &loading->reading;
    TRY(read_label(reading, offset, diag));
    TRY(check_owner(reading, database_id, diag));
    TRY(check_blocks(reading, diag));
    return mapped_read(load_content, loading, reading->path, diag);
}

err snap_load(const struct snap_options *options, uint64_t offset, const uint8_t database_id[16], struct store *store,
              struct snap_head *head, struct arena *storage, struct diag *diag)
{
    check(store->schema == NULL && store->table_count == 0);
    struct loading loading = { .store = store, .head = head, .storage = storage };
    reading_init(&loading.reading, options, offset);
    const err code = load_all(&loading, offset, database_id, diag);
    if (code != OK)
        store_deinit(store);
    reading_deinit(&loading.reading);
    return code;
}

err snap_load_head(const struct snap_options *options, uint64_t offset, const uint8_t database_id[16],
                   struct schema **schema, struct snap_head *head, struct arena *storage, struct diag *diag)
{
    struct loading loading = { .head = head, .storage = storage };
    reading_init(&loading.reading, options, offset);
    const err code = load_all(&loading, offset, database_id, diag);
    *schema = NULL;
    if (code == OK) {
        *schema = loading.reading.schema;
        loading.reading.schema = NULL;
    }
    reading_deinit(&loading.reading);
    return code;
}
