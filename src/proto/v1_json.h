/* v1_json — v1 messages in their text form as JSON: SATS-JSON of the same types, typed.
 *
 * The types are built once, for the life of the process. Any thread. */
#pragma once

#include "proto/v1_msg.h"

/* A client's message, appended in the form that v1_msg_decode() reads. ERR_BAD_MESSAGE with the path of what is wrong. */
err v1_json_decode(bytes text, struct buf *out, struct diag *diag);
/* Appends a server's message, made in the text form, as JSON. Row lists are left out: where they belong in `out` is
 * appended to `places`, a size_t each. */
void v1_json_print(struct buf *out, bytes message, struct buf *places);
