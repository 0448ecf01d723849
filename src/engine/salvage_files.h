/* salvage_files — the files that a salvage writes (salvage.h draws them). */
#pragma once

#include "engine/record.h"
#include "schema/schema.h"

#include <stdio.h>

struct salvage_files {
    const char *out; /* borrowed */
    FILE *report, *table;
    struct buf line;
};

/* ERR_IN_USE when the folder holds something. All but the report leave ERR_DISK when the disk refuses. */
err salvage_files_open(struct salvage_files *files, const char *out, struct diag *diag);
void salvage_files_report(struct salvage_files *files, bool is_loss, const char *line);
/* The rows that follow are this table's. */
err salvage_files_table(struct salvage_files *files, bytes name, struct diag *diag);
/* `mark`: the offset of the record that wrote it behind a loss, plus 1; 0 for none. */
err salvage_files_row(struct salvage_files *files, const struct table_def *def, bytes row, uint64_t mark,
                      struct diag *diag);
err salvage_files_module(struct salvage_files *files, const struct record *publish, struct diag *diag);
/* `diag` NULL: after a failure. */
err salvage_files_close(struct salvage_files *files, struct diag *diag);
