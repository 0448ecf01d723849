#include "engine/history.h"

#include "base/text.h"
#include "engine/founding.h"
#include "engine/swap.h"
#include "engine/time_index.h"
#include "sats/bsatn.h"
#include "wal/reader.h"

#include <inttypes.h>

enum { PROGRESS_EVERY = 1024 };

struct history {
    const struct disk *disk;
    char *log_dir, *snap_dir; /* owned */
    identity database;
    struct snap_options snaps;
    uint64_t limit;            /* of the log */
    struct wal_reader *reader; /* after history_seek() */
    struct schema *schema;     /* in force; one holder */
    uint8_t hash[32];
    uint64_t publish_offset;
    struct map clients;     /* number -> struct caller *, owned */
    struct caller *leaving; /* owned: disconnected by the event at hand */
    struct caller owner;    /* who published or undid: without a connection */
};

/* --- Opening --- */

static char *path_join(const char *dir, const char *name)
{
    struct buf path = { 0 };
    buf_put_format(&path, "%s/%s", dir, name);
    buf_put_u8(&path, '\0');
    return (char *)path.data;
}

static err read_identity(struct history *history, const char *dir, struct diag *diag)
{
    const err code = founding_read_identity(history->disk, dir, &history->database, diag);
    return code == ERR_NOT_FOUND ? diag_set(diag, code, "there is no database in %s", dir) : code;
}

static struct history *history_new(const struct disk *disk, const char *dir)
{
    struct history *made = memory_new(sizeof *made);
    made->disk = disk;
    made->limit = WAL_NO_LIMIT;
    made->log_dir = path_join(dir, "log");
    made->snap_dir = path_join(dir, "snapshots");
    made->snaps = (struct snap_options){ .disk = disk, .dir = made->snap_dir };
    map_init(&made->clients);
    return made;
}

struct history *history_open_as(const struct disk *disk, const char *dir, const uint8_t database_id[16])
{
    struct history *made = history_new(disk, dir);
    memcpy(made->database.at, database_id, 16);
    return made;
}

err history_open(struct history **history, const struct disk *disk, const char *dir, struct diag *diag)
{
    struct history *made = history_new(disk, dir);
    *history = NULL;
    err code = swap_refuse_pending(disk, dir, diag);
    if (code == OK)
        code = read_identity(made, dir, diag);
    if (code == OK)
        *history = made;
    else
        history_close(made);
    return code;
}

static void forget(struct history *history)
{
    uint32_t place = 0;
    for (struct map_entry *entry; (entry = map_next(&history->clients, &place)) != NULL;)
        memory_free(entry->value);
    map_deinit(&history->clients);
    memory_free(history->leaving);
    history->leaving = NULL;
    schema_free(history->schema);
    history->schema = NULL;
    wal_reader_close(history->reader);
    history->reader = NULL;
}

void history_close(struct history *history)
{
    if (history == NULL)
        return;
    forget(history);
    memory_free(history->log_dir);
    memory_free(history->snap_dir);
    memory_free(history);
}

const identity *history_database(const struct history *history)
{
    return &history->database;
}

const uint8_t *history_database_id(const struct history *history)
{
    return history->database.at;
}

const char *history_log_dir(const struct history *history)
{
    return history->log_dir;
}

const struct snap_options *history_snaps(const struct history *history)
{
    return &history->snaps;
}

void history_set_limit(struct history *history, uint64_t limit)
{
    history->limit = limit;
}

void history_set_progress(struct history *history, bool (*progress)(void *, uint64_t, uint64_t), void *context)
{
    history->snaps.progress = progress;
    history->snaps.context = context;
}

/* --- What is kept --- */

static err open_reader(const struct history *history, uint64_t from, struct wal_reader **reader, struct diag *diag)
{
    return wal_reader_open(reader, history->disk, history->log_dir, history->database.at, from, history->limit, diag);
}

static err read_first_time(const struct history *history, int64_t *time_us, struct diag *diag)
{
    struct wal_reader *reader;
    struct record record;
    bool found;
    uint64_t offset;
    bytes content;
    TRY(open_reader(history, 0, &reader, diag));
    err code = wal_reader_next(reader, &found, &offset, &content, diag);
    if (code == OK && !found)
        code = diag_set(diag, ERR_NOT_FOUND, "nothing has happened yet: the log is empty");
    else if (code == OK)
        code = record_decode(content, &record, diag);
    if (code == OK)
        *time_us = record.timestamp_us;
    wal_reader_close(reader);
    return code;
}

