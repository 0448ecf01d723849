/* From a frozen view to a file. LMDB writes the content; then it is read once more for the sums of its blocks,
 * and the label is put behind it. */
#include "schema/schema_ids.h"
#include "snap/chunk.h"
#include "snap/content.h"
#include "snap/folder.h"
#include "snap/meta.h"
#include "snap/scratch.h"

#include <inttypes.h>

struct writing {
    const struct snap_options *options;
    struct frozen *frozen;
    const struct snap_head *head;
    char *path; /* owned: the temporary name */
    struct scratch scratch;
    struct content content;
    struct snap_label label;
    struct snap_order order;
    struct snap_inventory inventory;
    struct arena arena;
    struct buf value;
    uint64_t rows_done;
};

static uint64_t count_rows(const struct frozen *frozen)
{
    uint64_t count = 0;
    for (uint32_t place = 0; place < frozen_table_count(frozen); place++)
        count += frozen_row_count(frozen, place);
    return count;
}

static err report(struct writing *writing, struct diag *diag)
{
    const struct snap_options *options = writing->options;
    if (options->progress == NULL || options->progress(options->context, writing->rows_done, writing->label.row_count))
        return OK;
    return diag_set(diag, ERR_BUSY, "writing the snapshot was stopped");
}

/* Empties the value but for the room of its seal. */
static struct buf *value_begin(struct writing *writing)
{
    buf_clear(&writing->value);
    buf_put_u32(&writing->value, 0);
    return &writing->value;
}

static err put_table(struct writing *writing, uint32_t place, struct snap_extent *extent, struct diag *diag)
{
    extent->table_id = frozen_schema(writing->frozen)->tables[place].id;
    const uint64_t row_count = frozen_row_count(writing->frozen, place);
    rowref ref = ROWREF_NONE;
    while (extent->row_count < row_count) {
        const uint32_t count = chunk_fill(value_begin(writing), writing->frozen, place, &ref);
        check(count > 0); /* F1 */
        TRY(content_add_rows(&writing->content, extent->table_id, extent->chunk_count, &writing->value, diag));
        extent->chunk_count++;
        extent->row_count += count;
        writing->rows_done += count;
        TRY(report(writing, diag));
    }
    check(extent->row_count == row_count);
    return OK;
}

static err put_tables(struct writing *writing, struct diag *diag)
{
    struct snap_inventory *inventory = &writing->inventory;
    inventory->table_count = writing->order.count;
    inventory->tables = ARENA_ARRAY(&writing->arena, struct snap_extent, inventory->table_count);
    for (uint32_t idx = 0; idx < writing->order.count; idx++)
        TRY(put_table(writing, writing->order.places[idx], &inventory->tables[idx], diag));
    inventory->chunks_crc = writing->content.chunks_crc;
    return OK;
}

static err put_head(struct writing *writing, struct diag *diag)
{
    const struct snap_head *head = writing->head;
    struct snap_inventory *inventory = &writing->inventory;
    inventory->publish_offset = head->publish_offset;
    inventory->last_client = head->last_client;
    inventory->row_limit = head->row_limit;
    memcpy(inventory->first_hash, head->first_hash, sizeof inventory->first_hash);
    inventory_encode(value_begin(writing), inventory);
    return content_put(&writing->content, "head", &writing->value, diag);
}

static err put_schema(struct writing *writing, struct diag *diag)
{
    const struct schema *schema = writing->order.schema;
    struct buf *value = value_begin(writing);
    if (schema != NULL)
        buf_put_bytes(value, schema->def);
    TRY(content_put(&writing->content, "schema", value, diag));

    value = value_begin(writing);
    if (schema != NULL)
        schema_ids_encode(value, schema);
    return content_put(&writing->content, "ids", value, diag);
}

static err put_meta(struct writing *writing, struct diag *diag)
{
    TRY(put_head(writing, diag));
    TRY(put_schema(writing, diag));
    buf_put_bytes(value_begin(writing), writing->head->publish);
    TRY(content_put(&writing->content, "publish", &writing->value, diag));
    clients_encode(value_begin(writing), writing->head->clients, writing->head->client_count);
    TRY(content_put(&writing->content, "clients", &writing->value, diag));
    ticks_encode(value_begin(writing), writing->head->ticks, writing->head->tick_count);
    TRY(content_put(&writing->content, "ticks", &writing->value, diag));
    sequences_encode(value_begin(writing), writing->frozen);
    return content_put(&writing->content, "sequences", &writing->value, diag);
}

