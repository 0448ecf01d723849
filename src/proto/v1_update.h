/* v1_update — rows on their way to a v1 client: what v2 says by query set, said by table.
 *
 * It starts from the bytes that v2 clients get (server_msg.h), so subscriptions are worked out once for all. A
 * DatabaseUpdate has a table once, with one update for each query that brought rows of it. In the byte form row lists
 * are copied whole; in the text form each row becomes a JSON text.
 *
 * Source of the format: v1_msg.h. */
#pragma once

#include "proto/v1_msg.h"
#include "schema/schema.h"

struct v1_writer {
    struct buf *out;
    enum v1_form form;
    const struct schema *schema; /* that the rows were made under */
};

/* A DatabaseUpdate from the body of a v2 TransactionUpdate (u32 query sets, ...). */
void v1_update_put(const struct v1_writer *writer, bytes transaction_update);
/* A DatabaseUpdate from QueryRows back to back, `count` of them: rows that come, or rows that go. */
void v1_update_put_rows(const struct v1_writer *writer, bytes query_rows, uint32_t count, bool inserts);
/* What SubscribeApplied says of the one query's rows: the table, then its update. `query_rows` may hold no table. */
void v1_update_put_single(const struct v1_writer *writer, bytes table, bytes query_rows, bool inserts);
/* The tables of a OneOffQueryResponse, whose rows are all of this type. */
void v1_update_put_tables(const struct v1_writer *writer, bytes query_rows, const struct type *row_type);
