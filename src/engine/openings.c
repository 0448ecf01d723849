#include "engine/openings.h"

#include "base/background.h"
#include "engine/answer.h"
#include "sub/first_rows.h"

enum { CLOSE_INTERNAL = 1011, HELD_SIZE_MAX = 256 << 20 };

struct batch {
    struct first_rows_batch *rows; /* NULL: batches before it work on all of them */
    struct late_answer *answer;    /* NULL: its client has gone */
    struct batch *next;
};

struct openings {
    struct engine *engine; /* borrowed */
    pthread_t thread;
    bool thread_runs;
    pthread_mutex_t lock;
    pthread_cond_t has_work;
    struct batch *first, *last; /* under the lock: waiting */
    struct batch *done;         /* under the lock */
    atomic_bool stopping;
    uint32_t holder_count; /* clients with something held */
    bool has_unwanted;     /* answers whose clients have gone may be waiting (U4) */
};

/* What waits for a client to be told, in order: an answer whose rows are not there yet, or a packet behind it. */
struct held {
    struct held *next;
    struct packet *packet;      /* NULL: the answer */
    struct late_answer *answer; /* the batch's too, until it is ready */
};

struct openings *openings_new(struct engine *engine)
{
    struct openings *openings = memory_new(sizeof *openings);
    openings->engine = engine;
    pthread_mutex_init(&openings->lock, NULL);
    pthread_cond_init(&openings->has_work, NULL);
    return openings;
}

void openings_free(struct openings *openings)
{
    if (openings == NULL)
        return;
    check(openings->first == NULL && openings->done == NULL && !openings->thread_runs);
    pthread_cond_destroy(&openings->has_work);
    pthread_mutex_destroy(&openings->lock);
    memory_free(openings);
}

/* --- The worker --- */

/* The first that waits, or NULL when the engine stops. */
static struct batch *take(struct openings *openings)
{
    struct batch *batch = NULL;
    pthread_mutex_lock(&openings->lock);
    while (openings->first == NULL && !atomic_load(&openings->stopping))
        pthread_cond_wait(&openings->has_work, &openings->lock);
    if (!atomic_load(&openings->stopping)) {
        batch = openings->first;
        openings->first = batch->next;
    }
    pthread_mutex_unlock(&openings->lock);
    return batch;
}

static void work(struct openings *openings, struct batch *batch)
{
    struct late_answer *answer = batch->answer;
    if (batch->rows != NULL)
        first_rows_work(batch->rows, &openings->stopping);
    background_stand_back();
    if (answer != NULL && answer->kind->prepare != NULL && !atomic_load(&openings->stopping)) /* else nobody is told */
        answer->kind->prepare(answer);
}

static void *run(void *context)
{
    struct openings *openings = context;
    background_begin();
    for (struct batch *batch; (batch = take(openings)) != NULL;) {
        work(openings, batch);
        pthread_mutex_lock(&openings->lock);
        batch->next = openings->done;
        openings->done = batch;
        pthread_mutex_unlock(&openings->lock);
        port_interrupt(openings->engine->port);
    }
    return NULL;
}

/* --- On the engine's thread --- */

static void add_batch(struct openings *openings, struct first_rows_batch *rows, struct late_answer *answer)
{
    struct batch *batch = memory_new(sizeof *batch);
    batch->rows = rows;
    batch->answer = answer;
    pthread_mutex_lock(&openings->lock);
    if (openings->first == NULL)
        openings->first = batch;
    else
        openings->last->next = batch;
    openings->last = batch;
    pthread_cond_signal(&openings->has_work);
    pthread_mutex_unlock(&openings->lock);
    if (openings->thread_runs)
        return;
    check(pthread_create(&openings->thread, NULL, run, openings) == 0);
    openings->thread_runs = true;
}

static void hold(struct client *client, struct held *held)
{
    if (client->held == NULL)
        client->held = held;
    else
        client->held_last->next = held;
    client->held_last = held;
}

static struct held *take_held(struct openings *openings, struct client *client)
{
    struct held *held = client->held;
    client->held = held->next;
    if (held->packet != NULL)
        client->held_size -= held->packet->size;
    if (client->held == NULL)
        openings->holder_count--;
    return held;
}

bool openings_hold(struct client *client, struct packet *packet)
{
    if (client->held == NULL)
        return false;
    struct held *held = memory_new(sizeof *held);
    held->packet = packet;
    client->held_size += packet->size;
    hold(client, held);
    return true;
}

void openings_begin(struct openings *openings, struct client *client, struct late_answer *answer)
{
    struct engine *engine = openings->engine;
    answer_flush(engine); /* what was told before goes before */
    struct held *held = memory_new(sizeof *held);
    held->answer = answer;
    answer->is_wanted = true;
    openings->holder_count += client->held == NULL;
    hold(client, held);
    add_batch(openings, subs_take_batch(engine->subs, &engine->store), answer);
}

