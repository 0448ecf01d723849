#include "proto/v1_json.h"

#include "sats/json.h"

#include <pthread.h>

static struct arena arena; /* lives as long as the process */
static const struct type *client_message, *server_message;
static const struct type *rows; /* lists of them, which stand apart (v1_message.h) */

/* { name, type } pairs as fields or variants. */
#define FIELDS(...) (const struct type_field[]){ __VA_ARGS__ }, COUNTOF(((const struct type_field[]){ __VA_ARGS__ }))
#define PRODUCT(...) type_product(&arena, FIELDS(__VA_ARGS__))
#define SUM(...) type_sum(&arena, FIELDS(__VA_ARGS__))
#define FIELD(name_, type_) { { (const uint8_t *)(name_), sizeof(name_) - 1 }, type_ }

#define STRING type_scalar(TYPE_STRING)
#define U32 type_scalar(TYPE_U32)
#define U64 type_scalar(TYPE_U64)

static const struct type *make_client_message(void)
{
    const struct type *const query_id = PRODUCT(FIELD("id", U32));
    const struct type *const strings = type_array(&arena, STRING);
    const struct type *const flags = type_scalar(TYPE_U8);
    const struct type *const unsubscribe = PRODUCT(FIELD("request_id", U32), FIELD("query_id", query_id));
    return SUM(
        FIELD("CallReducer", PRODUCT(FIELD("reducer", STRING), FIELD("args", STRING), FIELD("request_id", U32),
                                     FIELD("flags", flags))),
        FIELD("Subscribe", PRODUCT(FIELD("query_strings", strings), FIELD("request_id", U32))),
        FIELD("OneOffQuery", PRODUCT(FIELD("message_id", type_bytes()), FIELD("query_string", STRING))),
        FIELD("SubscribeSingle",
              PRODUCT(FIELD("query", STRING), FIELD("request_id", U32), FIELD("query_id", query_id))),
        FIELD("SubscribeMulti",
              PRODUCT(FIELD("query_strings", strings), FIELD("request_id", U32), FIELD("query_id", query_id))),
        FIELD("Unsubscribe", unsubscribe), FIELD("UnsubscribeMulti", unsubscribe),
        FIELD("CallProcedure", PRODUCT(FIELD("procedure", STRING), FIELD("args", STRING), FIELD("request_id", U32),
                                       FIELD("flags", flags))));
}

static const struct type *make_table_update(void)
{
    const struct type *const update = PRODUCT(FIELD("deletes", rows), FIELD("inserts", rows));
    return PRODUCT(FIELD("table_id", U32), FIELD("table_name", STRING), FIELD("num_rows", U64),
                   FIELD("updates", type_array(&arena, update)));
}

static const struct type *make_transaction_update(const struct type *database_update)
{
    const struct type *const status = SUM(FIELD("Committed", database_update), FIELD("Failed", STRING),
                                          FIELD("OutOfEnergy", type_unit()));
    const struct type *const call = PRODUCT(FIELD("reducer_name", STRING), FIELD("reducer_id", U32),
                                            FIELD("args", STRING), FIELD("request_id", U32));
    return PRODUCT(FIELD("status", status), FIELD("timestamp", type_special(SPECIAL_TIMESTAMP)),
                   FIELD("caller_identity", type_special(SPECIAL_IDENTITY)),
                   FIELD("caller_connection_id", type_special(SPECIAL_CONNECTION_ID)), FIELD("reducer_call", call),
                   FIELD("energy_quanta_used", PRODUCT(FIELD("quanta", type_scalar(TYPE_U128)))),
                   FIELD("total_host_execution_duration", type_special(SPECIAL_TIME_DURATION)));
}

static const struct type *make_applied(const char *name, const struct type *type)
{
    const struct type_field rows_field = { bytes_of_text(name), type };
    return PRODUCT(FIELD("request_id", U32), FIELD("total_host_execution_duration_micros", U64),
                   FIELD("query_id", PRODUCT(FIELD("id", U32))), rows_field);
}

static const struct type *make_one_off_response(void)
{
    const struct type *const table =
        PRODUCT(FIELD("table_name", STRING), FIELD("rows", rows));
    return PRODUCT(FIELD("message_id", type_bytes()), FIELD("error", type_option(&arena, STRING)),
                   FIELD("tables", type_array(&arena, table)),
                   FIELD("total_host_execution_duration", type_special(SPECIAL_TIME_DURATION)));
}

static const struct type *make_procedure_result(void)
{
    const struct type *const status =
        SUM(FIELD("Returned", STRING), FIELD("OutOfEnergy", type_unit()), FIELD("InternalError", STRING));
    return PRODUCT(FIELD("status", status), FIELD("timestamp", type_special(SPECIAL_TIMESTAMP)),
                   FIELD("total_host_execution_duration", type_special(SPECIAL_TIME_DURATION)), FIELD("request_id", U32));
}

static const struct type *make_server_message(void)
{
    const struct type *const table = make_table_update();
    const struct type *const update = PRODUCT(FIELD("tables", type_array(&arena, table)));
    const struct type *const of_table =
        PRODUCT(FIELD("table_id", U32), FIELD("table_name", STRING), FIELD("table_rows", table));
    const struct type *const single = make_applied("rows", of_table);
    const struct type *const multi = make_applied("update", update);
    const struct type *const some_id = type_option(&arena, U32);
    return SUM(
        FIELD("InitialSubscription",
              PRODUCT(FIELD("database_update", update), FIELD("request_id", U32),
                      FIELD("total_host_execution_duration", type_special(SPECIAL_TIME_DURATION)))),
        FIELD("TransactionUpdate", make_transaction_update(update)),
        FIELD("TransactionUpdateLight", PRODUCT(FIELD("request_id", U32), FIELD("update", update))),
        FIELD("IdentityToken",
              PRODUCT(FIELD("identity", type_special(SPECIAL_IDENTITY)), FIELD("token", STRING),
                      FIELD("connection_id", type_special(SPECIAL_CONNECTION_ID)))),
        FIELD("OneOffQueryResponse", make_one_off_response()), FIELD("SubscribeApplied", single),
        FIELD("UnsubscribeApplied", single),
        FIELD("SubscriptionError",
              PRODUCT(FIELD("total_host_execution_duration_micros", U64), FIELD("request_id", some_id),
                      FIELD("query_id", some_id), FIELD("table_id", some_id), FIELD("error", STRING))),
        FIELD("SubscribeMultiApplied", multi), FIELD("UnsubscribeMultiApplied", multi),
        FIELD("ProcedureResult", make_procedure_result()));
}

static void make_types(void)
{
    arena_init(&arena);
    rows = type_product(&arena, NULL, 0);
    client_message = make_client_message();
    server_message = make_server_message();
}

static void types_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_types);
}

err v1_json_decode(bytes text, struct buf *out, struct diag *diag)
{
    types_once();
    if (json_parse(client_message, text, out, diag) == OK)
        return OK;
    diag_note(diag, "the v1 message does not decode: ");
    return diag->code = ERR_BAD_MESSAGE;
}

void v1_json_print(struct buf *out, bytes message, struct buf *places)
{
    types_once();
    json_print_around(out, server_message, message, JSON_TYPED, rows, places);
}
