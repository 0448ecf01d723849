/* aside — work that reads the past, on a thread of its own beside the engine, one job after the other.
 *
 * A job has two halves: `work` reads the database's directory on that thread, `finish` answers on the engine's. The
 * thread begins with the first job.
 *
 * Rules
 *   A1  What a job reads is durable, and holds everything that had happened when it was begun.
 *   A2  Every job is finished exactly once, also when the engine stops: with ERR_BUSY then. */
#pragma once

#include "engine/history.h"
#include "engine/port.h"

struct engine;
struct aside;

/* The head of a job; `finish` frees it. */
struct aside_job {
    struct request *request; /* whose answer waits for it */
    err (*work)(struct aside *aside, struct aside_job *job, struct history *history, struct diag *diag);
    void (*finish)(struct engine *engine, struct aside_job *job);
    uint64_t needs; /* A1 */
    err code;       /* of `work` */
    struct diag diag;
    struct aside_job *next;
};

struct aside *aside_new(struct engine *engine);
/* Ends the thread and finishes what is left (A2). The engine's thread, as one of its last acts. */
void aside_stop(struct aside *aside);
void aside_free(struct aside *aside); /* NULL is fine */

/* The engine's thread. ERR_BUSY when too many wait: the job is the caller's then. */
err aside_begin(struct aside *aside, struct aside_job *job, struct diag *diag);
/* In place of the thread, by hand: works on the next job. False when there is none that could be begun (A1). */
bool aside_step(struct aside *aside);
/* Once a turn: finishes what has been worked out. */
void aside_finish(struct aside *aside);

/* For `work`: false when the engine stops, and it should end. */
bool aside_goes_on(const struct aside *aside);
/* For `work`: kept from job to job. */
struct images *aside_images(struct aside *aside);
