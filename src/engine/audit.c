#include "engine/audit.h"

#include "engine/history.h"
#include "sats/json.h"
#include "wal/reader.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { REPORT_EVERY = 4096, RETRIES_MAX = 4 };

struct audit {
    const struct audit_options *options;
    struct history *history;
    uint32_t faults;
    struct buf whole;   /* offsets of the snapshots that are whole, ascending, u64 each */
    struct image image; /* what the log amounts to so far */
    bool has_image;
    const char *doing;
    uint64_t record_count, byte_count;
};

/* --- Telling --- */

static void say(struct audit *audit, bool is_fault, const char *format, ...) PRINTF_LIKE(3, 4);

static void say(struct audit *audit, bool is_fault, const char *format, ...)
{
    char line[2000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    audit->faults += is_fault;
    audit->options->say(audit->options->context, is_fault, line);
}

static bool tell_progress(void *context, uint64_t done, uint64_t all)
{
    const struct audit *audit = context;
    audit->options->progress(audit->options->context, audit->doing, done, all);
    return true;
}

/* --- Snapshots --- */

static err verify_snapshot(struct audit *audit, uint64_t offset, struct snap_label *label, struct diag *diag)
{
    const struct snap_options *snaps = history_snaps(audit->history);
    TRY(snap_peek(snaps, offset, label, diag));
    if (memcmp(label->database_id, history_database_id(audit->history), sizeof label->database_id) != 0)
        return diag_set(diag, ERR_IN_USE, "%s/%020" PRIu64 ".snap is the snapshot of another database", snaps->dir,
                        offset);
    return snap_verify(snaps, offset, diag);
}

static void audit_snapshot(struct audit *audit, uint64_t offset)
{
    struct diag diag;
    struct snap_label label;
    struct buf when = { 0 };
    const err code = verify_snapshot(audit, offset, &label, &diag);
    if (code == ERR_NOT_FOUND) { /* given up meanwhile */
        say(audit, false, "snapshot   at offset %" PRIu64 ": given up meanwhile", offset);
        return;
    }
    if (code != OK) {
        say(audit, true, "snapshot   at offset %" PRIu64 ": %s", offset, diag.text);
        return;
    }
    timestamp_print(&when, label.timestamp_us);
    say(audit, false, "snapshot   at offset %" PRIu64 ", of %.*s, %" PRIu64 " rows: whole", offset,
        BYTES_FORMAT(buf_bytes(&when)), label.row_count);
    buf_deinit(&when);
    buf_put_u64(&audit->whole, offset);
}

static void audit_snapshots(struct audit *audit)
{
    struct buf offsets = { 0 };
    struct diag diag;
    audit->doing = "reading snapshots";
    if (snap_offsets(history_snaps(audit->history), &offsets, &diag) != OK)
        say(audit, true, "snapshots  %s", diag.text);
    struct reader left = reader_of(buf_bytes(&offsets));
    while (reader_left(&left) > 0)
        audit_snapshot(audit, reader_get_u64(&left));
    buf_deinit(&offsets);
}

/* The first whole snapshot at or behind `offset`; UINT64_MAX when there is none. */
static uint64_t find_whole(const struct audit *audit, uint64_t offset)
{
    struct reader left = reader_of(buf_bytes(&audit->whole));
    while (reader_left(&left) > 0) {
        const uint64_t found = reader_get_u64(&left);
        if (found >= offset)
            return found;
    }
    return UINT64_MAX;
}

/* --- Whether two images say the same --- */

static err blame_row(const struct table_def *def, const char *which, bytes row, struct diag *diag)
{
    struct buf text = { 0 };
    json_print(&text, def->row_type, row, JSON_TYPED);
    diag_set(diag, ERR_CORRUPT, "table `%.*s` %s the row %.*s", BYTES_FORMAT(def->name), which,
             BYTES_FORMAT(buf_bytes(&text)));
    buf_deinit(&text);
    return ERR_CORRUPT;
}

/* Tables are sets (B1): when every row of each is in the other, they are equal. */
static err find_missing_row(const struct table *in, const struct table *from, const char *which, struct diag *diag)
{
    rowref ref = ROWREF_NONE;
    for (const struct row *row; (row = pages_next(&from->pages, &ref)) != NULL;)
        if (table_find_equal(in, row_bytes(row)) == ROWREF_NONE)
            return blame_row(from->def, which, row_bytes(row), diag);
    return OK;
}

static err compare_tables(const struct table *kept, const struct table *replayed, struct diag *diag)
{
    const struct table_def *def = replayed->def;
    if (kept->def->id != def->id || !table_has_shape(kept, def))
        return diag_set(diag, ERR_CORRUPT, "table `%.*s` has another shape", BYTES_FORMAT(def->name));
    TRY(find_missing_row(kept, replayed, "lacks", diag));
    TRY(find_missing_row(replayed, kept, "should not have", diag));
    for (uint32_t idx = 0; idx < def->sequence_count; idx++)
        if (kept->sequences[idx].reserved != replayed->sequences[idx].reserved)
            return diag_set(diag, ERR_CORRUPT, "the sequence `%.*s` of table `%.*s` stands at another value",
                            BYTES_FORMAT(def->sequences[idx].name), BYTES_FORMAT(def->name));
    return OK;
}

static err compare_clients(const struct image *kept, const struct image *replayed, struct diag *diag)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&replayed->clients, &place)) != NULL;) {
        const struct caller *one = entry->value, *other = map_find(&kept->clients, map_u64_key(&one->number));
        if (other == NULL || memcmp(&one->who, &other->who, sizeof one->who) != 0 ||
            memcmp(&one->connection, &other->connection, sizeof one->connection) != 0)
            return diag_set(diag, ERR_CORRUPT, "client %" PRIu64 ", who was connected, is not in it", one->number);
    }
    if (kept->clients.count != replayed->clients.count)
        return diag_set(diag, ERR_CORRUPT, "it has %" PRIu32 " clients, and %" PRIu32 " were connected",
                        kept->clients.count, replayed->clients.count);
    return OK;
}

