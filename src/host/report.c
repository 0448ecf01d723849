#include "host/report.h"

#include "base/text.h"

#include <lua.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FRAMES_LOOKED_AT = 100,
    LINES_BEFORE = 3,
    LINES_AFTER = 2,
    LINE_SIZE_MAX = 110, /* of source shown */
};

/* `size` without the part of a UTF-8 character that the cut left at the end. */
static size_t cut_at_character(const uint8_t *at, size_t size)
{
    size_t kept = size;
    while (kept > 0 && size - kept < 4 && (at[kept] & 0xc0) == 0x80)
        kept--;
    return kept;
}

/* Diags and logs are UTF-8; what a guest raises or writes in its source may be anything. */
static bool is_shown(uint8_t byte, bool is_utf8)
{
    return byte == '\n' || byte == '\t' || (byte >= ' ' && byte != 0x7f && (byte < 0x80 || is_utf8));
}

static void copy_text(char *out, size_t room, bytes text)
{
    const size_t size = text.size < room ? text.size : cut_at_character(text.at, room - 1);
    const bool is_utf8 = text_is_utf8(bytes_of(text.at, size));
    for (size_t at = 0; at < size; at++)
        out[at] = is_shown(text.at[at], is_utf8) ? (char)text.at[at] : '?';
    out[size] = '\0';
}

/* Without "stdb/text:77: " in front: where in our own Lua a library function has raised says nothing to a game's
 * author, and the stack tells their line. */
static bytes skip_own_place(bytes text)
{
    static const char own[] = "stdb/";
    const uint8_t *line = text.size > sizeof own ? memchr(text.at, ':', text.size) : NULL;
    if (line == NULL || memcmp(text.at, own, sizeof own - 1) != 0)
        return text;
    size_t at = (size_t)(line - text.at) + 1;
    while (at < text.size && text.at[at] >= '0' && text.at[at] <= '9')
        at++;
    const bool is_place = at + 1 < text.size && text.at[at] == ':' && text.at[at + 1] == ' ';
    return is_place ? bytes_of(text.at + at + 2, text.size - at - 2) : text;
}

/* What programs in Lua have and modules have not, and what a module does instead. */
static void add_instead(char *message, size_t room)
{
    static const struct {
        const char *end, *instead;
    } absent[] = {
        { "global 'os' (a nil value)", "; a module has no os: the time of a call is ctx.timestamp" },
        { "global 'io' (a nil value)", "; a module has no io: what lasts is in tables, what is said is printed" },
    };
    const size_t size = strlen(message);
    for (size_t idx = 0; idx < COUNTOF(absent); idx++) {
        const size_t end = strlen(absent[idx].end);
        if (size >= end && strcmp(message + size - end, absent[idx].end) == 0)
            snprintf(message + size, room - size, "%s", absent[idx].instead);
    }
}

void report_gather_value(struct report *report, lua_State *L)
{
    *report = (struct report){ 0 };
    if (lua_type(L, -1) == LUA_TSTRING) {
        size_t size;
        const char *text = lua_tolstring(L, -1, &size);
        copy_text(report->message, sizeof report->message, skip_own_place(bytes_of(text, size)));
        add_instead(report->message, sizeof report->message);
    } else {
        snprintf(report->message, sizeof report->message, "error value is a %s", luaL_typename(L, -1));
    }
}

static bool is_own(const lua_Debug *frame)
{
    return frame->source[0] == '@' && frame->currentline > 0;
}

static int frame_print(char *out, size_t room, const lua_Debug *frame)
{
    const char *file = frame->source + 1;
    if (frame->name != NULL)
        return snprintf(out, room, "%s:%d: in function '%s'\n", file, frame->currentline, frame->name);
    if (frame->what[0] == 'm')
        return snprintf(out, room, "%s:%d: while loading\n", file, frame->currentline);
    return snprintf(out, room, "%s:%d: in the function of line %d\n", file, frame->currentline, frame->linedefined);
}

/* Adds a line to the stack; false when there is no room. The frames of a recursion are shown once. */
static bool stack_add(struct report *report, const lua_Debug *frame)
{
    char line[300];
    const int printed = frame_print(line, sizeof line - 1, frame);
    check(printed > 0);
    const size_t size = (size_t)printed < sizeof line - 1 ? (size_t)printed : sizeof line - 1;
    line[size - 1] = '\n';
    const size_t used = strlen(report->stack);
    if (used >= size && memcmp(report->stack + used - size, line, size) == 0)
        return true;
    if (used + size >= sizeof report->stack)
        return false;
    copy_text(report->stack + used, sizeof report->stack - used, bytes_of(line, size));
    return true;
}

