/* log — the log of a database as history, read from its directory. */
#include "cli/commands.h"

#include "base/text.h"
#include "cli/archive.h"
#include "cli/args.h"
#include "engine/selection.h"
#include "sats/bsatn.h"
#include "sats/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

enum { SHORT_IDENTITY = 12, SHORT_CONNECTION = 8, SHORT_HASH = 4 /* bytes */ };

struct log_command {
    /* as asked */
    struct archive archive;
    const char *from_text, *to_text, *since_text, *until_text;
    const char *kind_name, *reducer, *caller, *connection, *table, *format;
    bool with_rows;
    /* worked out */
    enum record_kind kind; /* 0: all */
    uint64_t from, end;         /* the latter is left out */
    struct selection selection; /* who, when and which call */
    bool as_json;
    /* at work */
    struct buf line;
    struct buf changes; /* the same of an event's changes, before it is known that the event is wanted */
    struct buf rows;
};

/* --- Which records --- */

static const struct reducer_def *find_reducer(const struct history_event *event)
{
    const struct schema *schema = event->schema;
    if (event->record.kind != RECORD_CALL || schema == NULL || event->record.reducer >= schema->reducer_count)
        return NULL;
    return &schema->reducers[event->record.reducer];
}

static bool is_wanted(const struct log_command *command, const struct history_event *event)
{
    return selection_matches(&command->selection, event) &&
           (command->kind == 0 || command->kind == event->record.kind);
}

/* --- Changes --- */

static void print_text_rows(struct log_command *command, const struct history_change *change)
{
    const uint8_t *at = change->rows.at;
    for (uint32_t idx = 0; idx < change->delete_count + change->insert_count; idx++) {
        const size_t size = bsatn_size(change->table->row_type, at);
        buf_put_format(&command->rows, "  %c %.*s ", idx < change->delete_count ? '-' : '+',
                       BYTES_FORMAT(change->table->name));
        json_print(&command->rows, change->table->row_type, bytes_of(at, size), JSON_TYPED);
        buf_put_u8(&command->rows, '\n');
        at += size;
    }
}

static void print_text_change(struct log_command *command, const struct history_change *change)
{
    buf_put_format(&command->changes, "  %.*s", BYTES_FORMAT(change->table->name));
    if (change->insert_count > 0)
        buf_put_format(&command->changes, " +%" PRIu32, change->insert_count);
    if (change->delete_count > 0)
        buf_put_format(&command->changes, " -%" PRIu32, change->delete_count);
    if (command->with_rows)
        print_text_rows(command, change);
}

static const uint8_t *print_json_rows(struct buf *out, const struct type *type, uint32_t count, const uint8_t *at)
{
    for (uint32_t idx = 0; idx < count; idx++) {
        const size_t size = bsatn_size(type, at);
        if (idx > 0)
            buf_put_u8(out, ',');
        json_print(out, type, bytes_of(at, size), JSON_TYPED);
        at += size;
    }
    return at;
}

static void print_json_change(struct log_command *command, const struct history_change *change)
{
    struct buf *out = &command->changes;
    buf_put_text(out, out->size > 0 ? ",{\"table\":" : "{\"table\":");
    json_print_string(out, change->table->name);
    buf_put_text(out, ",\"deletes\":[");
    const uint8_t *inserts = print_json_rows(out, change->table->row_type, change->delete_count, change->rows.at);
    buf_put_text(out, "],\"inserts\":[");
    print_json_rows(out, change->table->row_type, change->insert_count, inserts);
    buf_put_text(out, "]}");
}

/* *is_wanted is false when the record does not change the table that was asked for. */
static err print_changes(struct log_command *command, const struct history_event *event, bool *is_wanted,
                         struct diag *diag)
{
    struct reader left;
    uint32_t count;
    buf_clear(&command->changes);
    buf_clear(&command->rows);
    *is_wanted = command->table == NULL;
    TRY(history_change_count(event, &left, &count, diag));
    for (uint32_t idx = 0; idx < count; idx++) {
        struct history_change change;
        TRY(history_change_next(event, &left, &change, diag));
        if (command->table != NULL && bytes_equal_text(change.table->name, command->table))
            *is_wanted = true;
        if (command->as_json)
            print_json_change(command, &change);
        else
            print_text_change(command, &change);
    }
    return OK;
}

/* --- Records --- */

/* Arguments were checked when they came; the file may have been written by who knows whom. */
static err print_args(const struct history_event *event, struct buf *out, struct diag *diag)
{
    const struct reducer_def *reducer = find_reducer(event);
    size_t used;
    if (reducer == NULL)
        return diag_set(diag, ERR_CORRUPT, "the log's record at offset %" PRIu64 " calls the unknown reducer %u",
                        event->offset, event->record.reducer);
    if (bsatn_check_args(reducer->params, event->record.args, &used, diag) != OK) {
        diag_note(diag, "the log's record at offset %" PRIu64 ": ", event->offset);
        return diag->code = ERR_CORRUPT;
    }
    json_print(out, reducer->params, bytes_of(event->record.args.at, used), JSON_TYPED);
    return OK;
}

