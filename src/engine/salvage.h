/* salvage — what can still be read of a damaged database, written out as plain files. The database is only read.
 *
 *     <out>/tables/<table>.jsonl   {"row":{…}} for each row of the newest state that can be reached
 *     <out>/module/…               the sources of the module in force then
 *     <out>/report.txt             what was lost, line by line
 *
 * It begins with the newest whole snapshot, or with an empty database where the log begins with the first record, and
 * applies every record behind it that can be understood. While none is missing the result is exact. Behind missing
 * records rows are applied as far as they go: what a record inserts is put there in place of what stands against it,
 * what it deletes goes if it is there. A row that was written by such a record bears its mark:
 *
 *     {"row":{…},"written_behind_loss_at":1203}
 *
 * Rows without the mark are as they were before the first loss, and some of them may have been changed in it. */
#pragma once

#include "base/disk.h"

struct salvage_options {
    const struct disk *disk;
    const char *dir; /* the database's folder */
    const char *out; /* a folder that does not exist, or is empty */
    /* One line about what was lost, or what was written. */
    void (*say)(void *context, bool is_loss, const char *line);
    void *context;
};

struct salvage_result {
    uint64_t rows, marked_rows;
    uint32_t losses;
};

/* ERR_IN_USE when `out` holds something, ERR_NOT_FOUND when there is no database, ERR_DISK when `out` cannot be
 * written. Damage is no failure: it is told. */
err salvage_run(const struct salvage_options *options, struct salvage_result *result, struct diag *diag);
