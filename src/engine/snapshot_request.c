#include "engine/snapshot_request.h"

#include "engine/backup.h"
#include "engine/checkpoint.h"

#include <inttypes.h>

enum { STATUS_OK = 200, STATUS_FORBIDDEN = 403, STATUS_UNAVAILABLE = 503 };

static void reply(struct engine *engine, struct request *request)
{
    struct packet *packet = memory_new(sizeof *packet);
    packet->kind = PACKET_REPLY;
    packet->to.request = request;
    port_send(engine->port, packet);
}

static void refuse(struct engine *engine, struct request *request, int status, const char *text)
{
    request->status = status;
    request->content_type = "text/plain; charset=utf-8";
    buf_put_text(&request->answer, text);
    reply(engine, request);
}

/* --- A backup, as net sends it --- */

struct backup_outflow {
    struct outflow outflow;
    struct backup *backup; /* owned */
};

static err outflow_read(struct outflow *outflow, uint8_t *out, size_t size, size_t *done, struct diag *diag)
{
    return backup_read(container_of(outflow, struct backup_outflow, outflow)->backup, out, size, done, diag);
}

static void outflow_free(struct outflow *outflow)
{
    struct backup_outflow *owner = container_of(outflow, struct backup_outflow, outflow);
    backup_close(owner->backup);
    memory_free(owner);
}

static err open_outflow(const struct engine *engine, uint64_t offset, struct outflow **out, struct diag *diag)
{
    struct backup_head head = { .database = engine->identity,
                                .offset = offset,
                                .schedules_paused = engine->schedules_paused };
    struct backup *backup;
    check(strlen(engine->name) <= BACKUP_NAME_MAX);
    memcpy(head.name, engine->name, strlen(engine->name));
    TRY(backup_open(&backup, engine->disk, engine->dir, &head, diag));
    struct backup_outflow *made = memory_new(sizeof *made);
    made->outflow = (struct outflow){ backup_size(backup), outflow_read, outflow_free };
    made->backup = backup;
    *out = &made->outflow;
    return OK;
}

/* --- Requests over HTTP --- */

struct request_wish {
    struct checkpoint_wish wish;
    struct request *request;
};

static void answer(struct engine *engine, struct request *request, uint64_t offset)
{
    struct diag diag;
    request->status = STATUS_OK;
    if (request->kind == REQUEST_SNAPSHOT) {
        request->content_type = "application/json";
        buf_put_format(&request->answer, "{\"offset\":%" PRIu64 "}", offset);
        reply(engine, request);
    } else if (open_outflow(engine, offset, &request->outflow, &diag) == OK) {
        request->content_type = "application/octet-stream";
        reply(engine, request);
    } else {
        refuse(engine, request, STATUS_UNAVAILABLE, diag.text);
    }
}

static void request_granted(struct checkpoint_wish *wish, struct engine *engine, err code, uint64_t offset,
                            const struct diag *diag)
{
    struct request_wish *own = container_of(wish, struct request_wish, wish);
    if (code == OK)
        answer(engine, own->request, offset);
    else
        refuse(engine, own->request, STATUS_UNAVAILABLE, diag->text);
    memory_free(own);
}

void snapshot_request_run(struct engine *engine, struct request *request)
{
    if (memcmp(&request->who, &engine->owner, sizeof request->who) != 0) {
        refuse(engine, request, STATUS_FORBIDDEN,
               request->kind == REQUEST_SNAPSHOT ? "only the database's owner may take a snapshot"
                                                 : "only the database's owner may make a backup of it");
        return;
    }
    struct request_wish *own = memory_new(sizeof *own);
    own->wish.granted = request_granted;
    own->request = request;
    checkpoint_ask(engine->checkpoint, &own->wish);
}

/* --- From other threads --- */

struct thread_wish {
    struct checkpoint_wish wish;
    uint64_t *offset;
    struct diag *diag;
    err code;
    bool done;
};

static void thread_granted(struct checkpoint_wish *wish, struct engine *engine, err code, uint64_t offset,
                           const struct diag *diag)
{
    struct thread_wish *own = container_of(wish, struct thread_wish, wish);
    pthread_mutex_lock(&engine->publication_lock);
    *own->offset = offset;
    own->code = code;
    if (code != OK)
        *own->diag = *diag;
    own->done = true;
    pthread_cond_broadcast(&engine->publication_done);
    pthread_mutex_unlock(&engine->publication_lock);
}

err engine_snapshot(struct engine *engine, uint64_t *offset, struct diag *diag)
{
    struct thread_wish own = { .wish = { .granted = thread_granted }, .offset = offset, .diag = diag };
    pthread_mutex_lock(&engine->publication_lock);
    if (engine->wishes_closed) {
        own.code = diag_set(diag, ERR_BUSY, "the database has stopped");
        own.done = true;
    } else {
        own.wish.next = engine->wishes;
        engine->wishes = &own.wish;
        port_interrupt(engine->port);
    }
    while (!own.done)
        pthread_cond_wait(&engine->publication_done, &engine->publication_lock);
    pthread_mutex_unlock(&engine->publication_lock);
    return own.code;
}

static void take(struct engine *engine, bool closes)
{
    pthread_mutex_lock(&engine->publication_lock);
    struct checkpoint_wish *wish = engine->wishes;
    engine->wishes = NULL;
    engine->wishes_closed = engine->wishes_closed || closes;
    pthread_mutex_unlock(&engine->publication_lock);
    while (wish != NULL) {
        struct checkpoint_wish *next = wish->next;
        checkpoint_ask(engine->checkpoint, wish);
        wish = next;
    }
}

void snapshot_request_take(struct engine *engine)
{
    take(engine, false);
}

void snapshot_request_close(struct engine *engine)
{
    take(engine, true);
}
