/* history — the past of a database, read from its directory: each record with what it takes to understand it, and
 * the tables as they were at any moment that is kept.
 *
 * It opens the files itself and changes nothing, so a server may run on the directory meanwhile, and may give up
 * old snapshots and segments under its feet.
 *
 * Rules
 *   H1  The past is kept from offset 0 on while the log begins there, else from the oldest snapshot on: older
 *       records cannot be understood, since their schema is not known.
 *   H2  What is outside of that is ERR_NOT_FOUND, and the sentence says what is kept. That holds, too, for what is
 *       given up while it is being read.
 *   H3  A damaged snapshot is passed over where an older beginning serves; a damaged log is never passed over. */
#pragma once

#include "engine/image.h"
#include "engine/moment.h"

struct history;

/* One record and what is needed to read it. All views are good until the next call. */
struct history_event {
    uint64_t offset;
    struct record record;
    const struct schema *schema;  /* in force; NULL before the first publish */
    const struct caller *caller;  /* NULL: the database itself */
    const uint8_t *hash;          /* of the module in force, 32 bytes */
    uint64_t publish_offset;      /* of the record that put it in force */
};

/* What one record changed in one table: deleted rows, then inserted ones, back to back. */
struct history_change {
    const struct table_def *table;
    uint32_t delete_count, insert_count;
    bytes rows;
};

/* `dir` is the database's folder. ERR_NOT_FOUND when there is no database, ERR_CORRUPT. */
err history_open(struct history **history, const struct disk *disk, const char *dir, struct diag *diag);
/* The same where the file with the identity cannot be read, for salvage: whose the rest is, the caller says. */
struct history *history_open_as(const struct disk *disk, const char *dir, const uint8_t database_id[16]);
void history_close(struct history *history); /* NULL is fine */
const identity *history_database(const struct history *history);
const uint8_t *history_database_id(const struct history *history);
const char *history_log_dir(const struct history *history);
const struct snap_options *history_snaps(const struct history *history);
/* Records from `limit` on are not there yet: for a server that reads its own log, what is durable. */
void history_set_limit(struct history *history, uint64_t limit);
/* Told now and then while snapshots are read (snap_options), and with the offset reached and 0 while the log is; false
 * stops the reading (ERR_BUSY). */
void history_set_progress(struct history *history, bool (*progress)(void *, uint64_t, uint64_t), void *context);

/* The first offset that is kept (H1), and when that was. */
err history_begin(struct history *history, uint64_t *offset, int64_t *time_us, struct diag *diag);

/* The next event will be the record at `offset`, or the end of the log when that is `offset`. */
err history_seek(struct history *history, uint64_t offset, struct diag *diag);
/* After history_seek(). *found is false at the end of the log. */
err history_next(struct history *history, bool *found, struct history_event *event, struct diag *diag);
/* The reducer's name for a call, else the record's kind. */
bytes history_event_name(const struct history_event *event);
/* Walks what the event changed: `left` begins as reader_of(event->record.delta) after history_change_count(). */
err history_change_count(const struct history_event *event, struct reader *left, uint32_t *count, struct diag *diag);
err history_change_next(const struct history_event *event, struct reader *left, struct history_change *change,
                        struct diag *diag);

/* The offset of the first record that does not belong to the moment any more. */
err history_find(struct history *history, const struct moment *moment, uint64_t *before, struct diag *diag);
/* The offset of the first record that is not before the time. ERR_NOT_FOUND when it may have been given up. */
err history_find_since(struct history *history, int64_t time_us, uint64_t *offset, struct diag *diag);
/* Fills an empty image with the state before the record at `before`, or at the end of the log when that is `before`.
 * On failure it is empty again. */
err history_image_before(struct history *history, uint64_t before, struct image *image, struct diag *diag);