static err compare_modules(const struct image *kept, const struct image *replayed, struct diag *diag)
{
    if (kept->publish_offset != replayed->publish_offset ||
        !bytes_equal(buf_bytes(&kept->publish), buf_bytes(&replayed->publish)) ||
        memcmp(kept->first_hash, replayed->first_hash, sizeof kept->first_hash) != 0)
        return diag_set(diag, ERR_CORRUPT, "it names another module than was in force");
    if (kept->store.table_count != replayed->store.table_count)
        return diag_set(diag, ERR_CORRUPT, "it has %" PRIu32 " tables, and %" PRIu32 " were there",
                        kept->store.table_count, replayed->store.table_count);
    return OK;
}

static err compare_images(const struct image *kept, const struct image *replayed, struct diag *diag)
{
    TRY(compare_modules(kept, replayed, diag));
    for (uint32_t idx = 0; idx < replayed->store.table_count; idx++)
        TRY(compare_tables(kept->store.tables[idx], replayed->store.tables[idx], diag));
    return compare_clients(kept, replayed, diag);
}

/* --- The log and what it amounts to --- */

static void drop_image(struct audit *audit)
{
    image_deinit(&audit->image);
    image_init(&audit->image);
    audit->has_image = false;
}

/* The snapshot's content takes the place of what was replayed up to it. */
static void take_image(struct audit *audit, struct image *kept)
{
    image_deinit(&audit->image);
    audit->image = *kept;
    audit->has_image = true;
}

/* The replay has come to a whole snapshot: they must agree, or the replay begins here. */
static void meet_snapshot(struct audit *audit, uint64_t offset)
{
    struct image kept;
    struct diag diag;
    image_init(&kept);
    audit->doing = "comparing snapshots";
    const err code =
        image_load(&kept, history_snaps(audit->history), offset, history_database_id(audit->history), &diag);
    audit->doing = "replaying the log";
    if (code == ERR_NOT_FOUND)
        return;
    if (code != OK) {
        say(audit, true, "snapshot   at offset %" PRIu64 ": %s", offset, diag.text);
        return;
    }
    if (!audit->has_image) {
        say(audit, false, "replay     from the snapshot at offset %" PRIu64, offset);
    } else if (compare_images(&kept, &audit->image, &diag) != OK) {
        say(audit, true, "snapshot   at offset %" PRIu64 " is not what the log amounts to there: %s", offset,
            diag.text);
    } else {
        say(audit, false, "replay     at offset %" PRIu64 " equals the snapshot", offset);
        image_deinit(&kept);
        return;
    }
    take_image(audit, &kept);
}

static const struct sequence *find_sequence(const struct store *store, uint32_t id)
{
    for (uint32_t idx = 0; idx < store->table_count; idx++)
        for (uint32_t place = 0; place < store->tables[idx]->sequence_count; place++)
            if (store->tables[idx]->sequences[place].def->id == id)
                return &store->tables[idx]->sequences[place];
    return NULL;
}

/* B2: a reservation never goes back. */
static err check_reservation(const struct image *image, const struct record *record, struct diag *diag)
{
    const struct sequence *sequence = find_sequence(&image->store, record->sequence_id);
    if (record->kind != RECORD_RESERVE || sequence == NULL) /* image_apply() refuses the unknown */
        return OK;
    const bool goes_on =
        sequence->def->increment > 0 ? record->reserved > sequence->reserved : record->reserved < sequence->reserved;
    return goes_on ? OK
                   : diag_set(diag, ERR_CORRUPT, "the sequence `%.*s` goes back to values that were handed out",
                              BYTES_FORMAT(sequence->def->name));
}