static bytes find_sequence_name(const struct schema *schema, uint32_t id)
{
    for (uint32_t idx = 0; schema != NULL && idx < schema->table_count; idx++) {
        const struct table_def *table = &schema->tables[idx];
        for (uint32_t place = 0; place < table->sequence_count; place++)
            if (table->sequences[place].id == id)
                return table->sequences[place].name;
    }
    return BYTES_LITERAL("?");
}

static void print_short(struct buf *out, size_t size, size_t start)
{
    if (out->size - start > size)
        out->size = start + size;
    buf_put_text(out, "  ");
}

static void print_text_caller(struct buf *out, const struct caller *caller)
{
    if (caller == NULL) {
        buf_put_format(out, "%-*s  %-*s  ", SHORT_IDENTITY, "-", SHORT_CONNECTION, "-");
        return;
    }
    size_t start = out->size;
    identity_print(out, &caller->who);
    print_short(out, SHORT_IDENTITY, start);
    start = out->size;
    if (connection_id_is_none(&caller->connection))
        buf_put_format(out, "%-*s", SHORT_CONNECTION, "-");
    else
        connection_id_print(out, &caller->connection);
    print_short(out, SHORT_CONNECTION, start);
}

/* Its hash, and where it was published. */
static void print_text_version(struct buf *out, const struct history_event *event)
{
    if (event->schema == NULL) {
        buf_put_text(out, "-  ");
        return;
    }
    hex_encode(out, bytes_of(event->hash, SHORT_HASH));
    buf_put_format(out, "@%" PRIu64 "  ", event->publish_offset);
}

static const struct schedule_def *find_schedule(const struct history_event *event)
{
    for (uint32_t idx = 0; event->schema != NULL && idx < event->schema->schedule_count; idx++) {
        if (event->schema->schedules[idx].id == event->record.schedule_id)
            return &event->schema->schedules[idx];
    }
    return NULL;
}

static bytes scheduled_reducer_name(const struct history_event *event)
{
    const struct schedule_def *schedule = find_schedule(event);
    return schedule != NULL ? event->schema->reducers[schedule->reducer].name : BYTES_LITERAL("?");
}

static err print_text_deed(const struct history_event *event, struct buf *out, struct diag *diag)
{
    const struct record *record = &event->record;
    switch (record->kind) {
    case RECORD_CALL: {
        const struct reducer_def *reducer = find_reducer(event);
        if (reducer != NULL)
            buf_put_format(out, "%.*s ", BYTES_FORMAT(reducer->name));
        return print_args(event, out, diag);
    }
    case RECORD_CONNECT:
    case RECORD_DISCONNECT:
    case RECORD_PUBLISH: buf_put_text(out, record_kind_name(record->kind)); break;
    case RECORD_TICK:
        buf_put_format(out, "tick %.*s %" PRIu64 "%s", BYTES_FORMAT(scheduled_reducer_name(event)), record->row_id,
                       record->tick_failed ? " failed" : "");
        break;
    case RECORD_SQL:
        buf_put_text(out, "sql ");
        json_print_string(out, record->sql);
        break;
    case RECORD_RESERVE:
        buf_put_format(out, "reserve %.*s up to ",
                       BYTES_FORMAT(find_sequence_name(event->schema, record->sequence_id)));
        number_print(out, (const uint8_t *)&record->reserved, sizeof record->reserved, true);
        break;
    case RECORD_UNDO: buf_put_format(out, "undo %.*s", BYTES_FORMAT(record->args)); break;
    }
    return OK;
}

static err print_text(struct log_command *command, const struct history_event *event, struct diag *diag)
{
    struct buf *out = &command->line;
    buf_put_format(out, "%8" PRIu64 "  ", event->offset);
    timestamp_print(out, event->record.timestamp_us);
    buf_put_text(out, "  ");
    print_text_caller(out, event->caller);
    print_text_version(out, event);
    TRY(print_text_deed(event, out, diag));
    buf_put_bytes(out, buf_bytes(&command->changes));
    buf_put_u8(out, '\n');
    buf_put_bytes(out, buf_bytes(&command->rows));
    return OK;
}

