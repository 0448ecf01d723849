#include "proto/v1_msg.h"

#include "base/text.h"

enum server_tag {
    TAG_INITIAL_SUBSCRIPTION = 0, TAG_TRANSACTION_UPDATE, TAG_TRANSACTION_UPDATE_LIGHT, TAG_IDENTITY_TOKEN,
    TAG_ONE_OFF_QUERY_RESPONSE, TAG_SUBSCRIBE_APPLIED, TAG_UNSUBSCRIBE_APPLIED, TAG_SUBSCRIPTION_ERROR,
    TAG_SUBSCRIBE_MULTI_APPLIED, TAG_UNSUBSCRIBE_MULTI_APPLIED, TAG_PROCEDURE_RESULT,
};

enum { OPTION_SOME = 0, OPTION_NONE = 1 };
enum { STATUS_COMMITTED = 0, STATUS_FAILED = 1 };
enum { PROCEDURE_INTERNAL_ERROR = 2 };

/* In */

static bytes get_string(struct reader *from)
{
    const bytes text = reader_get_sized(from);
    if (!text_is_utf8(text))
        from->failed = true;
    return text;
}

/* They stay where they are; a false count runs into the end of the input. */
static void get_queries(struct reader *from, struct v1_msg *msg, uint32_t count)
{
    const uint8_t *const start = from->at;
    msg->query_count = count;
    for (uint32_t idx = 0; idx < count && !from->failed; idx++)
        (void)get_string(from);
    msg->queries = reader_of(bytes_of(start, (size_t)(from->at - start)));
}

static void get_call(struct reader *from, struct v1_msg *msg)
{
    msg->text = get_string(from);
    msg->args = reader_get_sized(from);
    msg->request_id = reader_get_u32(from);
    msg->flags = reader_get_u8(from);
    if (msg->flags > (msg->kind == V1_CALL_REDUCER ? V1_FLAG_NO_SUCCESS_NOTIFY : 0))
        from->failed = true;
}

static void get_body(struct reader *from, struct v1_msg *msg)
{
    switch (msg->kind) {
    case V1_CALL_REDUCER:
    case V1_CALL_PROCEDURE: get_call(from, msg); return;
    case V1_SUBSCRIBE:
        get_queries(from, msg, reader_get_u32(from));
        msg->request_id = reader_get_u32(from);
        return;
    case V1_ONE_OFF_QUERY:
        msg->message_id = reader_get_sized(from);
        msg->text = get_string(from);
        return;
    case V1_SUBSCRIBE_SINGLE:
    case V1_SUBSCRIBE_MULTI:
        get_queries(from, msg, msg->kind == V1_SUBSCRIBE_SINGLE ? 1 : reader_get_u32(from));
        msg->request_id = reader_get_u32(from);
        msg->query_id = reader_get_u32(from);
        return;
    case V1_UNSUBSCRIBE:
    case V1_UNSUBSCRIBE_MULTI:
        msg->request_id = reader_get_u32(from);
        msg->query_id = reader_get_u32(from);
        return;
    case V1_MSG_KIND_COUNT: break;
    }
    unreachable();
}

err v1_msg_decode(bytes from, struct v1_msg *msg, struct diag *diag)
{
    struct reader reader = reader_of(from);
    if (from.size == 0)
        return diag_set(diag, ERR_BAD_MESSAGE, "the message is empty");
    const uint8_t tag = reader_get_u8(&reader);
    if (tag >= V1_MSG_KIND_COUNT)
        return diag_set(diag, ERR_BAD_MESSAGE, "no v1 client message has the tag %u", tag);
    *msg = (struct v1_msg){ .kind = (enum v1_msg_kind)tag };
    get_body(&reader, msg);
    if (reader.failed)
        return diag_set(diag, ERR_BAD_MESSAGE, "the v1 message with the tag %u is cut short or malformed", tag);
    return OK;
}

/* Out */

static void put_option_u32(struct buf *out, const uint32_t *value)
{
    buf_put_u8(out, value != NULL ? OPTION_SOME : OPTION_NONE);
    if (value != NULL)
        buf_put_u32(out, *value);
}

void v1_put_identity_token(struct buf *out, const identity *who, bytes token, const connection_id *connection)
{
    buf_put_u8(out, TAG_IDENTITY_TOKEN);
    buf_put(out, who->at, sizeof who->at);
    buf_put_sized(out, token);
    buf_put(out, connection->at, sizeof connection->at);
}

