/* Telling what went wrong, in a space of fixed size. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

const char *err_text(err code)
{
    switch (code) {
    case OK: return "all is well";
#define ERR(name, number, text)                                                                                        \
    case ERR_##name:                                                                                                   \
        return text;
#include "base/err.def"
#undef ERR
    }
    return "an unknown failure";
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Ends the text at `size` or, when that would split a character, before that character. */
static void text_cut(char *text, size_t size)
{
    while (size > 0 && is_continuation(text[size]))
        size--;
    text[size] = '\0';
}

/* Formats into `out`; what does not fit is cut at a character. */
static void text_format(char *out, size_t capacity, const char *format, va_list arguments)
{
    /* Room for the continuation of a last character, so that text_cut() sees where it began. */
    char text[sizeof((struct diag *)0)->text + 8];
    const int length = vsnprintf(text, sizeof text, format, arguments);
    if (length < 0)
        text[0] = '\0';
    if (length >= 0 && (size_t)length >= capacity)
        text_cut(text, capacity - 1);
    memcpy(out, text, strlen(text) + 1);
}

err diag_set(struct diag *diag, err code, const char *format, ...)
{
    diag->code = code;
    va_list arguments;
    va_start(arguments, format);
    text_format(diag->text, sizeof diag->text, format, arguments);
    va_end(arguments);
    return code;
}

err diag_put(struct diag *diag, err code, bytes text)
{
    size_t size = text.size;
    if (size >= sizeof diag->text) {
        size = sizeof diag->text - 1;
        while (size > 0 && is_continuation((char)text.at[size]))
            size--;
    }
    diag->code = code;
    bytes_copy((uint8_t *)diag->text, bytes_of(text.at, size));
    diag->text[size] = '\0';
    return code;
}

err diag_note(struct diag *diag, const char *format, ...)
{
    char story[sizeof diag->text];
    memcpy(story, diag->text, strlen(diag->text) + 1);

    va_list arguments;
    va_start(arguments, format);
    text_format(diag->text, sizeof diag->text, format, arguments);
    va_end(arguments);

    const size_t used = strlen(diag->text);
    const size_t room = sizeof diag->text - 1 - used;
    if (strlen(story) > room)
        text_cut(story, room);
    memcpy(diag->text + used, story, strlen(story) + 1);
    return diag->code;
}
