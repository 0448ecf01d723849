/* module_log — what the module says: print, ctx.log, refusals and errors.
 *
 * One JSON object a line, a file a day (UTC): <dir>/YYYY-MM-DD.log. Readers get the last lines of the newest
 * file and, if they ask, what comes after. A line has at most 4 KiB of message and never spans two lines, so
 * a module cannot forge one. Shape of a line: SpacetimeDB's, so that its tools read it. */
#pragma once

#include "base/disk.h"
#include "engine/port.h"
#include "host/module.h"

struct module_log;

/* `echo`: also print each line on stderr, for people who run a module in a terminal. */
struct module_log *module_log_new(const struct disk *disk, const char *dir, bool echo, struct port *port);
void module_log_free(struct module_log *log);

/* A module_log_fn for every module, without a context: what is said on a thread that works for a database goes
 * into its log, what is said on others (a version that only loads) goes to stderr. */
void module_log_say(void *context, const struct module_log_line *line);
/* What a module says, for a terminal: control characters, which could fool it, are left out, and what follows a
 * newline is indented, so that it cannot pass for a line of the server's. Ends with a newline. */
void module_log_put_text(struct buf *out, bytes text);
/* This thread works for the database of `log` now; NULL: for none. */
void module_log_adopt(struct module_log *log);
/* Lines of the database itself: "Creating table `x`". */
void module_log_system(struct module_log *log, int level, const char *format, ...) PRINTF_LIKE(3, 4);
/* Puts what was written since the last time into the file, to the followers and, for an echo, to stderr. At
 * the end of each turn, and in a long one whenever its answers are handed over. */
void module_log_flush(struct module_log *log);

/* Answers a REQUEST_LOGS: the lines wanted; it stays as a follower when it asks for that. Returns whether
 * it stays. */
bool module_log_serve(struct module_log *log, struct request *request);
/* The follower has gone, or all must go: each gets PACKET_REPLY_END. */
void module_log_end(struct module_log *log, struct request *request);
void module_log_end_all(struct module_log *log);