/* The oldest snapshot that says what it is. */
static err find_oldest_snapshot(const struct history *history, uint64_t *offset, int64_t *time_us, struct diag *diag)
{
    struct buf offsets = { 0 };
    struct snap_label label;
    err code = snap_offsets(&history->snaps, &offsets, diag);
    if (code == OK)
        code =
            diag_set(diag, ERR_NOT_FOUND,
                     "nothing is kept that the past could be read from: there is no snapshot in %s", history->snap_dir);
    struct reader left = reader_of(buf_bytes(&offsets));
    while ((code == ERR_NOT_FOUND || code == ERR_CORRUPT) && reader_left(&left) > 0) {
        *offset = reader_get_u64(&left);
        code = snap_peek(&history->snaps, *offset, &label, diag);
    }
    if (code == OK)
        *time_us = label.timestamp_us;
    buf_deinit(&offsets);
    return code;
}

err history_begin(struct history *history, uint64_t *offset, int64_t *time_us, struct diag *diag)
{
    TRY(wal_reader_oldest(history->disk, history->log_dir, offset, diag));
    if (*offset == 0)
        return read_first_time(history, time_us, diag);
    return find_oldest_snapshot(history, offset, time_us, diag);
}

/* H2. */
static err refuse_outside(struct history *history, struct diag *diag)
{
    uint64_t offset;
    int64_t time_us;
    struct buf when = { 0 };
    TRY(history_begin(history, &offset, &time_us, diag));
    timestamp_print(&when, time_us);
    diag_set(diag, ERR_NOT_FOUND, "the past is kept from offset %" PRIu64 " (%.*s) on", offset,
             BYTES_FORMAT(buf_bytes(&when)));
    buf_deinit(&when);
    return ERR_NOT_FOUND;
}

typedef err image_load_fn(struct image *image, const struct snap_options *snap, uint64_t offset,
                          const uint8_t database_id[16], struct diag *diag);

/* Fills an empty image from the newest snapshot that is whole and not behind the record at `before`, or leaves it
 * empty where the log itself begins with the first record (H1, H3). */
static err load_begin(struct history *history, uint64_t before, image_load_fn *load, struct image *image,
                      struct diag *diag)
{
    struct buf offsets = { 0 };
    struct diag damage = { .code = OK };
    uint64_t log_begin;
    bool is_loaded = false;
    err code = wal_reader_oldest(history->disk, history->log_dir, &log_begin, diag);
    if (code == OK)
        code = snap_offsets(&history->snaps, &offsets, diag);
    for (size_t left = offsets.size / 8; code == OK && !is_loaded && left > 0; left--) {
        const uint64_t offset = bytes_get_u64(offsets.data + (left - 1) * 8);
        if (offset > before)
            continue;
        code = load(image, &history->snaps, offset, history->database.at, diag);
        is_loaded = code == OK;
        if (code == ERR_CORRUPT)
            damage = *diag;
        if (code == ERR_CORRUPT || code == ERR_NOT_FOUND)
            code = OK;
    }
    buf_deinit(&offsets);
    if (code != OK || is_loaded || log_begin == 0)
        return code;
    if (damage.code != OK)
        return diag_set(diag, damage.code, "%s", damage.text);
    return refuse_outside(history, diag);
}

/* Before the record at `offset`: whoever listens may stop the reading. */
static err tell_progress(const struct history *history, uint64_t offset, struct diag *diag)
{
    const struct snap_options *snaps = &history->snaps;
    if (offset % PROGRESS_EVERY != 0 || snaps->progress == NULL || snaps->progress(snaps->context, offset, 0))
        return OK;
    return diag_set(diag, ERR_BUSY, "reading the past was stopped");
}

/* --- Record by record --- */

/* Of the image only what explains records is kept. */
static void begin_from(struct history *history, struct image *image)
{
    history->schema = schema_ref(image->store.schema);
    memcpy(history->hash, image->hash, sizeof history->hash);
    history->publish_offset = image->publish_offset;
    history->clients = image->clients;
    map_init(&image->clients);
}

