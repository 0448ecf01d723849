/* requests — HTTP on the engine's side: calls, SQL, descriptions and logs. */
#pragma once

#include "engine/state.h"

void requests_run(struct engine *engine, struct request *request);

/* For who answers a request later than its turn. A refusal's status follows from the diag's code. */
void request_set_json(struct request *request);
void request_refuse(struct request *request, const struct diag *diag);
/* M1 of answer.h: a call waits for the log, and so does every request that does not say that it need not. */
void request_reply(struct engine *engine, struct request *request);
