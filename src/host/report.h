/* report — what went wrong in Lua, gathered without running any Lua and told with the source lines.
 *
 * The message handler fills a report of fixed size while the failing frames are still there. Nothing of the
 * guest's runs then: an error that is not a text is described by its type, not asked for one. */
#pragma once

#include "host/files.h"

struct lua_State;

struct report {
    char message[1200]; /* without the place in front */
    char stack[2400];   /* a line a frame, the module's own ones only; may be empty */
    char file[200];     /* as the chunk is named; empty when not known */
    int32_t line;       /* 0 when not known */
};

/* Of the error value on top of the stack, from within the message handler. */
void report_gather(struct report *report, struct lua_State *L);
/* Of an error value whose handler did not run: no stack. */
void report_gather_value(struct report *report, struct lua_State *L);
/* "module.lua:12: text" in `message` becomes file, line and text. `files` knows the names. */
void report_locate(struct report *report, const struct files *files);

/* "module.lua:12: ", without the line when it is 0. */
void report_print_place(struct buf *out, const char *file, int32_t line);
/* The lines around, the meant one marked; nothing when the file or the line is not known:
 *        11 | local player = find(id)
 *     >  12 | player.name = name
 *        13 | end */
void report_print_source(struct buf *out, const struct files *files, const char *file, int32_t line);
