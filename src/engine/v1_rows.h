/* v1_rows — what a client of v1 is answered with when it subscribes or unsubscribes: the rows of the queries concerned.
 *
 * They are gathered query by query: those at hand as bytes, those that take long as openings (sub/subs.h). With openings
 * the answer is given later, and put into v1's words beside the engine (openings.h): JSON takes longer than the rows do.
 * Who waits for rows that others wait for, too, shares what is made of them, and nothing of it is kept for those who may
 * come when all of these have been told.
 *
 * Rules
 *   R1  A subscription whose rows cannot be told in the end is refused, and the connection closes: commits may have been
 *       told to its sets, or to others that share them, of rows that were never shown.
 *   R2  Awaited rows are translated once for each form, however many clients wait for them and whatever else they are
 *       shown. */
#pragma once

#include "engine/openings.h"
#include "proto/v1_message.h"

enum v1_subscription_kind { V1_WHOLE, V1_SINGLE, V1_MULTI };

struct v1_rows {
    struct late_answer answer;
    enum v1_subscription_kind kind;
    bool subscribes;
    uint32_t request_id, query_id;
    int64_t started_us;
    struct engine *engine; /* borrowed */
    enum v1_form form;
    struct schema *schema; /* held: of the rows */
    struct buf table;      /* of a single query: whose rows they are */
    struct buf at_hand;    /* QueryRows back to back */
    uint32_t block_count;  /* of them */
    size_t rows_size;      /* of all that the message tells of, as they came */
    struct opening **openings; /* owned, as the list is */
    uint32_t opening_count;
    err code;               /* why there is no message */
    struct diag diag;
    struct buf elements;       /* of the message being made */
    struct v1_message message; /* as it goes out, once it is made */
};

/* The answer to a message that subscribes or unsubscribes. */
struct v1_rows *v1_rows_new(struct engine *engine, const struct client *client, const struct v1_msg *msg);
void v1_rows_free(struct v1_rows *rows);
/* After subs_subscribe() or subs_unsubscribe() with `at_hand`: the rows have been appended, or are in the opening. */
void v1_rows_add(struct v1_rows *rows, struct opening *opening);

/* Both take the rows over. The answer is given now or later. */
void v1_rows_tell(struct v1_rows *rows, struct engine *engine, struct client *client);
void v1_rows_refuse(struct v1_rows *rows, struct engine *engine, struct client *client, const struct diag *diag);