static void print_json_caller(struct buf *out, const struct caller *caller)
{
    if (caller == NULL) {
        buf_put_text(out, ",\"caller\":null,\"connection\":null");
        return;
    }
    buf_put_text(out, ",\"caller\":\"");
    identity_print(out, &caller->who);
    if (connection_id_is_none(&caller->connection)) {
        buf_put_text(out, "\",\"connection\":null");
        return;
    }
    buf_put_text(out, "\",\"connection\":\"");
    connection_id_print(out, &caller->connection);
    buf_put_u8(out, '"');
}

static void print_json_files(struct buf *out, const struct record *record)
{
    struct reader left = reader_of(record->files);
    buf_put_text(out, ",\"files\":[");
    for (uint32_t idx = 0; idx < record->file_count; idx++) {
        if (idx > 0)
            buf_put_u8(out, ',');
        json_print_string(out, reader_get_sized(&left));
        reader_get_sized(&left);
    }
    buf_put_u8(out, ']');
}

static err print_json_deed(const struct history_event *event, struct buf *out, struct diag *diag)
{
    const struct record *record = &event->record;
    const struct reducer_def *reducer = find_reducer(event);
    buf_put_format(out, ",\"kind\":\"%s\"", record_kind_name(record->kind));
    switch (record->kind) {
    case RECORD_CALL:
        buf_put_text(out, ",\"reducer\":");
        json_print_string(out, reducer != NULL ? reducer->name : BYTES_LITERAL(""));
        buf_put_text(out, ",\"args\":");
        return print_args(event, out, diag);
    case RECORD_CONNECT:
    case RECORD_DISCONNECT: break;
    case RECORD_PUBLISH: print_json_files(out, record); break;
    case RECORD_TICK:
        buf_put_text(out, ",\"reducer\":");
        json_print_string(out, scheduled_reducer_name(event));
        buf_put_format(out, ",\"row\":%" PRIu64 ",\"due_us\":%" PRId64 ",\"failed\":%s", record->row_id, record->tick_us,
                       record->tick_failed ? "true" : "false");
        break;
    case RECORD_SQL:
        buf_put_text(out, ",\"sql\":");
        json_print_string(out, record->sql);
        break;
    case RECORD_RESERVE:
        buf_put_text(out, ",\"sequence\":");
        json_print_string(out, find_sequence_name(event->schema, record->sequence_id));
        buf_put_text(out, ",\"up_to\":");
        number_print(out, (const uint8_t *)&record->reserved, sizeof record->reserved, true);
        break;
    case RECORD_UNDO:
        buf_put_text(out, ",\"selection\":");
        json_print_string(out, record->args);
        break;
    }
    return OK;
}

static err print_json(struct log_command *command, const struct history_event *event, struct diag *diag)
{
    struct buf *out = &command->line;
    buf_put_format(out, "{\"offset\":%" PRIu64 ",\"time\":\"", event->offset);
    timestamp_print(out, event->record.timestamp_us);
    buf_put_format(out, "\",\"timestamp_us\":%" PRId64 ",\"client\":%" PRIu64, event->record.timestamp_us,
                   event->record.client);
    print_json_caller(out, event->caller);
    buf_put_text(out, ",\"module\":\"");
    hex_encode(out, bytes_of(event->hash, 32));
    buf_put_format(out, "\",\"published_at\":%" PRIu64, event->publish_offset);
    TRY(print_json_deed(event, out, diag));
    buf_put_text(out, ",\"changes\":[");
    buf_put_bytes(out, buf_bytes(&command->changes));
    buf_put_text(out, "]}\n");
    return OK;
}

static err print_event(struct log_command *command, const struct history_event *event, struct diag *diag)
{
    bool changes_are_wanted;
    if (!is_wanted(command, event))
        return OK;
    TRY(print_changes(command, event, &changes_are_wanted, diag));
    if (!changes_are_wanted)
        return OK;
    buf_clear(&command->line);
    TRY(command->as_json ? print_json(command, event, diag) : print_text(command, event, diag));
    if (fwrite(command->line.data, 1, command->line.size, stdout) != command->line.size)
        return diag_set(diag, ERR_DISK, "the output cannot be written");
    return OK;
}

/* --- The command --- */

static bytes text_given(const char *text)
{
    return text != NULL ? bytes_of_text(text) : bytes_of("", 0);
}

static err take_digits(const char *option, const char *text, bytes *digits, struct diag *diag)
{
    *digits = selection_digits(text_given(text));
    for (size_t idx = 0; idx < digits->size; idx++)
        if (!isxdigit(digits->at[idx]))
            return diag_set(diag, ERR_BAD_USAGE, "%s takes hex digits, not %.80s", option, text);
    return OK;
}

