/* requests — HTTP on the engine's side: calls, SQL, descriptions and logs. */
#pragma once

#include "engine/state.h"

void requests_run(struct engine *engine, struct request *request);

/* For who answers a request later than its turn. A refusal's status follows from the diag's code. */
void request_set_json(struct request *request);
void request_refuse(struct request *request, const struct diag *diag);
/* `needs`: the log must be durable below it before the answer leaves, where the request waits for that. */
void request_reply(struct engine *engine, struct request *request, uint64_t needs);
