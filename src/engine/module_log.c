#include "engine/module_log.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "sats/ident.h"
#include "sats/json.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    MESSAGE_MAX = 4096,
    PENDING_MAX = 4 << 20,      /* lines beyond this between two flushes are counted, not kept */
    FOLLOW_LINES_DEFAULT = 0,   /* follow alone: only what comes */
    FOLLOW_LINES_MAX = 2500,
    TAIL_CHUNK = 65536,
    TAIL_MAX = 32 << 20,        /* as much of a day's log is given at once */
};

struct module_log {
    const struct disk *disk;
    char *dir;                  /* owned */
    struct port *port;
    struct request *followers;
    struct buf pending;         /* whole lines of this turn */
    struct buf echoed;          /* the same for stderr: a write a turn, not one a line */
    uint64_t dropped;           /* lines of this turn that found no room */
    struct disk_file *file;     /* owned: today's; NULL: none */
    uint64_t size;              /* of what it holds */
    char day[16];
    bool echo;
    bool has_complained;        /* that it cannot be written is said once, until it can */
};

static _Thread_local struct module_log *adopted;

static const char *const level_names[] = { "Error", "Warn", "Info", "Debug", "Trace" };

struct module_log *module_log_new(const struct disk *disk, const char *dir, bool echo, struct port *port)
{
    struct module_log *log = memory_new(sizeof *log);
    log->disk = disk;
    log->dir = memory_copy(dir, strlen(dir) + 1);
    log->port = port;
    log->echo = echo;
    return log;
}

void module_log_free(struct module_log *log)
{
    if (log == NULL)
        return;
    module_log_flush(log);
    log->disk->close(log->disk->self, log->file);
    buf_deinit(&log->pending);
    buf_deinit(&log->echoed);
    memory_free(log->dir);
    memory_free(log);
}

static void put_field(struct buf *out, const char *name, bytes value)
{
    buf_put_text(out, name);
    json_print_string(out, value);
}

/* Cut at a character, so that the line stays UTF-8. */
static bytes cut_message(bytes message)
{
    if (message.size <= MESSAGE_MAX)
        return message;
    message.size = MESSAGE_MAX;
    while (message.size > 0 && (message.at[message.size] & 0xC0) == 0x80)
        message.size--;
    return message;
}

void module_log_put_text(struct buf *out, bytes text)
{
    size_t plain = 0; /* where the run begins that is shown as it is */
    for (size_t idx = 0; idx < text.size; idx++) {
        const uint8_t byte = text.at[idx];
        if (byte >= 0x20 && byte != 0x7f)
            continue;
        buf_put(out, text.at + plain, idx - plain);
        buf_put_text(out, byte == '\n' ? "\n    " : "?");
        plain = idx + 1;
    }
    buf_put(out, text.at + plain, text.size - plain);
    buf_put_u8(out, '\n');
}

static void put_word(struct buf *out, bytes word)
{
    if (word.size > 0) {
        buf_put_u8(out, ' ');
        buf_put_bytes(out, word);
    }
}

static void echo_line(struct buf *out, const struct module_log_line *line)
{
    static const char *const short_names[] = { "  error", "  warn", "  info", "  debug", "  trace" };
    buf_put_text(out, short_names[line->level]);
    put_word(out, line->function);
    put_word(out, line->file);
    if (line->line > 0) {
        buf_put_u8(out, ':');
        integer_print(out, line->line);
    }
    buf_put_text(out, ": ");
    module_log_put_text(out, cut_message(line->message));
}

/* In one piece: other threads write there, too. */
static void echo_flush(struct buf *echoed)
{
    if (echoed->size > 0)
        fwrite(echoed->data, 1, echoed->size, stderr);
    buf_clear(echoed);
}

static void write_line(struct module_log *log, const struct module_log_line *line)
{
    check(line->level >= 0 && line->level < (int)COUNTOF(level_names));
    if (log->pending.size > PENDING_MAX) {
        log->dropped++;
        return;
    }
    struct buf *out = &log->pending;
    buf_put_text(out, "{\"level\":\"");
    buf_put_text(out, level_names[line->level]);
    buf_put_text(out, "\",\"ts\":");
    integer_print(out, line->timestamp_us);
    if (line->file.size > 0)
        put_field(out, ",\"filename\":", line->file);
    if (line->line > 0) {
        buf_put_text(out, ",\"line_number\":");
        integer_print(out, line->line);
    }
    if (line->function.size > 0)
        put_field(out, ",\"function\":", line->function);
    put_field(out, ",\"message\":", cut_message(line->message));
    buf_put_text(out, "}\n");
    if (log->echo)
        echo_line(&log->echoed, line);
}

void module_log_adopt(struct module_log *log)
{
    adopted = log;
}

void module_log_say(void *context, const struct module_log_line *line)
{
    struct buf alone = { 0 };
    if (adopted != NULL) {
        write_line(adopted, line);
        return;
    }
    echo_line(&alone, line);
    echo_flush(&alone);
    buf_deinit(&alone);
}

void module_log_system(struct module_log *log, int level, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const struct module_log_line line = { .level = level,
                                          .timestamp_us = clock_wall_us(),
                                          .function = BYTES_LITERAL("__spacetimedb__"),
                                          .file = BYTES_LITERAL("__spacetimedb__"),
                                          .message = bytes_of_text(text) };
    const bool echo = log->echo;
    log->echo = false; /* the server says such things in its own words */
    write_line(log, &line);
    log->echo = echo;
}

