#include "proto/client_msg.h"

#include "base/text.h"

/* BSATN strings are UTF-8; anything else does not decode. */
static bytes get_string(struct reader *from)
{
    const bytes text = reader_get_sized(from);
    if (!text_is_utf8(text))
        from->failed = true;
    return text;
}

/* The strings are checked here and kept as the bytes they came in, so a message costs no memory: a false
 * count runs into the end of the input long before it could matter. */
static void get_subscribe(struct reader *from, struct client_msg *msg)
{
    msg->query_set_id = reader_get_u32(from);
    msg->query_count = reader_get_u32(from);
    const uint8_t *const start = from->at;
    for (uint32_t i = 0; i < msg->query_count && !from->failed; i++)
        get_string(from);
    msg->queries = reader_of(bytes_of(start, (size_t)(from->at - start)));
}

static void get_unsubscribe(struct reader *from, struct client_msg *msg)
{
    msg->query_set_id = reader_get_u32(from);
    const uint8_t flags = reader_get_u8(from);
    if (flags > 1)
        from->failed = true;
    msg->send_dropped_rows = flags == 1;
}

/* Reducers and procedures are called by the same fields. No flag is defined: a client that sets one wants
 * something that is not known here. */
static void get_call(struct reader *from, struct client_msg *msg)
{
    if (reader_get_u8(from) != 0)
        from->failed = true;
    msg->text = get_string(from);
    msg->args = reader_get_sized(from);
}

static const char *const kind_names[] = {
    [CLIENT_SUBSCRIBE] = "Subscribe",          [CLIENT_UNSUBSCRIBE] = "Unsubscribe",
    [CLIENT_ONE_OFF_QUERY] = "OneOffQuery",    [CLIENT_CALL_REDUCER] = "CallReducer",
    [CLIENT_CALL_PROCEDURE] = "CallProcedure",
};

static void get_body(struct reader *from, struct client_msg *msg)
{
    msg->request_id = reader_get_u32(from);
    switch (msg->kind) {
    case CLIENT_SUBSCRIBE: get_subscribe(from, msg); return;
    case CLIENT_UNSUBSCRIBE: get_unsubscribe(from, msg); return;
    case CLIENT_ONE_OFF_QUERY: msg->text = get_string(from); return;
    case CLIENT_CALL_REDUCER:
    case CLIENT_CALL_PROCEDURE: get_call(from, msg); return;
    }
    unreachable();
}

err client_msg_decode(struct reader *from, struct client_msg *msg, struct diag *diag)
{
    if (reader_left(from) == 0)
        return diag_set(diag, ERR_BAD_MESSAGE, "the message is empty");
    const uint8_t tag = reader_get_u8(from);
    if (tag >= COUNTOF(kind_names))
        return diag_set(diag, ERR_BAD_MESSAGE, "no client message has the tag %u", tag);
    memset(msg, 0, sizeof *msg);
    msg->kind = (enum client_msg_kind)tag;
    get_body(from, msg);
    if (from->failed)
        return diag_set(diag, ERR_BAD_MESSAGE, "the %s message is cut short or malformed", kind_names[tag]);
    return OK;
}
