/* route — what each method and path of the HTTP interface does.
 *
 * A route makes its reply at once or makes an errand for the database's engine; either way at the request's
 * head, before its body is read. */
#pragma once

#include "net/exchange.h"

void route_begin(struct exchange *exchange, enum method method, bytes path);

/* NULL, or what is wrong with the body that has come in. */
const char *route_check_body(const struct request *request);
