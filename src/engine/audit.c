#include "engine/audit.h"

#include "engine/compare.h"
#include "engine/history.h"
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
    struct wal_reader *reader;
    uint64_t next;     /* the offset that comes next */
    struct diag fault; /* of the log, waiting to be said */
    uint32_t log_faults;
    bool is_stopped, has_met_live;
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
    struct audit *audit = context;
    if (!audit->options->progress(audit->options->context, audit->doing, done, all))
        audit->is_stopped = true;
    return !audit->is_stopped;
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

/* The replay has come to the moment of the view that a running database gave. */
static void meet_live(struct audit *audit)
{
    struct diag diag;
    audit->has_met_live = true;
    if (!audit->has_image)
        say(audit, true, "memory     cannot be compared: nothing whole leads to offset %" PRIu64, audit->next);
    else if (compare_frozen(audit->options->live, &audit->image, &diag) != OK)
        say(audit, true, "memory     is not what the log amounts to at offset %" PRIu64 ": %s", audit->next, diag.text);
    else
        say(audit, false, "memory     at offset %" PRIu64 " equals what the log amounts to", audit->next);
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
        uint64_t position;
        const char *path = wal_reader_place(audit->reader, &position);
        say(audit, true, "log        %s: the record at offset %" PRIu64 ", in the frame at byte %" PRIu64 ": %s", path,
            offset, position, diag.text);
        drop_image(audit);
    }
    audit->record_count++;
    audit->byte_count += content.size;
    if (audit->record_count % REPORT_EVERY == 0)
        tell_progress(audit, audit->record_count, 0);
}

/* What a fault has cost is known when the next record is: so it is said then. */
static void note_fault(struct audit *audit, const struct diag *diag)
{
    if (audit->fault.code != OK)
        say(audit, true, "log        %s", audit->fault.text);
    audit->fault = *diag;
    audit->log_faults++;
}

static void say_fault(struct audit *audit, uint64_t offset)
{
    if (offset > audit->next)
        say(audit, true, "log        %s; records %" PRIu64 " to %" PRIu64 " are lost", audit->fault.text, audit->next,
            offset - 1);
    else
        say(audit, true, "log        %s", audit->fault.text);
    audit->fault.code = OK;
}

static void come_to(struct audit *audit, uint64_t offset)
{
    if (audit->fault.code != OK)
        say_fault(audit, offset);
    if (offset != audit->next)
        drop_image(audit);
    audit->next = offset;
    if (find_whole(audit, offset) == offset)
        meet_snapshot(audit, offset);
    if (audit->options->live != NULL && audit->options->live_offset == offset)
        meet_live(audit);
}

/* Goes on behind a fault (R5); *found is false when there is nothing. A folder that cannot be listed, again and
 * again, ends it. */
static void read_on(struct audit *audit, bool *found)
{
    struct diag diag = { .code = OK }, before;
    do {
        before = diag;
        if (wal_reader_resume(audit->reader, found, &diag) == OK)
            return;
        note_fault(audit, &diag);
    } while (strcmp(before.text, diag.text) != 0);
    *found = false;
}

/* ERR_NOT_FOUND when the log's beginning was given up meanwhile (R4), ERR_BUSY when it is to stop. */
static err walk_log(struct audit *audit, struct diag *diag)
{
    bool found = true;
    read_on(audit, &found);
    while (found) {
        bytes content;
        uint64_t offset;
        const err code = wal_reader_next(audit->reader, &found, &offset, &content, diag);
        if (code == ERR_NOT_FOUND || audit->is_stopped)
            return code != OK ? code : ERR_BUSY;
        if (code != OK) {
            note_fault(audit, diag);
            read_on(audit, &found);
        } else if (found) {
            come_to(audit, offset);
            audit_record(audit, offset, content);
            audit->next = offset + 1;
        }
    }
    come_to(audit, audit->next);
    return OK;
}

static err read_log(struct audit *audit, uint64_t *first, struct diag *diag)
{
    const char *dir = history_log_dir(audit->history);
    drop_image(audit);
    audit->record_count = audit->byte_count = 0;
    err code = wal_reader_open_oldest(&audit->reader, audit->options->disk, dir, history_database_id(audit->history),
                                      diag);
    if (audit->reader == NULL)
        return code;
    if (code != OK)
        note_fault(audit, diag);
    *first = audit->next = wal_reader_offset(audit->reader);
    audit->has_image = *first == 0;
    code = walk_log(audit, diag);
    wal_reader_close(audit->reader);
    audit->reader = NULL;
    return code;
}

static void audit_log(struct audit *audit)
{
    struct diag diag;
    uint64_t first = 0, ahead;
    err code = ERR_NOT_FOUND;
    audit->doing = "replaying the log";
    for (int tries = 0; code == ERR_NOT_FOUND && tries < RETRIES_MAX; tries++)
        code = read_log(audit, &first, &diag);
    if (code != OK && code != ERR_BUSY)
        say(audit, true, "log        %s", diag.text);
    if (code != OK) {
        drop_image(audit);
        return;
    }
    if (audit->record_count > 0)
        say(audit, false, "log        offsets %" PRIu64 " to %" PRIu64 ", %.1f MB: %s", first, audit->next - 1,
            (double)audit->byte_count / 1e6, audit->log_faults == 0 ? "every record is whole" : "the rest is whole");
    else
        say(audit, false, "log        no records");
    if ((ahead = find_whole(audit, audit->next + 1)) != UINT64_MAX) /* M1 */
        say(audit, true, "snapshot   at offset %" PRIu64 " is ahead of the log, which ends at offset %" PRIu64, ahead,
            audit->next);
    if (audit->options->live != NULL && !audit->has_met_live)
        say(audit, true, "log        ends before offset %" PRIu64 ", up to which it was durable",
            audit->options->live_offset);
    if (!audit->has_image)
        say(audit, true, "replay     there is no whole snapshot that the log's end could be reached from");
}

static void tell_table(void *context, const char *text)
{
    say(context, true, "tables     %s", text);
}

static void audit_tables(struct audit *audit)
{
    const struct store *store = &audit->image.store;
    const uint32_t before = audit->faults;
    uint64_t rows = 0;
    for (uint32_t idx = 0; idx < store->table_count; idx++) {
        audit->doing = "checking indexes";
        tell_progress(audit, idx, store->table_count);
        rowref ref = ROWREF_NONE;
        while (table_inspect(store->tables[idx], &ref, UINT32_MAX, tell_table, audit)) {
        }
        rows += store->tables[idx]->pages.row_count;
    }
    say(audit, false, "tables     %" PRIu32 " with %" PRIu64 " rows%s", store->table_count, rows,
        audit->faults == before ? ": indexes, constraints and sequences hold" : "");
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
