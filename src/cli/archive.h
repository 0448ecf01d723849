/* archive — what the commands share that read a data directory without a server's help. */
#pragma once

#include "cli/databases.h"
#include "engine/history.h"

struct archive {
    const char *data_dir;  /* as asked, or NULL: .stdb in this folder, where a module.lua here keeps its data */
    const char *database;  /* as asked, or NULL: the only one there */
    char name[DATABASE_NAME_MAX + 1];
    char path[4096];       /* the database's folder */
};

const char *archive_data_dir(const struct archive *archive);

/* Finds the database: fills in `name` and `path`. ERR_NOT_FOUND names what is there instead, ERR_BAD_USAGE. */
err archive_find(struct archive *archive, struct diag *diag);
/* The same, and opens its history. */
err archive_open(struct archive *archive, struct history **history, struct diag *diag);

/* What follows an option, or NULL: then nothing is done. ERR_BAD_USAGE. */
err archive_parse_offset(const char *option, const char *text, uint64_t *offset, struct diag *diag);
err archive_parse_time(const char *option, const char *text, int64_t *time_us, struct diag *diag);

/* Says the refusal of a command; its exit code. */
int archive_refuse(const char *command, const struct diag *diag);
