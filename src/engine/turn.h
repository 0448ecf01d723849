/* turn — the beat of the engine, and the way of a call. Start reading the database here.
 *
 * The engine does nothing when bytes arrive; net only queues them. Once a turn it takes what has come in, runs
 * it one by one, hands what it logged to the log's thread and what it answered to net. Nothing waits for the
 * disk: each answer says how much of the log must be durable before it may leave. */
#pragma once

#include <stdint.h>

struct engine;

/* Waits so long for something to do, then does all that is there. */
void turn_run(struct engine *engine, int64_t wait_us);