static err read_question(struct log_command *command, struct diag *diag)
{
    struct selection *selection = &command->selection;
    uint64_t to = UINT64_MAX;
    selection_init(selection);
    selection->reducer = text_given(command->reducer);
    TRY(take_digits("--caller", command->caller, &selection->caller, diag));
    TRY(take_digits("--connection", command->connection, &selection->connection, diag));
    TRY(archive_parse_offset("--from", command->from_text, &command->from, diag));
    TRY(archive_parse_offset("--to", command->to_text, &to, diag));
    command->end = to < UINT64_MAX ? to + 1 : to;
    TRY(archive_parse_time("--since", command->since_text, &selection->since_us, diag));
    TRY(archive_parse_time("--until", command->until_text, &selection->until_us, diag));
    if (command->format != NULL && strcmp(command->format, "text") != 0 && strcmp(command->format, "json") != 0)
        return diag_set(diag, ERR_BAD_USAGE, "--format is text or json, not %.80s", command->format);
    if (command->kind_name != NULL && (command->kind = record_kind_find(command->kind_name)) == 0)
        return diag_set(diag, ERR_BAD_USAGE,
                        "--kind is call, connect, disconnect, publish, reserve, undo, tick or sql, not %.80s",
                        command->kind_name);
    command->as_json = command->format != NULL && strcmp(command->format, "json") == 0;
    return OK;
}

/* Narrows what is read to what the times leave; what was given up is not shown. */
static err seek_times(struct log_command *command, struct history *history, struct diag *diag)
{
    const struct moment until = { .is_time = true, .time_us = command->selection.until_us };
    uint64_t since, end;
    int64_t begin_us;
    TRY(history_begin(history, &since, &begin_us, diag));
    end = since;
    if (command->selection.since_us > begin_us)
        TRY(history_find_since(history, command->selection.since_us, &since, diag));
    if (command->from_text == NULL || (command->since_text != NULL && since > command->from))
        command->from = since;
    if (command->until_text != NULL && command->selection.until_us >= begin_us)
        TRY(history_find(history, &until, &end, diag));
    if (command->until_text != NULL && end < command->end)
        command->end = end;
    return OK;
}

static err print_history(struct log_command *command, struct history *history, struct diag *diag)
{
    struct history_event event;
    bool found = true;
    TRY(seek_times(command, history, diag));
    TRY(history_seek(history, command->from, diag));
    while (found) {
        TRY(history_next(history, &found, &event, diag));
        if (!found || event.offset >= command->end)
            return OK;
        TRY(print_event(command, &event, diag));
    }
    return OK;
}

static err run(struct log_command *command, struct diag *diag)
{
    struct history *history;
    TRY(read_question(command, diag));
    err code = archive_open(&command->archive, &history, diag);
    if (code == OK)
        code = print_history(command, history, diag);
    history_close(history);
    buf_deinit(&command->line);
    buf_deinit(&command->changes);
    buf_deinit(&command->rows);
    return code;
}

int command_log(int argc, char **argv)
{
    struct log_command command = { 0 };
    const struct args_option options[] = {
        { "--data-dir", "DIR", "where the data lives (.stdb in this folder)", &command.archive.data_dir, NULL },
        { "--database", "NAME", "which database (the only one there)", &command.archive.database, NULL },
        { "--from", "OFFSET", "begin with this record", &command.from_text, NULL },
        { "--to", "OFFSET", "end with this record", &command.to_text, NULL },
        { "--since", "TIME", "only what happened at this time or later (2026-11-20T08:15:30Z)", &command.since_text,
          NULL },
        { "--until", "TIME", "only what happened at this time or before", &command.until_text, NULL },
        { "--kind", "KIND", "only records of this kind: call, connect, disconnect, publish, reserve, undo, tick or sql",
          &command.kind_name, NULL },
        { "--reducer", "NAME", "only calls of this reducer", &command.reducer, NULL },
        { "--caller", "HEX", "only what this identity did; its first digits will do", &command.caller, NULL },
        { "--connection", "HEX", "only what came through this connection; its first digits will do",
          &command.connection, NULL },
        { "--table", "NAME", "only what changed this table", &command.table, NULL },
        { "--rows", NULL, "show the rows, deleted (-) and inserted (+)", NULL, &command.with_rows },
        { "--format", "FORMAT", "text (default), or json: one object a line, rows included", &command.format, NULL },
    };
    const struct args_spec spec = {
        .command = "log",
        .arguments = "",
        .about =
            "Shows what happened in a database, one line a transaction: offset, time, caller, connection, the module's\n"
            "version and the offset of its publish, what was called, how many rows it changed. Reads the data\n"
            "directory; a server may run on it.",
        .options = options,
        .option_count = COUNTOF(options),
    };
    struct diag diag;
    int count;
    switch (args_parse(&spec, argc, argv, NULL, &count)) {
    case ARGS_HELP: return 0;
    case ARGS_BAD: return 2;
    case ARGS_RUN: break;
    }
    return run(&command, &diag) == OK ? 0 : archive_refuse("log", &diag);
}