err history_seek(struct history *history, uint64_t offset, struct diag *diag)
{
    struct image image;
    forget(history);
    image_init(&image);
    err code = load_begin(history, offset, image_load_head, &image, diag);
    if (code == OK)
        code = open_reader(history, image.next_offset, &history->reader, diag);
    if (code == OK)
        begin_from(history, &image);
    bool found = true;
    struct history_event event = { 0 };
    for (uint64_t next = image.next_offset; code == OK && next < offset; next++) {
        code = history_next(history, &found, &event, diag);
        if (code == OK && !found)
            code = diag_set(diag, ERR_NOT_FOUND, "the log ends at offset %" PRIu64, next);
    }
    image_deinit(&image);
    return code;
}

static err follow_publish(struct history *history, uint64_t offset, const struct record *record, struct diag *diag)
{
    struct schema *schema;
    TRY(schema_build(record->def, history->schema, &schema, NULL, diag));
    schema_free(history->schema);
    history->schema = schema;
    memcpy(history->hash, record->hash, sizeof history->hash);
    history->publish_offset = offset;
    return OK;
}

static void follow_connect(struct history *history, const struct record *record)
{
    const struct caller caller = { record->who, record->connection, record->client };
    memory_free(map_put(&history->clients, map_u64_key(&record->client), memory_copy(&caller, sizeof caller)));
}

static const struct caller *find_caller(struct history *history, const struct record *record)
{
    switch (record->kind) {
    case RECORD_PUBLISH:
    case RECORD_UNDO: history->owner.who = record->who; return &history->owner;
    case RECORD_DISCONNECT:
        return history->leaving = map_remove(&history->clients, map_u64_key(&record->client));
    default: return map_find(&history->clients, map_u64_key(&record->client));
    }
}

/* Keeps up with what explains the records behind this one. */
static err follow(struct history *history, struct history_event *event, struct diag *diag)
{
    const struct record *record = &event->record;
    if (record->kind == RECORD_PUBLISH)
        TRY(follow_publish(history, event->offset, record, diag));
    if (record->kind == RECORD_CONNECT)
        follow_connect(history, record);
    event->caller = find_caller(history, record);
    return OK;
}

err history_next(struct history *history, bool *found, struct history_event *event, struct diag *diag)
{
    bytes content;
    uint64_t offset;
    check(history->reader != NULL);
    memory_free(history->leaving);
    history->leaving = NULL;
    const err code = wal_reader_next(history->reader, found, &offset, &content, diag);
    if (code == ERR_NOT_FOUND)
        return refuse_outside(history, diag);
    if (code != OK || !*found)
        return code;
    *event = (struct history_event){ .offset = offset };
    if (record_decode(content, &event->record, diag) != OK || follow(history, event, diag) != OK)
        return diag_note(diag, "the log's record at offset %" PRIu64 ": ", offset);
    event->schema = history->schema;
    event->hash = history->hash;
    event->publish_offset = history->publish_offset;
    return tell_progress(history, offset, diag);
}

bytes history_event_name(const struct history_event *event)
{
    const struct record *record = &event->record;
    if (record->kind == RECORD_CALL && event->schema != NULL && record->reducer < event->schema->reducer_count)
        return event->schema->reducers[record->reducer].name;
    return bytes_of_text(record_kind_name(record->kind));
}

/* --- What a record changed --- */

static const struct table_def *find_table(const struct schema *schema, uint32_t id)
{
    for (uint32_t idx = 0; schema != NULL && idx < schema->table_count; idx++)
        if (schema->tables[idx].id == id)
            return &schema->tables[idx];
    return NULL;
}

err history_change_count(const struct history_event *event, struct reader *left, uint32_t *count, struct diag *diag)
{
    *left = reader_of(event->record.delta);
    *count = event->record.kind == RECORD_RESERVE ? 0 : reader_get_u32(left);
    if (left->failed)
        return diag_set(diag, ERR_CORRUPT, "the log's record at offset %" PRIu64 " ends before its changes",
                        event->offset);
    return OK;
}

