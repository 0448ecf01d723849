/* Any payload decodes or is refused: message by message, as a v3 connection reads it, nothing outside the input is
 * touched, and the views of what was decoded lie inside it. */
#include "proto/client_msg.h"

static void check_inside(bytes part, bytes whole)
{
    check(part.size == 0 || (part.at >= whole.at && part.at + part.size <= whole.at + whole.size));
}

static void check_message(const struct client_msg *msg, bytes payload)
{
    check_inside(msg->text, payload);
    check_inside(msg->args, payload);
    struct reader queries = msg->queries;
    for (uint32_t i = 0; i < msg->query_count; i++)
        check_inside(reader_get_sized(&queries), payload);
    check(!queries.failed);
    check(reader_left(&queries) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const bytes payload = bytes_of(data, size);
    struct reader from = reader_of(payload);
    struct client_msg msg;
    struct diag diag;
    while (reader_left(&from) > 0) {
        if (client_msg_decode(&from, &msg, &diag) != OK) {
            check(diag.code == ERR_BAD_MESSAGE);
            break;
        }
        check_message(&msg, payload);
    }
    return 0;
}
