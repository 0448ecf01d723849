/* v1_update — rows on their way to a v1 client: what v2 says by query set, said by table.
 *
 * It starts from the row lists that v2 clients get (row_list.h), so subscriptions are worked out once for all. A
 * DatabaseUpdate has a table once, with one update for each query that brought rows of it. In the byte form row lists
 * are what they were; in the text form each row becomes a JSON text, and a list of them a piece (v1_message.h), which is
 * what takes long.
 *
 * Source of the format: v1_msg.h. */
#pragma once

#include "proto/row_list.h"
#include "proto/v1_message.h"
#include "sats/json.h"
#include "schema/schema.h"

struct v1_writer {
    struct v1_message *message;
    const struct schema *schema; /* that the rows were made under */
    bool in_background;          /* the thread stands back for calls */
};

struct v1_list {
    struct row_list_view rows;
    struct shared *piece; /* held; NULL: not needed, or too large */
};

/* One query's rows of one table. */
struct v1_element {
    bytes table;
    size_t place; /* as it came: elements of one table stay in that order */
    struct v1_list inserts, deletes;
};

/* Appends one to a buffer of them, without rows; good until the next. */
struct v1_element *v1_elements_add(struct buf *elements, bytes table);
struct v1_element *v1_elements_at(const struct buf *elements, uint32_t place);
uint32_t v1_elements_count(const struct buf *elements);

/* Without a piece a list is copied into the message. */
bool v1_list_needs_piece(const struct v1_list *list, enum v1_form form);
/* The rows as they go out in the writer's form; NULL when they are more than a message may hold. Rows that come from a
 * table are JSON_STORED when they are shown and JSON_UNTYPED when they change. */
struct shared *v1_list_make_piece(const struct v1_writer *writer, const struct row_list_view *rows, bytes table,
                                  enum json_style style);
/* Counts the piece, and takes the hold over. */
void v1_list_set_piece(struct v1_message *message, struct v1_list *list, struct shared *piece);

/* A DatabaseUpdate. All that follow take the pieces over, and leave no elements. */
void v1_update_put(const struct v1_writer *writer, struct buf *elements);
/* What SubscribeApplied says of the one query's rows: the table, then its update. There may be no element. */
void v1_update_put_single(const struct v1_writer *writer, bytes table, struct buf *elements);
/* The tables of a OneOffQueryResponse from QueryRows, whose rows are all of this type. */
void v1_update_put_tables(const struct v1_writer *writer, bytes query_rows, const struct type *row_type);
