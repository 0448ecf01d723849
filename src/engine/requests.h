/* requests — HTTP on the engine's side: calls, SQL, descriptions and logs. */
#pragma once

#include "engine/state.h"

void requests_run(struct engine *engine, struct request *request);
