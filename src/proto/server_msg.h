/* server_msg — what a client is told, as v2/v3 bytes (compat: ServerMessage).
 *
 * Each function appends one whole message to `out`, without the compression byte: net/ frames messages,
 * since v2 wants one a frame and v3 takes many. */
#pragma once

#include "base/buf.h"
#include "proto/row_list.h"
#include "sats/ident.h"

void server_msg_initial_connection(struct buf *out, const identity *who, const connection_id *connection, bytes token);
void server_msg_subscription_error(struct buf *out, const uint32_t *request_id, uint32_t query_set_id, bytes text); /* NULL: none */
void server_msg_one_off_error(struct buf *out, uint32_t request_id, bytes text);
void server_msg_procedure_error(struct buf *out, uint32_t request_id, bytes text); /* timestamp and duration 0 */

/* ReducerResult up to and including its variant; Ok is followed by an update (server_msg_update_*). */
void server_msg_reducer_ok(struct buf *out, uint32_t request_id, int64_t timestamp_us); /* ret_value empty; the update follows */
void server_msg_reducer_err(struct buf *out, uint32_t request_id, int64_t timestamp_us, bytes text);
void server_msg_reducer_internal_error(struct buf *out, uint32_t request_id, int64_t timestamp_us, bytes text);

/* The heads of messages whose rows follow, table by table:
 *     QueryRows = u32 tables; per table: sized name, row list. */
void server_msg_subscribe_applied(struct buf *out, uint32_t request_id, uint32_t query_set_id); /* QueryRows follow */
void server_msg_unsubscribe_applied(struct buf *out, uint32_t request_id, uint32_t query_set_id, bool with_rows);
void server_msg_one_off_ok(struct buf *out, uint32_t request_id); /* QueryRows follow */

/* A TransactionUpdate: the tag, then u32 query sets; per set: u32 id, u32 tables; per table: sized name, u32
 * row elements, each a TableUpdateRows as row_list_update() made it. */
void server_msg_transaction_update(struct buf *out);
