/* Any v1 message, as bytes or as JSON, decodes or is refused; the views of what was decoded lie inside it. */
#include "proto/v1_json.h"
#include "proto/v1_msg.h"

static void check_inside(bytes part, bytes whole)
{
    check(part.size == 0 || (part.at >= whole.at && part.at + part.size <= whole.at + whole.size));
}

static void check_message(bytes payload)
{
    struct v1_msg msg;
    struct diag diag;
    if (v1_msg_decode(payload, &msg, &diag) != OK) {
        check(diag.code == ERR_BAD_MESSAGE);
        return;
    }
    check_inside(msg.text, payload);
    check_inside(msg.args, payload);
    check_inside(msg.message_id, payload);
    struct reader queries = msg.queries;
    for (uint32_t idx = 0; idx < msg.query_count; idx++)
        check_inside(reader_get_sized(&queries), payload);
    check(!queries.failed && reader_left(&queries) == 0);
}

/* What JSON has made decodes, but for flags that mean nothing. */
static void check_json(bytes text)
{
    struct buf decoded = { 0 };
    struct diag diag;
    if (v1_json_decode(text, &decoded, &diag) == OK)
        check_message(buf_bytes(&decoded));
    else
        check(diag.code == ERR_BAD_MESSAGE && decoded.size == 0);
    buf_deinit(&decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_message(bytes_of(data, size));
    check_json(bytes_of(data, size));
    return 0;
}
