/* client_msg — what a client asks, decoded from v2/v3 bytes (compat: ClientMessage).
 *
 * Strict and without copies: all bytes point into the input. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum client_msg_kind {
    CLIENT_SUBSCRIBE = 0, CLIENT_UNSUBSCRIBE, CLIENT_ONE_OFF_QUERY, CLIENT_CALL_REDUCER, CLIENT_CALL_PROCEDURE,
};

struct client_msg {
    enum client_msg_kind kind;
    uint32_t request_id;
    uint32_t query_set_id;    /* subscribe, unsubscribe */
    uint32_t query_count;     /* subscribe */
    struct reader queries;    /* subscribe: query_count sized strings, checked; read with reader_get_sized */
    bool send_dropped_rows;   /* unsubscribe */
    bytes text;               /* one-off: the query; call: the name */
    bytes args;               /* call */
};

/* Takes one message from `from`. v3 payloads hold several: call until reader_left() is 0. ERR_BAD_MESSAGE. */
err client_msg_decode(struct reader *from, struct client_msg *msg, struct diag *diag);
