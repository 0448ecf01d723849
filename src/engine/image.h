/* image — what a snapshot and the records behind it amount to: the tables, who is connected, the module in force.
 *
 * Recovery makes one and hands it to the engine. History makes one of any moment that is kept, and throws it away. */
#pragma once

#include "base/map.h"
#include "engine/record.h"
#include "engine/timers.h"
#include "snap/snap.h"
#include "store/table.h"

/* Who causes a transaction: a WebSocket client, an HTTP request, or the database itself. */
struct caller {
    identity who;
    connection_id connection; /* all zero: the database itself */
    uint64_t number;          /* as the log knows it; 0: none */
};

struct image {
    struct store store;
    struct map clients;       /* number -> struct caller *, owned: who is connected */
    struct timers timers;     /* what the rows of schedule tables wait for */
    uint64_t next_offset;     /* of the first record that is not in it */
    uint64_t last_client;     /* the highest client number given */
    uint64_t row_limit;       /* SET row_limit; 0: none */
    bool was_published;       /* there is a module */
    struct buf publish;       /* the last PUBLISH record, without what init changed */
    uint64_t publish_offset;
    uint8_t hash[32];         /* of the program in force */
    uint8_t first_hash[32];   /* of the first program ever published */
};

void image_init(struct image *image);
void image_deinit(struct image *image);

/* Fills an empty image from a snapshot. ERR_CORRUPT, ERR_NEWER_FORMAT, ERR_IN_USE; it is empty again then. */
err image_load(struct image *image, const struct snap_options *snap, uint64_t offset, const uint8_t database_id[16],
               struct diag *diag);
/* The same without tables, for who only reads records: schema, clients, module. Nothing may be applied to it. */
err image_load_head(struct image *image, const struct snap_options *snap, uint64_t offset,
                    const uint8_t database_id[16], struct diag *diag);
/* Brings the tables to the schema of a PUBLISH record. */
err image_migrate(struct image *image, const struct record *record, struct diag *diag);
/* Applies the record at image->next_offset. Errors name the offset; the image is of no use then. */
err image_apply(struct image *image, uint64_t offset, bytes record, struct diag *diag);
/* The same without the rows, for who must go on where they do not fit: everything else that it says is in force then,
 * and *record, which points into `content`, has the rows. */
err image_follow(struct image *image, uint64_t offset, bytes content, struct record *record, struct diag *diag);