err history_change_next(const struct history_event *event, struct reader *left, struct history_change *change,
                        struct diag *diag)
{
    const uint32_t table_id = reader_get_u32(left);
    change->delete_count = reader_get_u32(left);
    change->insert_count = reader_get_u32(left);
    change->table = find_table(event->schema, table_id);
    if (left->failed || change->table == NULL)
        return diag_set(diag, ERR_CORRUPT, "the log's record at offset %" PRIu64 " changes the unknown table %" PRIu32,
                        event->offset, table_id);
    const struct type *type = change->table->row_type;
    const uint8_t *begin = left->at;
    const uint64_t count = (uint64_t)change->delete_count + change->insert_count;
    if (type->min_size == 0 && count > 2) /* rows of no bytes are all equal */
        return diag_set(diag, ERR_CORRUPT, "the log's record at offset %" PRIu64 " counts too many empty rows",
                        event->offset);
    for (uint64_t idx = 0; idx < count; idx++) {
        size_t used;
        if (bsatn_check(type, bytes_of(left->at, reader_left(left)), &used, diag) != OK) {
            diag_note(diag, "the log's record at offset %" PRIu64 ": ", event->offset);
            return diag->code = ERR_CORRUPT;
        }
        reader_take(left, used);
    }
    change->rows = bytes_of(begin, (size_t)(left->at - begin));
    return OK;
}

/* --- Moments --- */

err history_find(struct history *history, const struct moment *moment, uint64_t *before, struct diag *diag)
{
    const struct time_index index = { history->disk, history->log_dir, history->database.at, &history->snaps,
                                      history->limit };
    uint64_t begin;
    int64_t begin_us;
    if (!moment->is_time) {
        *before = moment->offset < UINT64_MAX ? moment->offset + 1 : moment->offset;
        return OK;
    }
    TRY(history_begin(history, &begin, &begin_us, diag));
    if (moment->time_us < begin_us)
        return refuse_outside(history, diag);
    const err code = time_index_find(&index, moment->time_us, before, diag);
    return code == ERR_NOT_FOUND ? refuse_outside(history, diag) : code;
}

err history_find_since(struct history *history, int64_t time_us, uint64_t *offset, struct diag *diag)
{
    int64_t begin_us;
    TRY(history_begin(history, offset, &begin_us, diag));
    if (time_us <= begin_us)
        return *offset == 0 ? OK : refuse_outside(history, diag);
    const struct moment before = { .is_time = true, .time_us = time_us - 1 };
    return history_find(history, &before, offset, diag);
}

static err refuse_future(uint64_t end, struct diag *diag)
{
    if (end == 0)
        return diag_set(diag, ERR_NOT_FOUND, "nothing has happened yet: the log is empty");
    return diag_set(diag, ERR_NOT_FOUND, "the log ends with offset %" PRIu64, end - 1);
}

static err replay_until(const struct history *history, struct wal_reader *reader, uint64_t before, struct image *image,
                        struct diag *diag)
{
    while (image->next_offset < before) {
        bool found;
        uint64_t offset;
        bytes content;
        TRY(tell_progress(history, image->next_offset, diag));
        TRY(wal_reader_next(reader, &found, &offset, &content, diag));
        if (!found)
            return refuse_future(image->next_offset, diag);
        TRY(image_apply(image, offset, content, diag));
    }
    return OK;
}

/* H2: whether what the image needs next was given up while it was made. */
static bool is_given_up(const struct history *history, const struct image *image)
{
    uint64_t oldest;
    struct diag unread;
    return wal_reader_oldest(history->disk, history->log_dir, &oldest, &unread) == OK && oldest > image->next_offset;
}

static err find_image(struct history *history, uint64_t before, struct image *image, struct diag *diag)
{
    struct wal_reader *reader;
    TRY(load_begin(history, before, image_load, image, diag));
    err code = open_reader(history, image->next_offset, &reader, diag);
    if (code == OK) {
        code = replay_until(history, reader, before, image, diag);
        wal_reader_close(reader);
    }
    return code == ERR_NOT_FOUND && is_given_up(history, image) ? refuse_outside(history, diag) : code;
}

err history_image_before(struct history *history, uint64_t before, struct image *image, struct diag *diag)
{
    const err code = find_image(history, before, image, diag);
    if (code != OK) {
        image_deinit(image);
        image_init(image);
    }
    return code;
}
