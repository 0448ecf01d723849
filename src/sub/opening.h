/* opening — the first rows of a set that are not all there yet: QueryRows in parts, some of them awaited. */
#pragma once

#include "sub/first_rows.h"
#include "sub/shared_query.h"
#include "sub/subs.h"

struct opening {
    struct query_set *set; /* that it opens; NULL once that is gone, or when the rows are asked for at its end */
    struct buf bytes;      /* of all parts that are there */
    struct opening_part {
        size_t size;                /* the next so many of the bytes */
        struct first_rows *awaited; /* held; NULL: none */
    } *parts; /* owned */
    uint32_t part_count;
};

struct opening *opening_new(void);
void opening_add_bytes(struct opening *opening, bytes part);
void opening_add_awaited(struct opening *opening, struct first_rows *rows); /* takes the hold over */
