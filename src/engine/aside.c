#include "engine/aside.h"

#include "engine/as_of.h"
#include "engine/state.h"

#include <unistd.h>

enum { WAITING_MAX = 64, WAIT_STEP_US = 1000 };

struct aside {
    struct engine *engine; /* borrowed */
    struct images *images; /* owned; the worker's */
    pthread_t thread;
    bool thread_runs;
    pthread_mutex_t lock;
    pthread_cond_t has_work;
    /* under the lock */
    struct aside_job *first, *last; /* waiting */
    uint32_t waiting;
    struct aside_job *done; /* the latest first */
    atomic_bool stopping;
};

struct aside *aside_new(struct engine *engine)
{
    struct aside *aside = memory_new(sizeof *aside);
    aside->engine = engine;
    aside->images = images_new();
    pthread_mutex_init(&aside->lock, NULL);
    pthread_cond_init(&aside->has_work, NULL);
    return aside;
}

void aside_free(struct aside *aside)
{
    if (aside == NULL)
        return;
    check(aside->first == NULL && aside->done == NULL && !aside->thread_runs);
    images_free(aside->images);
    pthread_cond_destroy(&aside->has_work);
    pthread_mutex_destroy(&aside->lock);
    memory_free(aside);
}

struct images *aside_images(struct aside *aside)
{
    return aside->images;
}

/* --- The worker --- */

bool aside_goes_on(const struct aside *aside)
{
    return !atomic_load(&aside->stopping);
}

static bool go_on(void *context, uint64_t done, uint64_t all)
{
    return aside_goes_on(context);
}

static err wait_durable(const struct aside *aside, uint64_t offset, struct diag *diag)
{
    while (wal_durable_offset(aside->engine->wal) < offset) {
        if (atomic_load(&aside->stopping))
            return diag_set(diag, ERR_BUSY, "the database is stopping");
        usleep(WAIT_STEP_US);
    }
    return OK;
}

static err work(struct aside *aside, struct aside_job *job)
{
    struct history *history;
    TRY(wait_durable(aside, job->needs, &job->diag));
    TRY(history_open(&history, aside->engine->disk, aside->engine->dir, &job->diag));
    history_set_limit(history, wal_durable_offset(aside->engine->wal));
    history_set_progress(history, go_on, aside);
    const err code = job->work(aside, job, history, &job->diag);
    history_close(history);
    return code;
}

/* The first that waits, or NULL when the engine stops. */
static struct aside_job *take(struct aside *aside)
{
    struct aside_job *job = NULL;
    pthread_mutex_lock(&aside->lock);
    while (aside->first == NULL && !atomic_load(&aside->stopping))
        pthread_cond_wait(&aside->has_work, &aside->lock);
    if (!atomic_load(&aside->stopping)) {
        job = aside->first;
        aside->first = job->next;
        aside->waiting--;
    }
    pthread_mutex_unlock(&aside->lock);
    return job;
}

static void hand_back(struct aside *aside, struct aside_job *job)
{
    pthread_mutex_lock(&aside->lock);
    job->next = aside->done;
    aside->done = job;
    pthread_mutex_unlock(&aside->lock);
    port_interrupt(aside->engine->port);
}

static void *run(void *context)
{
    struct aside *aside = context;
    for (struct aside_job *job; (job = take(aside)) != NULL;) {
        job->code = work(aside, job);
        hand_back(aside, job);
    }
    return NULL;
}

/* --- On the engine's thread --- */

err aside_begin(struct aside *aside, struct aside_job *job, struct diag *diag)
{
    pthread_mutex_lock(&aside->lock);
    const bool stops = atomic_load(&aside->stopping), has_room = aside->waiting < WAITING_MAX && !stops;
    if (has_room) {
        job->needs = wal_next_offset(aside->engine->wal);
        job->next = NULL;
        if (aside->first == NULL)
            aside->first = job;
        else
            aside->last->next = job;
        aside->last = job;
        aside->waiting++;
        pthread_cond_signal(&aside->has_work);
    }
    pthread_mutex_unlock(&aside->lock);
    if (stops)
        return diag_set(diag, ERR_BUSY, "the database is stopping");
    if (!has_room)
        return diag_set(diag, ERR_BUSY, "%d questions about the past are waiting already; try again later",
                        WAITING_MAX);
    if (!aside->thread_runs && !aside->engine->by_hand)
        check(pthread_create(&aside->thread, NULL, run, aside) == 0);
    aside->thread_runs = !aside->engine->by_hand;
    return OK;
}

bool aside_step(struct aside *aside)
{
    if (aside->first == NULL || wal_durable_offset(aside->engine->wal) < aside->first->needs)
        return false;
    struct aside_job *job = take(aside);
    job->code = work(aside, job);
    hand_back(aside, job);
    return true;
}

static struct aside_job *take_done(struct aside *aside)
{
    pthread_mutex_lock(&aside->lock);
    struct aside_job *done = aside->done;
    aside->done = NULL;
    pthread_mutex_unlock(&aside->lock);
    return done;
}

void aside_finish(struct aside *aside)
{
    struct aside_job *next;
    for (struct aside_job *job = take_done(aside); job != NULL; job = next) {
        next = job->next;
        job->finish(aside->engine, job);
    }
}

void aside_stop(struct aside *aside)
{
    pthread_mutex_lock(&aside->lock);
    atomic_store(&aside->stopping, true);
    pthread_cond_signal(&aside->has_work);
    pthread_mutex_unlock(&aside->lock);
    if (aside->thread_runs)
        pthread_join(aside->thread, NULL);
    aside->thread_runs = false;
    aside_finish(aside);
    while (aside->first != NULL) {
        struct aside_job *job = aside->first;
        aside->first = job->next;
        job->code = diag_set(&job->diag, ERR_BUSY, "the database is stopping");
        job->finish(aside->engine, job);
    }
}
