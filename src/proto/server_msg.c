#include "proto/server_msg.h"

enum server_msg_tag {
    TAG_INITIAL_CONNECTION = 0,
    TAG_SUBSCRIBE_APPLIED,
    TAG_UNSUBSCRIBE_APPLIED,
    TAG_SUBSCRIPTION_ERROR,
    TAG_TRANSACTION_UPDATE,
    TAG_ONE_OFF_RESULT,
    TAG_REDUCER_RESULT,
    TAG_PROCEDURE_RESULT,
};

/* OkEmpty (1) is never sent: a success without rows is Ok with an update of no query sets, as the reference
 * server spells it. */
enum reducer_outcome { OUTCOME_OK = 0, OUTCOME_ERR = 2, OUTCOME_INTERNAL_ERROR = 3 };

enum { OPTION_SOME = 0, OPTION_NONE = 1 };
enum { RESULT_OK = 0, RESULT_ERR = 1 };
enum { PROCEDURE_INTERNAL_ERROR = 1 };

void server_msg_initial_connection(struct buf *out, const identity *who, const connection_id *connection, bytes token)
{
    buf_put_u8(out, TAG_INITIAL_CONNECTION);
    buf_put(out, who->at, sizeof who->at);
    buf_put(out, connection->at, sizeof connection->at);
    buf_put_sized(out, token);
}

void server_msg_subscription_error(struct buf *out, const uint32_t *request_id, uint32_t query_set_id, bytes text)
{
    buf_put_u8(out, TAG_SUBSCRIPTION_ERROR);
    if (request_id != NULL) {
        buf_put_u8(out, OPTION_SOME);
        buf_put_u32(out, *request_id);
    } else {
        buf_put_u8(out, OPTION_NONE);
    }
    buf_put_u32(out, query_set_id);
    buf_put_sized(out, text);
}

void server_msg_one_off_error(struct buf *out, uint32_t request_id, bytes text)
{
    buf_put_u8(out, TAG_ONE_OFF_RESULT);
    buf_put_u32(out, request_id);
    buf_put_u8(out, RESULT_ERR);
    buf_put_sized(out, text);
}

/* The one message whose request id comes last. */
void server_msg_procedure_error(struct buf *out, uint32_t request_id, bytes text)
{
    buf_put_u8(out, TAG_PROCEDURE_RESULT);
    buf_put_u8(out, PROCEDURE_INTERNAL_ERROR);
    buf_put_sized(out, text);
    buf_put_u64(out, 0);
    buf_put_u64(out, 0);
    buf_put_u32(out, request_id);
}

static void put_outcome(struct buf *out, uint32_t request_id, int64_t timestamp_us, enum reducer_outcome outcome)
{
    buf_put_u8(out, TAG_REDUCER_RESULT);
    buf_put_u32(out, request_id);
    buf_put_u64(out, (uint64_t)timestamp_us);
    buf_put_u8(out, (uint8_t)outcome);
}

void server_msg_reducer_ok(struct buf *out, uint32_t request_id, int64_t timestamp_us)
{
    put_outcome(out, request_id, timestamp_us, OUTCOME_OK);
    buf_put_u32(out, 0);
}

/* Err holds a blob, and the blob is the BSATN of a string: two counts, one inside the other. */
void server_msg_reducer_err(struct buf *out, uint32_t request_id, int64_t timestamp_us, bytes text)
{
    put_outcome(out, request_id, timestamp_us, OUTCOME_ERR);
    buf_put_u32(out, (uint32_t)(sizeof(uint32_t) + text.size));
    buf_put_sized(out, text);
}

void server_msg_reducer_internal_error(struct buf *out, uint32_t request_id, int64_t timestamp_us, bytes text)
{
    put_outcome(out, request_id, timestamp_us, OUTCOME_INTERNAL_ERROR);
    buf_put_sized(out, text);
}

void server_msg_subscribe_applied(struct buf *out, uint32_t request_id, uint32_t query_set_id)
{
    buf_put_u8(out, TAG_SUBSCRIBE_APPLIED);
    buf_put_u32(out, request_id);
    buf_put_u32(out, query_set_id);
}

void server_msg_unsubscribe_applied(struct buf *out, uint32_t request_id, uint32_t query_set_id, bool with_rows)
{
    buf_put_u8(out, TAG_UNSUBSCRIBE_APPLIED);
    buf_put_u32(out, request_id);
    buf_put_u32(out, query_set_id);
    buf_put_u8(out, with_rows ? OPTION_SOME : OPTION_NONE);
}

void server_msg_one_off_ok(struct buf *out, uint32_t request_id)
{
    buf_put_u8(out, TAG_ONE_OFF_RESULT);
    buf_put_u32(out, request_id);
    buf_put_u8(out, RESULT_OK);
}

void server_msg_transaction_update(struct buf *out)
{
    buf_put_u8(out, TAG_TRANSACTION_UPDATE);
}