void report_gather(struct report *report, lua_State *L)
{
    report_gather_value(report, L);
    lua_Debug frame;
    bool has_room = true;
    for (int level = 0; has_room && level < FRAMES_LOOKED_AT && lua_getstack(L, level, &frame); level++) {
        if (!lua_getinfo(L, "Snl", &frame) || !is_own(&frame))
            continue;
        if (report->line == 0) {
            copy_text(report->file, sizeof report->file, bytes_of_text(frame.source + 1));
            report->line = frame.currentline;
        }
        has_room = stack_add(report, &frame);
    }
}

/* Lua cuts long chunk names in messages at the front: "...the/end.lua". */
static bool is_name_in_message(const char *name, bytes shown)
{
    const size_t size = strlen(name);
    if (shown.size > 3 && memcmp(shown.at, "...", 3) == 0) {
        const bytes tail = bytes_of(shown.at + 3, shown.size - 3);
        return size >= tail.size && memcmp(name + size - tail.size, tail.at, tail.size) == 0;
    }
    return bytes_equal_text(shown, name);
}

static const struct file *find_shown(const struct files *files, bytes shown)
{
    for (uint32_t idx = 0; idx < files->count; idx++) {
        if (is_name_in_message(files->items[idx]->name, shown))
            return files->items[idx];
    }
    return NULL;
}

void report_locate(struct report *report, const struct files *files)
{
    for (const char *colon = strchr(report->message, ':'); colon != NULL; colon = strchr(colon + 1, ':')) {
        char *end;
        const long line = strtol(colon + 1, &end, 10);
        if (colon[1] < '0' || colon[1] > '9' || end[0] != ':' || end[1] != ' ' || line <= 0 || line > INT32_MAX)
            continue;
        const struct file *file = find_shown(files, bytes_of(report->message, (size_t)(colon - report->message)));
        if (file == NULL)
            return;
        copy_text(report->file, sizeof report->file, bytes_of_text(file->name));
        report->line = (int32_t)line;
        memmove(report->message, end + 2, strlen(end + 2) + 1);
        return;
    }
}

void report_print_place(struct buf *out, const char *file, int32_t line)
{
    if (line > 0)
        buf_put_format(out, "%s:%d: ", file, line);
    else
        buf_put_format(out, "%s: ", file);
}

static void line_print(struct buf *out, bytes line, int32_t number, bool is_meant)
{
    if (line.size > 0 && line.at[line.size - 1] == '\r')
        line.size--;
    if (line.size > LINE_SIZE_MAX)
        line.size = cut_at_character(line.at, LINE_SIZE_MAX);
    buf_put_text(out, is_meant ? "\n> " : "\n  ");
    for (int32_t least = 1000; least > 1 && number < least; least /= 10)
        buf_put_u8(out, ' ');
    integer_print(out, number);
    buf_put_text(out, " | ");
    const bool is_utf8 = text_is_utf8(line);
    uint8_t *shown = buf_extend(out, line.size);
    for (size_t at = 0; at < line.size; at++)
        shown[at] = is_shown(line.at[at], is_utf8) ? line.at[at] : '?';
}

static bytes take_line(bytes *left)
{
    const uint8_t *end = left->size > 0 ? memchr(left->at, '\n', left->size) : NULL;
    const bytes line = bytes_of(left->at, end != NULL ? (size_t)(end - left->at) : left->size);
    const size_t taken = line.size + (end != NULL ? 1 : 0);
    *left = bytes_of(left->at + taken, left->size - taken);
    return line;
}

void report_print_source(struct buf *out, const struct files *files, const char *name, int32_t meant)
{
    const struct file *file = files_find(files, bytes_of_text(name));
    if (file == NULL || meant <= 0)
        return;
    bytes left = buf_bytes(&file->text);
    /* "<eof>" may be on the line after the last one. */
    for (int32_t number = 1; left.size > 0 || number == meant; number++) {
        if (number - LINES_AFTER > meant)
            return;
        const bytes line = take_line(&left);
        if (number >= meant - LINES_BEFORE)
            line_print(out, line, number, number == meant);
    }
}
