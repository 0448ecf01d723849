/* databases — which databases a data directory holds, and where they and what was taken from them lie.
 *
 *     <data dir>/databases/<name>/               a database: it has an identity, or is about to get one (engine/swap.h)
 *     <data dir>/abandoned/<when>-<name>-<why>/  what a restore or a deletion took away, a data directory of its own:
 *                                                log, sql and check read it with --data-dir */
#pragma once

#include "base/buf.h"
#include "base/disk.h"

enum { DATABASE_NAME_MAX = 63, DATA_DIR_MAX = 3500 };

/* Lower-case letters and digits with single dashes between them, at most DATABASE_NAME_MAX. */
bool database_name_is_legal(const char *name);
/* ERR_BAD_USAGE in words. */
err database_name_check(const char *name, struct diag *diag);
/* The same for the path of a data directory: not empty, not too long. */
err data_dir_check(const char *data_dir, struct diag *diag);

/* Appends the names, each with its zero. ERR_NOT_FOUND when there is no such directory. */
err databases_list(const char *data_dir, struct buf *names, struct diag *diag);
/* ERR_NOT_FOUND in words: there is none, but perhaps one where a module's folder keeps its data. */
err databases_refuse_none(const char *data_dir, struct diag *diag);
/* Those names for people, a comma and a space between them. */
void databases_join(const struct buf *names, struct buf *text);
bool databases_hold(const char *data_dir, const char *name);

void database_path(char path[static 4096], const char *data_dir, const char *name);
/* The folder that is to get what is taken away now, made, as seen from the data directory: "abandoned/…". `why`:
 * "after-offset-41". */
err database_make_aside(struct buf *aside, const char *data_dir, const char *name, const char *why, struct diag *diag);
/* Moves all of a database there. */
err database_put_aside(struct buf *aside, const char *data_dir, const char *name, const char *why, struct diag *diag);
/* What engine/swap.h prepares has moved, or will not: its folders go, and the database's when nothing is in it. A folder
 * with a committed swap is left alone. */
void database_clear_staging(const char *dir);
