/* One event, one line: control characters in what is told are written as escapes, so that nobody can
 * forge a line. The line leaves in one write, so that threads do not mix. */
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINE_MAX = 4096 };

static enum log_level log_level_max = LOG_INFO; /* atomic */

void log_set_level(enum log_level level)
{
    __atomic_store_n(&log_level_max, level, __ATOMIC_RELAXED);
}

/* "2024-05-01T12:00:00.123456Z INFO  " */
static size_t prefix_write(char *out, size_t capacity, enum log_level level)
{
    static const char *const names[] = { "ERROR", "WARN", "INFO", "DEBUG" };
    const int64_t now = clock_wall_us();
    const time_t seconds = (time_t)(now / 1000000);
    struct tm parts = { 0 };
    gmtime_r(&seconds, &parts);

    char date[40];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    const int length = snprintf(out, capacity, "%s.%06dZ %-5s ", date, (int)(now % 1000000), names[level]);
    return length > 0 && (size_t)length < capacity ? (size_t)length : 0;
}

static size_t escaped_write(char *out, size_t capacity, const char *text)
{
    size_t size = 0;
    for (; *text != '\0' && size + 4 < capacity; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte >= 0x20 && byte != 0x7f)
            out[size++] = (char)byte;
        else if (byte == '\n' || byte == '\t')
            size += (size_t)sprintf(out + size, "\\%c", byte == '\n' ? 'n' : 't');
        else
            size += (size_t)sprintf(out + size, "\\x%02x", byte);
    }
    return size;
}

void log_line(enum log_level level, const char *format, ...)
{
    if (level > __atomic_load_n(&log_level_max, __ATOMIC_RELAXED))
        return;

    char text[LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0)
        text[0] = '\0';
    va_end(arguments);

    char line[LOG_LINE_MAX + 64];
    size_t size = prefix_write(line, sizeof line, level);
    size += escaped_write(line + size, sizeof line - 1 - size, text);
    line[size++] = '\n';
    /* A log that cannot be written has nowhere to say so. */
    const ssize_t written = write(STDERR_FILENO, line, size);
    (void)written;
}
