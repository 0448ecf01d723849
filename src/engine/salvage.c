#include "engine/salvage.h"

#include "engine/history.h"
#include "engine/salvage_files.h"
#include "sats/bsatn.h"
#include "wal/folder.h"
#include "wal/reader.h"
#include "wal/segment.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { UNAPPLIED_SAID_MAX = 20 };

struct salvage {
    const struct salvage_options *options;
    struct salvage_result *result;
    struct history *history;
    struct wal_reader *reader;
    struct salvage_files files;
    struct image image;
    struct map marks; /* table id and bytes of a row -> u64 offset + 1 of the record that wrote it behind a loss */
    bool has_loss;    /* records are missing before the one at hand */
    uint64_t unapplied;
    struct diag identity_fault;
};

/* --- Telling --- */

static void say(struct salvage *salvage, bool is_loss, const char *format, ...) PRINTF_LIKE(3, 4);

static void say(struct salvage *salvage, bool is_loss, const char *format, ...)
{
    char line[2000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    salvage->result->losses += is_loss;
    salvage_files_report(&salvage->files, is_loss, line);
    salvage->options->say(salvage->options->context, is_loss, line);
}

/* --- Marks --- */

static bytes mark_key(struct buf *key, uint32_t table_id, bytes row)
{
    buf_clear(key);
    buf_put_u32(key, table_id);
    buf_put_bytes(key, row);
    return buf_bytes(key);
}

static void mark_row(struct salvage *salvage, const struct table *table, bytes row, uint64_t offset)
{
    struct buf key = { 0 };
    map_put(&salvage->marks, mark_key(&key, table->def->id, row), (void *)(uintptr_t)(offset + 1));
    buf_deinit(&key);
}

/* The offset that the mark names, plus 1; 0 when there is none. */
static uint64_t take_mark(struct salvage *salvage, const struct table *table, bytes row)
{
    struct buf key = { 0 };
    if (salvage->marks.count == 0)
        return 0;
    void *value = map_remove(&salvage->marks, mark_key(&key, table->def->id, row));
    buf_deinit(&key);
    return (uint64_t)(uintptr_t)value;
}

/* --- Rows behind a loss --- */

static void remove_row(struct salvage *salvage, struct table *table, rowref ref)
{
    struct diag ignored;
    struct buf row = { 0 };
    buf_put_bytes(&row, row_bytes(pages_row(&table->pages, ref)));
    (void)take_mark(salvage, table, buf_bytes(&row));
    (void)table_erase(table, buf_bytes(&row), &ignored);
    buf_deinit(&row);
}

/* The later record is right: what has its key must have gone in the loss. */
static void make_way(struct salvage *salvage, struct table *table, bytes row)
{
    for (uint32_t idx = 0; idx < table->index_count; idx++) {
        const struct index *index = table->indexes[idx];
        const rowref ref = index_def(index)->unique ? index_find_row(index, row.at) : ROWREF_NONE;
        if (ref != ROWREF_NONE)
            remove_row(salvage, table, ref);
    }
    const rowref ref = table_find_equal(table, row);
    if (ref != ROWREF_NONE)
        remove_row(salvage, table, ref);
}

static void apply_row(struct salvage *salvage, struct table *table, bytes row, bool is_delete, uint64_t offset)
{
    if (table->def->is_event || row.size > ROW_SIZE_MAX)
        return;
    if (!is_delete) {
        make_way(salvage, table, row);
        if (table_put(table, row))
            mark_row(salvage, table, row, offset);
        return;
    }
    const rowref ref = table_find_equal(table, row);
    if (ref != ROWREF_NONE)
        remove_row(salvage, table, ref);
}

static err apply_rows(struct salvage *salvage, const struct history_event *event, struct diag *diag)
{
    struct reader left;
    struct history_change change;
    uint32_t count;
    TRY(history_change_count(event, &left, &count, diag));
    for (uint32_t idx = 0; idx < count; idx++) {
        TRY(history_change_next(event, &left, &change, diag));
        struct table *table = store_find(&salvage->image.store, change.table->id);
        struct reader rows = reader_of(change.rows);
        for (uint32_t row = 0; reader_left(&rows) > 0; row++) {
            const size_t size = bsatn_size(change.table->row_type, rows.at);
            apply_row(salvage, table, reader_take(&rows, size), row < change.delete_count, event->offset);
        }
    }
    return OK;
}

static err apply_behind_loss(struct salvage *salvage, uint64_t offset, bytes content, struct diag *diag)
{
    struct history_event event = { .offset = offset };
    TRY(image_follow(&salvage->image, offset, content, &event.record, diag));
    event.schema = salvage->image.store.schema;
    return apply_rows(salvage, &event, diag);
}

/* --- Whose it is --- */

static bool find_owner_of_snapshots(struct salvage *salvage, uint8_t database_id[16])
{
    const struct snap_options *snaps = history_snaps(salvage->history);
    struct buf offsets = { 0 };
    struct snap_label label;
    struct diag ignored;
    bool found = false;
    (void)snap_offsets(snaps, &offsets, &ignored);
    for (size_t left = offsets.size / 8; !found && left > 0; left--)
        found = snap_peek(snaps, bytes_get_u64(offsets.data + (left - 1) * 8), &label, &ignored) == OK;
    if (found)
        memcpy(database_id, label.database_id, sizeof label.database_id);
    buf_deinit(&offsets);
    return found;
}

static bool segment_owner(struct salvage *salvage, uint64_t first_offset, uint8_t database_id[16])
{
    struct segment segment;
    struct segment_header header;
    struct diag ignored;
    bool present = false;
    if (segment_open(&segment, salvage->options->disk, history_log_dir(salvage->history), first_offset, false,
                     &ignored) != OK)
        return false;
    const bool is_read = segment_read_header(&segment, &header, &present, &ignored) == OK && present;
    segment_close(&segment);
    if (is_read)
        memcpy(database_id, header.database_id, sizeof header.database_id);
    return is_read;
}

static bool find_owner_of_log(struct salvage *salvage, uint8_t database_id[16])
{
    struct folder folder;
    struct diag ignored;
    bool found = false;
    if (folder_list(&folder, salvage->options->disk, history_log_dir(salvage->history), &ignored) != OK)
        return false;
    for (size_t left = folder.count; !found && left > 0; left--)
        found = segment_owner(salvage, folder.firsts[left - 1], database_id);
    folder_free(&folder);
    return found;
}

/* Without its identity a database is known by what its newest whole snapshot or segment says. */
static err find_owner(struct salvage *salvage, struct diag *diag)
{
    const struct salvage_options *options = salvage->options;
    uint8_t database_id[16] = { 0 };
    if (history_open(&salvage->history, options->disk, options->dir, diag) == OK)
        return OK;
    salvage->history = history_open_as(options->disk, options->dir, database_id);
    if (!find_owner_of_snapshots(salvage, database_id) && !find_owner_of_log(salvage, database_id))
        return diag->code;
    history_close(salvage->history);
    salvage->history = history_open_as(options->disk, options->dir, database_id);
    salvage->identity_fault = *diag;
    return OK;
}

/* --- The way to the newest state --- */

static void take_snapshot(struct salvage *salvage)
{
    const struct snap_options *snaps = history_snaps(salvage->history);
    struct buf offsets = { 0 };
    struct diag diag;
    if (snap_offsets(snaps, &offsets, &diag) != OK)
        say(salvage, true, "snapshots: %s", diag.text);
    for (size_t left = offsets.size / 8; left > 0; left--) {
        uint64_t offset;
        memcpy(&offset, offsets.data + (left - 1) * 8, sizeof offset);
        if (image_load(&salvage->image, snaps, offset, history_database_id(salvage->history), &diag) == OK) {
            say(salvage, false, "begun with the snapshot at offset %" PRIu64, offset);
            break;
        }
        say(salvage, true, "the snapshot at offset %" PRIu64 " is of no use: %s", offset, diag.text);
    }
    buf_deinit(&offsets);
}

static void say_missing(struct salvage *salvage, uint64_t from, uint64_t to)
{
    say(salvage, true, "records %" PRIu64 " to %" PRIu64 " are lost", from, to);
    salvage->has_loss = true;
}

static void take_record(struct salvage *salvage, uint64_t offset, bytes content)
{
    struct image *image = &salvage->image;
    struct diag diag;
    if (offset < image->next_offset) /* the snapshot has it */
        return;
    if (offset > image->next_offset)
        say_missing(salvage, image->next_offset, offset - 1);
    err code;
    if (salvage->has_loss)
        code = apply_behind_loss(salvage, offset, content, &diag);
    else
        code = image_apply(image, offset, content, &diag);
    if (code != OK && salvage->unapplied++ < UNAPPLIED_SAID_MAX)
        say(salvage, true, "the record at offset %" PRIu64 " cannot be applied in full: %s", offset, diag.text);
    if (code != OK)
        salvage->has_loss = true;
    image->next_offset = offset + 1;
}

static void read_on(struct salvage *salvage, bool *found)
{
    struct diag diag = { .code = OK }, before;
    do {
        before = diag;
        if (wal_reader_resume(salvage->reader, found, &diag) == OK)
            return;
        say(salvage, true, "the log: %s", diag.text);
    } while (strcmp(before.text, diag.text) != 0);
    *found = false;
}

static void take_log(struct salvage *salvage)
{
    struct diag diag;
    bool found = true;
    if (wal_reader_open_oldest(&salvage->reader, salvage->options->disk, history_log_dir(salvage->history),
                               history_database_id(salvage->history), &diag) != OK)
        say(salvage, true, "the log: %s", diag.text);
    if (salvage->reader == NULL)
        return;
    read_on(salvage, &found);
    while (found) {
        bytes content;
        uint64_t offset;
        if (wal_reader_next(salvage->reader, &found, &offset, &content, &diag) != OK) {
            say(salvage, true, "the log: %s", diag.text);
            read_on(salvage, &found);
        } else if (found) {
            take_record(salvage, offset, content);
        }
    }
    wal_reader_close(salvage->reader);
}

/* --- Writing it out --- */

static err write_table(struct salvage *salvage, const struct table *table, struct diag *diag)
{
    struct salvage_result *result = salvage->result;
    rowref ref = ROWREF_NONE;
    uint64_t rows = 0, marked = 0;
    TRY(salvage_files_table(&salvage->files, table->def->name, diag));
    for (const struct row *row; (row = pages_next(&table->pages, &ref)) != NULL; rows++) {
        const uint64_t mark = take_mark(salvage, table, row_bytes(row));
        marked += mark > 0;
        TRY(salvage_files_row(&salvage->files, table->def, row_bytes(row), mark, diag));
    }
    result->rows += rows;
    result->marked_rows += marked;
    say(salvage, false, "table %.*s: %" PRIu64 " %s, %" PRIu64 " of them written behind a loss",
        BYTES_FORMAT(table->def->name), rows, rows == 1 ? "row" : "rows", marked);
    return OK;
}

static err write_out(struct salvage *salvage, struct diag *diag)
{
    const struct image *image = &salvage->image;
    for (uint32_t idx = 0; idx < image->store.table_count; idx++)
        TRY(write_table(salvage, image->store.tables[idx], diag));
    if (!image->was_published) {
        say(salvage, true, "no module and no tables: neither a snapshot nor the record of a publication can be read");
        return OK;
    }
    struct record record;
    TRY(record_decode(buf_bytes(&image->publish), &record, diag));
    return salvage_files_module(&salvage->files, &record, diag);
}

static err salvage_all(struct salvage *salvage, struct diag *diag)
{
    const struct salvage_options *options = salvage->options;
    TRY(find_owner(salvage, diag));
    TRY(salvage_files_open(&salvage->files, options->out, diag));
    if (salvage->identity_fault.code != OK)
        say(salvage, true, "the database's identity: %s", salvage->identity_fault.text);
    take_snapshot(salvage);
    take_log(salvage);
    if (salvage->unapplied > UNAPPLIED_SAID_MAX)
        say(salvage, true, "%" PRIu64 " more records cannot be applied in full", salvage->unapplied - UNAPPLIED_SAID_MAX);
    say(salvage, false, "read up to offset %" PRIu64, salvage->image.next_offset);
    return write_out(salvage, diag);
}

err salvage_run(const struct salvage_options *options, struct salvage_result *result, struct diag *diag)
{
    struct salvage salvage = { .options = options, .result = result };
    *result = (struct salvage_result){ 0 };
    image_init(&salvage.image);
    map_init(&salvage.marks);
    err code = salvage_all(&salvage, diag);
    if (salvage_files_close(&salvage.files, code == OK ? diag : NULL) != OK && code == OK)
        code = diag->code;
    map_deinit(&salvage.marks);
    image_deinit(&salvage.image);
    history_close(salvage.history);
    return code;
}