static err put_content(struct writing *writing, struct diag *diag)
{
    err code = content_create(&writing->content, scratch_path(&writing->scratch), writing->path, diag);
    if (code == OK)
        code = put_tables(writing, diag);
    if (code == OK)
        code = put_meta(writing, diag);
    if (code == OK)
        code = content_finish(&writing->content, &writing->label.content_size, diag);
    content_close(&writing->content);
    return code;
}

/* LMDB leaves out a last page that nothing uses; the size that it counts with is made true. */
static err seal_file(struct writing *writing, struct diag *diag)
{
    const struct disk *disk = writing->options->disk;
    struct disk_file *file;
    TRY(disk->open(disk->self, writing->path, true, &file, diag));
    err code = scratch_copy_out(&writing->scratch, disk, file, diag);
    if (code == OK)
        code = disk->truncate(disk->self, file, writing->label.content_size, diag);
    if (code == OK)
        code = label_append(disk, file, writing->path, &writing->label, diag);
    if (code == OK)
        code = disk->sync(disk->self, file, diag);
    disk->close(disk->self, file);
    return code;
}

/* What an earlier attempt left, or this one: LMDB would go on writing into it. */
static err clear_away(const struct writing *writing, struct diag *diag)
{
    const struct disk *disk = writing->options->disk;
    const err code = disk->remove(disk->self, writing->path, diag);
    return code == ERR_NOT_FOUND ? OK : code;
}

static err write_file(struct writing *writing, struct diag *diag)
{
    const struct disk *disk = writing->options->disk;
    TRY(disk->make_dir(disk->self, writing->options->dir, diag));
    TRY(clear_away(writing, diag));
    TRY(scratch_open(&writing->scratch, disk, writing->path, diag));
    TRY(put_content(writing, diag));
    return seal_file(writing, diag);
}

err snap_write(const struct snap_options *options, struct frozen *frozen, const struct snap_head *head,
               struct diag *diag)
{
    struct writing writing = {
        .options = options,
        .frozen = frozen,
        .head = head,
        .path = snap_new_path(options->dir, head->offset),
        .scratch = SCRATCH_NONE,
        .label = { .offset = head->offset, .timestamp_us = head->timestamp_us, .row_count = count_rows(frozen) },
    };
    memcpy(writing.label.database_id, head->database_id, sizeof head->database_id);
    arena_init(&writing.arena);
    buf_init(&writing.value);
    order_make(&writing.order, frozen_schema(frozen), &writing.arena);

    const err code = write_file(&writing, diag);
    scratch_close(&writing.scratch);
    struct diag ignored; /* what cannot be removed now is a leftover (M2) */
    if (code != OK)
        clear_away(&writing, &ignored);
    buf_deinit(&writing.value);
    arena_deinit(&writing.arena);
    memory_free(writing.path);
    return code;
}

static err relabel(const struct snap_options *options, struct disk_file *file, const char *path, uint64_t offset,
                   const uint8_t database_id[16], struct diag *diag)
{
    const struct disk *disk = options->disk;
    struct snap_label label;
    TRY(label_read(disk, file, path, &label, diag));
    if (label.offset != offset)
        return diag_set(diag, ERR_CORRUPT, "%s does not hold what its name says, but the snapshot at offset %" PRIu64, path,
                        label.offset);
    memcpy(label.database_id, database_id, sizeof label.database_id);
    TRY(label_replace(disk, file, &label, diag));
    return disk->sync(disk->self, file, diag);
}

err snap_relabel(const struct snap_options *options, uint64_t offset, const uint8_t database_id[16], struct diag *diag)
{
    const struct disk *disk = options->disk;
    struct disk_file *file;
    char *path = snap_new_path(options->dir, offset);
    err code = disk->open(disk->self, path, false, &file, diag);
    if (code == OK) {
        code = relabel(options, file, path, offset, database_id, diag);
        disk->close(disk->self, file);
    }
    memory_free(path);
    return code;
}
