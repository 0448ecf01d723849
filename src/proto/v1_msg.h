/* v1_msg — the messages of the v1 protocols, which clients older than v2 speak.
 *
 * Both forms have one layout of bytes, so one decoder and one set of writers serve them. What differs is inside
 * (V1_TEXT): arguments are JSON text, and rows are one JSON text each. v1_json.h turns a whole message of that form
 * into JSON, and JSON into it.
 *
 * Source of the format: v1.bsatn.spacetimedb and v1.json.spacetimedb as SpacetimeDB 2.8 speaks them. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "sats/ident.h"

enum v1_form { V1_BYTES, V1_TEXT };

enum v1_msg_kind {
    V1_CALL_REDUCER = 0, V1_SUBSCRIBE, V1_ONE_OFF_QUERY, V1_SUBSCRIBE_SINGLE, V1_SUBSCRIBE_MULTI, V1_UNSUBSCRIBE,
    V1_UNSUBSCRIBE_MULTI, V1_CALL_PROCEDURE, V1_MSG_KIND_COUNT,
};

/* A call that says so in its flags is not told of its success. */
enum { V1_FLAG_NO_SUCCESS_NOTIFY = 1 };

/* What a client asks. All bytes point into the input. */
struct v1_msg {
    enum v1_msg_kind kind;
    uint32_t request_id;
    uint32_t query_id;     /* single, multi, unsubscribe */
    uint32_t query_count;  /* subscribe, single, multi */
    struct reader queries; /* query_count sized strings, checked */
    bytes message_id;      /* one-off query */
    bytes text;            /* one-off: the query; call: the name */
    bytes args;            /* call: BSATN or, in the text form, JSON */
    uint8_t flags;         /* call */
};

/* ERR_BAD_MESSAGE. What stands behind the message is ignored, as in v2. */
err v1_msg_decode(bytes from, struct v1_msg *msg, struct diag *diag);

/* What the server tells. Each function appends one whole message, or its head: then a DatabaseUpdate follows, made by
 * v1_update.h. Durations are in microseconds. */
void v1_put_identity_token(struct buf *out, const identity *who, bytes token, const connection_id *connection);
/* `request_id` and `query_id` may be NULL: none. */
void v1_put_subscription_error(struct buf *out, int64_t duration_us, const uint32_t *request_id,
                               const uint32_t *query_id, bytes text);
void v1_put_procedure_error(struct buf *out, uint32_t request_id, bytes text);

/* InitialSubscription: the update, then v1_put_initial_subscription_end(). */
void v1_put_initial_subscription(struct buf *out);
void v1_put_initial_subscription_end(struct buf *out, uint32_t request_id, int64_t duration_us);

/* The head of SubscribeApplied or UnsubscribeApplied; v1_update_put_single() follows. */
void v1_put_single_applied(struct buf *out, bool subscribes, uint32_t request_id, uint32_t query_id, int64_t duration_us);
/* SubscribeMultiApplied or UnsubscribeMultiApplied; the update follows. */
void v1_put_multi_applied(struct buf *out, bool subscribes, uint32_t request_id, uint32_t query_id, int64_t duration_us);

/* OneOffQueryResponse: the tables (v1_update_put_tables()), then the duration as an i64. */
void v1_put_one_off(struct buf *out, bytes message_id);
void v1_put_one_off_error(struct buf *out, bytes message_id, bytes text, int64_t duration_us);

/* TransactionUpdateLight; the update follows. Who is no caller is told the request id 0. */
void v1_put_light_update(struct buf *out);

/* What a caller is told of its call. */
struct v1_call {
    int64_t timestamp_us, duration_us;
    identity who;
    connection_id connection;
    bytes reducer;
    uint32_t reducer_id; /* its place, or UINT32_MAX when there is none of that name */
    bytes args;          /* in the form of the message */
    uint32_t request_id;
};
/* TransactionUpdate: `committed` is followed by the update and v1_put_call_end(). */
void v1_put_call_committed(struct buf *out);
void v1_put_call_failed(struct buf *out, bytes text);
void v1_put_call_end(struct buf *out, const struct v1_call *call);