void v1_put_subscription_error(struct buf *out, int64_t duration_us, const uint32_t *request_id,
                               const uint32_t *query_id, bytes text)
{
    buf_put_u8(out, TAG_SUBSCRIPTION_ERROR);
    buf_put_u64(out, (uint64_t)duration_us);
    put_option_u32(out, request_id);
    put_option_u32(out, query_id);
    put_option_u32(out, NULL); /* the table is not told: what fails is a query */
    buf_put_sized(out, text);
}

void v1_put_procedure_error(struct buf *out, uint32_t request_id, bytes text)
{
    buf_put_u8(out, TAG_PROCEDURE_RESULT);
    buf_put_u8(out, PROCEDURE_INTERNAL_ERROR);
    buf_put_sized(out, text);
    buf_put_u64(out, 0);
    buf_put_u64(out, 0);
    buf_put_u32(out, request_id);
}

void v1_put_initial_subscription(struct buf *out)
{
    buf_put_u8(out, TAG_INITIAL_SUBSCRIPTION);
}

void v1_put_initial_subscription_end(struct buf *out, uint32_t request_id, int64_t duration_us)
{
    buf_put_u32(out, request_id);
    buf_put_u64(out, (uint64_t)duration_us);
}

static void put_applied(struct buf *out, enum server_tag tag, uint32_t request_id, uint32_t query_id, int64_t duration_us)
{
    buf_put_u8(out, (uint8_t)tag);
    buf_put_u32(out, request_id);
    buf_put_u64(out, (uint64_t)duration_us);
    buf_put_u32(out, query_id);
}

void v1_put_single_applied(struct buf *out, bool subscribes, uint32_t request_id, uint32_t query_id, int64_t duration_us)
{
    put_applied(out, subscribes ? TAG_SUBSCRIBE_APPLIED : TAG_UNSUBSCRIBE_APPLIED, request_id, query_id, duration_us);
}

void v1_put_multi_applied(struct buf *out, bool subscribes, uint32_t request_id, uint32_t query_id, int64_t duration_us)
{
    put_applied(out, subscribes ? TAG_SUBSCRIBE_MULTI_APPLIED : TAG_UNSUBSCRIBE_MULTI_APPLIED, request_id, query_id,
                duration_us);
}

void v1_put_one_off(struct buf *out, bytes message_id)
{
    buf_put_u8(out, TAG_ONE_OFF_QUERY_RESPONSE);
    buf_put_sized(out, message_id);
    buf_put_u8(out, OPTION_NONE);
}

void v1_put_one_off_error(struct buf *out, bytes message_id, bytes text, int64_t duration_us)
{
    buf_put_u8(out, TAG_ONE_OFF_QUERY_RESPONSE);
    buf_put_sized(out, message_id);
    buf_put_u8(out, OPTION_SOME);
    buf_put_sized(out, text);
    buf_put_u32(out, 0);
    buf_put_u64(out, (uint64_t)duration_us);
}

void v1_put_light_update(struct buf *out)
{
    buf_put_u8(out, TAG_TRANSACTION_UPDATE_LIGHT);
    buf_put_u32(out, 0);
}

void v1_put_call_committed(struct buf *out)
{
    buf_put_u8(out, TAG_TRANSACTION_UPDATE);
    buf_put_u8(out, STATUS_COMMITTED);
}

void v1_put_call_failed(struct buf *out, bytes text)
{
    buf_put_u8(out, TAG_TRANSACTION_UPDATE);
    buf_put_u8(out, STATUS_FAILED);
    buf_put_sized(out, text);
}

/* Nobody pays here: the energy used is 0. */
void v1_put_call_end(struct buf *out, const struct v1_call *call)
{
    buf_put_u64(out, (uint64_t)call->timestamp_us);
    buf_put(out, call->who.at, sizeof call->who.at);
    buf_put(out, call->connection.at, sizeof call->connection.at);
    buf_put_sized(out, call->reducer);
    buf_put_u32(out, call->reducer_id);
    buf_put_sized(out, call->args);
    buf_put_u32(out, call->request_id);
    buf_put_u64(out, 0);
    buf_put_u64(out, 0);
    buf_put_u64(out, (uint64_t)call->duration_us);
}