/* A record that cannot be applied ends the replay, until the next whole snapshot; reading goes on. */
static void audit_record(struct audit *audit, uint64_t offset, bytes content)
{
    struct record record;
    struct diag diag;
    err code = record_decode(content, &record, &diag);
    if (code == OK && audit->has_image)
        code = check_reservation(&audit->image, &record, &diag);
    if (code == OK && audit->has_image)
        code = image_apply(&audit->image, offset, content, &diag);
    if (code != OK) {
        say(audit, true, "log        the record at offset %" PRIu64 " in %s: %s", offset,
            history_log_dir(audit->history), diag.text);
        drop_image(audit);
    }
    audit->record_count++;
    audit->byte_count += content.size;
    if (audit->record_count % REPORT_EVERY == 0)
        tell_progress(audit, audit->record_count, 0);
}

static err walk_log(struct audit *audit, struct wal_reader *reader, uint64_t *next, struct diag *diag)
{
    for (;;) {
        bool found;
        bytes content;
        if (find_whole(audit, *next) == *next)
            meet_snapshot(audit, *next);
        TRY(wal_reader_next(reader, &found, next, &content, diag));
        if (!found)
            return OK;
        audit_record(audit, *next, content);
        ++*next;
    }
}

/* From the log's beginning to its end; *next is behind the last record that was read. */
static err read_log(struct audit *audit, uint64_t *first, uint64_t *next, struct diag *diag)
{
    struct wal_reader *reader;
    const char *dir = history_log_dir(audit->history);
    drop_image(audit);
    audit->record_count = audit->byte_count = 0;
    TRY(wal_reader_oldest(audit->options->disk, dir, first, diag));
    *next = *first;
    audit->has_image = *first == 0;
    TRY(wal_reader_open(&reader, audit->options->disk, dir, history_database_id(audit->history), *first, WAL_NO_LIMIT,
                        diag));
    const err code = walk_log(audit, reader, next, diag);
    wal_reader_close(reader);
    return code;
}

static void audit_log(struct audit *audit)
{
    struct diag diag;
    uint64_t first = 0, next = 0, ahead;
    err code = ERR_NOT_FOUND;
    audit->doing = "replaying the log";
    /* R4: its beginning may be given up meanwhile. */
    for (int tries = 0; code == ERR_NOT_FOUND && tries < RETRIES_MAX; tries++)
        code = read_log(audit, &first, &next, &diag);
    if (code != OK) {
        say(audit, true, "log        %s", diag.text);
        drop_image(audit);
        return;
    }
    if (audit->record_count > 0)
        say(audit, false, "log        offsets %" PRIu64 " to %" PRIu64 ", %.1f MB: every record is whole", first,
            next - 1, (double)audit->byte_count / 1e6);
    else
        say(audit, false, "log        no records");
    if ((ahead = find_whole(audit, next + 1)) != UINT64_MAX) /* M1 */
        say(audit, true, "snapshot   at offset %" PRIu64 " is ahead of the log, which ends at offset %" PRIu64, ahead,
            next);
    if (!audit->has_image)
        say(audit, true, "replay     there is no whole snapshot that the log's end could be reached from");
}

static void audit_tables(struct audit *audit)
{
    const struct store *store = &audit->image.store;
    uint64_t rows = 0;
    for (uint32_t idx = 0; idx < store->table_count; idx++) {
        audit->doing = "checking indexes";
        tell_progress(audit, idx, store->table_count);
        table_check(store->tables[idx]);
        rows += store->tables[idx]->pages.row_count;
    }
    say(audit, false, "tables     %" PRIu32 " with %" PRIu64 " rows: indexes, constraints and sequences hold",
        store->table_count, rows);
}

uint32_t audit_run(const struct audit_options *options)
{
    struct audit audit = { .options = options };
    struct diag diag;
    image_init(&audit.image);
    if (history_open(&audit.history, options->disk, options->dir, &diag) != OK) {
        say(&audit, true, "identity   %s", diag.text);
        return audit.faults;
    }
    history_set_progress(audit.history, tell_progress, &audit);
    say(&audit, false, "identity   %s/identity is whole", options->dir);
    audit_snapshots(&audit);
    audit_log(&audit);
    if (audit.has_image)
        audit_tables(&audit);
    image_deinit(&audit.image);
    buf_deinit(&audit.whole);
    history_close(audit.history);
    return audit.faults;
}