/* Writes into a packet of its own, which overtakes the one that is open. */
static bool tell(struct engine *engine, struct client *client, struct late_answer *answer)
{
    struct packet *later = answer_put_aside(client);
    struct diag diag;
    const bool goes_on = answer->kind->tell(answer, engine, client, &diag);
    answer->kind->free(answer);
    answer_send_ahead(engine, client, later);
    if (!goes_on)
        answer_close(engine, client, CLOSE_INTERNAL, diag.text);
    return goes_on;
}

/* U1 */
static void let_go(struct engine *engine, struct client *client)
{
    bool goes_on = true;
    while (goes_on && client->held != NULL && (client->held->packet != NULL || client->held->answer->is_ready)) {
        struct held *held = take_held(engine->openings, client);
        if (held->packet != NULL)
            port_send(engine->port, held->packet);
        else
            goes_on = tell(engine, client, held->answer);
        memory_free(held);
    }
}

static void free_answer(struct batch *batch)
{
    if (batch->answer != NULL)
        batch->answer->kind->free(batch->answer);
    batch->answer = NULL;
}

static void finish_batches(struct batch *batch)
{
    for (struct batch *next; batch != NULL; batch = next) {
        next = batch->next;
        if (batch->rows != NULL)
            first_rows_finish(batch->rows);
        if (batch->answer != NULL) {
            batch->answer->is_ready = true;
            if (!batch->answer->is_wanted)
                free_answer(batch);
        }
        memory_free(batch);
    }
}

/* Under the lock. First all answers that nobody hears: one batch's rows may be wanted by another's. */
static struct batch *take_unwanted(struct openings *openings)
{
    struct batch *unwanted = NULL, **place = &openings->first;
    for (struct batch *batch = openings->first; batch != NULL; batch = batch->next) {
        if (batch->answer != NULL && !batch->answer->is_wanted)
            free_answer(batch);
    }
    openings->last = NULL;
    for (struct batch *batch; (batch = *place) != NULL;) {
        if (batch->answer != NULL || first_rows_are_awaited(batch->rows)) {
            openings->last = batch;
            place = &batch->next;
        } else {
            *place = batch->next;
            batch->next = unwanted;
            unwanted = batch;
        }
    }
    return unwanted;
}

/* U4, for all clients that have gone since the last time. What the worker is at goes when it is done. */
static void forget_unwanted(struct openings *openings)
{
    openings->has_unwanted = false;
    pthread_mutex_lock(&openings->lock);
    struct batch *unwanted = take_unwanted(openings);
    pthread_mutex_unlock(&openings->lock);
    finish_batches(unwanted);
}

void openings_drop(struct openings *openings, struct client *client)
{
    while (client->held != NULL) {
        struct held *held = take_held(openings, client);
        if (held->packet != NULL) {
            packet_free(held->packet);
        } else if (held->answer->is_ready) {
            held->answer->kind->free(held->answer);
        } else {
            held->answer->is_wanted = false; /* the worker may be at it */
            openings->has_unwanted = true;
        }
        memory_free(held);
    }
}

static struct batch *take_done(struct openings *openings)
{
    pthread_mutex_lock(&openings->lock);
    struct batch *done = openings->done;
    openings->done = NULL;
    pthread_mutex_unlock(&openings->lock);
    return done;
}

void openings_finish(struct openings *openings)
{
    if (!openings->thread_runs)
        return;
    finish_batches(take_done(openings));
    if (openings->holder_count == 0)
        return;
    for (struct client *client = openings->engine->clients; client != NULL; client = client->next) {
        if (client->held == NULL || client->closing)
            continue;
        let_go(openings->engine, client);
    }
}

static void bound_holders(struct openings *openings)
{
    for (struct client *client = openings->engine->clients; client != NULL; client = client->next) {
        if (client->held_size > HELD_SIZE_MAX && !client->closing)
            answer_close(openings->engine, client, CLOSE_INTERNAL,
                         "more has happened than can be kept while the first rows are worked out");
    }
}

void openings_tidy(struct openings *openings)
{
    if (openings->holder_count > 0)
        bound_holders(openings);
    if (openings->has_unwanted)
        forget_unwanted(openings);
}

void openings_stop(struct openings *openings)
{
    pthread_mutex_lock(&openings->lock);
    atomic_store(&openings->stopping, true);
    pthread_cond_signal(&openings->has_work);
    pthread_mutex_unlock(&openings->lock);
    if (openings->thread_runs)
        pthread_join(openings->thread, NULL);
    openings->thread_runs = false;
    finish_batches(openings->first);
    openings->first = NULL;
    finish_batches(take_done(openings));
    for (struct client *client = openings->engine->clients; client != NULL; client = client->next)
        openings_drop(openings, client);
}
