/* copy — a log written once more, up to a record: what rolling a database back is made of.
 *
 * The old files are only read. The caller puts the new folder in place of the old one, and keeps the old one. */
#pragma once

#include "wal/wal.h"

struct wal_copy {
    const struct disk *disk;
    const char *from; /* the folder of the log that is read */
    const char *to;   /* the folder for the new one; ERR_IN_USE when it has a log already */
    uint8_t database_id[16];
    uint64_t end; /* the next offset of the new log: records from here on stay behind */
    /* Told now and then; false stops it (ERR_BUSY). May be NULL. */
    bool (*progress)(void *context, uint64_t offset, uint64_t end);
    void *context;
};

/* Copies the records from the log's oldest one up to `end`; durable when it returns OK. Each is verified on the
 * way; ERR_NOT_FOUND when `end` is outside of the log. After a failure the new folder is of no use. */
err wal_copy(const struct wal_copy *copy, struct diag *diag);
