/* keeping — backups as files of a person's: where they are written, and what they are made of on a stopped server. */
#pragma once

#include "cli/archive.h"
#include "cli/meter.h"
#include "engine/backup.h"

/* A backup comes under a name of its own, "<path>.part", readable by its owner alone. ERR_IN_USE when `path` is there
 * already: a backup is never written over. */
err keeping_begin(const char *path, struct diag *diag);
/* What has come is verified, stored, and gets its name. ERR_CORRUPT; the part is removed then. */
err keeping_finish(const char *path, struct backup_head *head, struct meter *meter, struct diag *diag);
void keeping_abandon(const char *path);

/* All of it for a stopped database. */
err keeping_write(struct archive *archive, const char *path, struct backup_head *head, struct meter *meter,
                  struct diag *diag);