static void day_name(char name[static 16])
{
    struct buf text = { 0 };
    timestamp_print(&text, clock_wall_us());
    snprintf(name, 16, "%.10s", (const char *)text.data);
    buf_deinit(&text);
}

static void complain(struct module_log *log, const struct diag *diag)
{
    if (!log->has_complained)
        log_warn("the module's log: %s", diag->text);
    log->has_complained = true;
}

static err open_file(struct module_log *log, struct diag *diag)
{
    char path[4096];
    const struct disk *disk = log->disk;
    check(snprintf(path, sizeof path, "%s/%s.log", log->dir, log->day) < (int)sizeof path);
    TRY(disk->make_dir(disk->self, log->dir, diag));
    TRY(disk->open(disk->self, path, true, &log->file, diag));
    return disk->size(disk->self, log->file, &log->size, diag);
}

static void close_file(struct module_log *log)
{
    log->disk->close(log->disk->self, log->file);
    log->file = NULL;
    log->size = 0;
}

/* Opens today's file; false when that fails. A log that cannot be written is no reason to stop serving: it is said
 * once. */
static bool open_today(struct module_log *log)
{
    struct diag diag;
    char day[16];
    day_name(day);
    if (log->file != NULL && strcmp(day, log->day) == 0)
        return true;
    close_file(log);
    memcpy(log->day, day, sizeof day);
    if (open_file(log, &diag) != OK) {
        complain(log, &diag);
        close_file(log);
    }
    return log->file != NULL;
}

/* What a failed write leaves behind is written over by the next. */
static void append(struct module_log *log, bytes lines)
{
    struct diag diag;
    if (!open_today(log))
        return;
    if (log->disk->write_at(log->disk->self, log->file, log->size, lines.at, lines.size, &diag) != OK) {
        complain(log, &diag);
        return;
    }
    log->size += lines.size;
    log->has_complained = false;
}

static void send_lines(struct module_log *log, struct request *request, bytes lines, enum packet_kind kind)
{
    struct packet *packet = memory_new(sizeof *packet);
    packet->kind = kind;
    packet->to.request = request;
    buf_put_bytes(&packet->data, lines);
    port_send(log->port, packet);
}

void module_log_flush(struct module_log *log)
{
    if (log->pending.size == 0)
        return;
    if (log->dropped > 0) {
        const uint64_t dropped = log->dropped;
        log->dropped = 0;
        module_log_system(log, 1, "%llu lines were dropped: a turn may log 4 MiB", (unsigned long long)dropped);
    }
    const bytes lines = buf_bytes(&log->pending);
    echo_flush(&log->echoed);
    append(log, lines);
    for (struct request *follower = log->followers; follower != NULL; follower = follower->next)
        send_lines(log, follower, lines, PACKET_LOG_LINES);
    buf_clear(&log->pending);
}

/* A piece of today's file; false when the disk does not give it. */
static bool read_piece(const struct module_log *log, uint64_t at, uint8_t *out, size_t size)
{
    struct diag ignored;
    size_t done = 0;
    return log->disk->read_at(log->disk->self, log->file, at, out, size, &done, &ignored) == OK && done == size;
}

/* Where the last `wanted` lines begin (all lines when wanted < 0), looking at no more than TAIL_MAX bytes. */
static uint64_t find_tail(const struct module_log *log, int64_t wanted)
{
    const uint64_t end = log->size, lowest = end > TAIL_MAX ? end - TAIL_MAX : 0;
    uint8_t chunk[TAIL_CHUNK];
    uint64_t line = end;
    int64_t lines = 0;
    for (uint64_t at = end; at > lowest && lines != wanted;) {
        const uint64_t from = at - lowest > TAIL_CHUNK ? at - TAIL_CHUNK : lowest;
        if (!read_piece(log, from, chunk, (size_t)(at - from)))
            return line;
        for (uint64_t idx = at - from; idx > 0 && lines != wanted; idx--) {
            if (chunk[idx - 1] != '\n' || from + idx == end)
                continue;
            line = from + idx;
            lines++;
        }
        at = from;
    }
    return lowest == 0 && lines != wanted ? 0 : line;
}

static void read_tail(struct module_log *log, int64_t wanted, struct buf *out)
{
    if (!open_today(log))
        return;
    const uint64_t start = find_tail(log, wanted);
    const size_t size = (size_t)(log->size - start);
    if (!read_piece(log, start, buf_extend(out, size), size))
        out->size -= size;
}

bool module_log_serve(struct module_log *log, struct request *request)
{
    module_log_flush(log);
    int64_t wanted = request->line_count;
    if (request->follow && wanted < 0)
        wanted = FOLLOW_LINES_DEFAULT;
    if (request->follow && wanted > FOLLOW_LINES_MAX)
        wanted = FOLLOW_LINES_MAX;
    request->status = 200;
    request->content_type = "application/x-ndjson";
    read_tail(log, wanted, &request->answer);
    if (!request->follow)
        return false;
    request->next = log->followers;
    log->followers = request;
    return true;
}

void module_log_end(struct module_log *log, struct request *request)
{
    for (struct request **place = &log->followers; *place != NULL; place = &(*place)->next) {
        if (*place != request)
            continue;
        *place = request->next;
        send_lines(log, request, bytes_of("", 0), PACKET_REPLY_END);
        return;
    }
}

void module_log_end_all(struct module_log *log)
{
    while (log->followers != NULL)
        module_log_end(log, log->followers);
}
