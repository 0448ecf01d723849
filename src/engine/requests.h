/* requests — HTTP on the engine's side: calls, SQL, descriptions and logs. */
#pragma once

#include "engine/state.h"

void requests_run(struct engine *engine, struct request *request);

/* For who answers a request later than its turn. A refusal's status follows from the diag's code. */
void request_set_json(struct request *request);
void request_refuse(struct request *request, const struct diag *diag);
/* M1 of answer.h holds for calls, and for what says that it waits. */
void request_reply(struct engine *engine, struct request *request);
