#include "cli/keeper.h"

#include "cli/forking.h"

#include <stdio.h>

enum { WAIT_US = 1000000 };

struct keeper {
    struct fleet *fleet;
    struct port *desk;
    pthread_t thread;
    atomic_bool stopping;
};

static int status_of(err code)
{
    switch (code) {
    case OK: return 200;
    case ERR_BAD_USAGE: return 400;
    case ERR_FORBIDDEN: return 403;
    case ERR_NOT_FOUND: return 404;
    case ERR_IN_USE: return 409;
    case ERR_BUSY: return 503;
    default: return 500;
    }
}

/* A name is checked before its path is made: it is legal then. */
static err fork_database(struct keeper *keeper, struct request *request, struct diag *diag)
{
    const char *data_dir = keeper->fleet->data_dir;
    char from[DATABASE_NAME_MAX + 1];
    uint64_t offset;
    identity made;
    struct progress nobody = { 0 };
    TRY(forking_check(data_dir, request->name, diag));
    TRY(fleet_snapshot(keeper->fleet, &request->database, from, &offset, diag));
    TRY(forking_run(data_dir, from, offset, request->name, &nobody, diag));
    TRY(fleet_add(keeper->fleet, request->name, &made, diag));
    buf_put_format(&request->answer, "{\"name\":\"%s\",\"offset\":%llu,\"database_identity\":\"", request->name,
                   (unsigned long long)offset);
    identity_print(&request->answer, &made);
    buf_put_text(&request->answer, "\"}");
    return OK;
}

static err restore_database(struct keeper *keeper, struct request *request, struct diag *diag)
{
    struct moment moment;
    TRY(moment_parse(bytes_of_text(request->name), &moment, diag));
    return fleet_roll_back(keeper->fleet, &request->database, &moment, &request->answer, diag);
}

static err delete_database(struct keeper *keeper, struct request *request, struct diag *diag)
{
    char name[DATABASE_NAME_MAX + 1];
    struct buf aside = { 0 };
    TRY(fleet_remove(keeper->fleet, &request->database, name, diag));
    const err code = database_put_aside(&aside, keeper->fleet->data_dir, name, "deleted", diag);
    buf_put_format(&request->answer, "{\"name\":\"%s\",\"kept_in\":\"%.*s\"}", name, BYTES_FORMAT(buf_bytes(&aside)));
    buf_deinit(&aside);
    return code;
}

static err run_request(struct keeper *keeper, struct request *request, struct diag *diag)
{
    if (memcmp(&request->who, &keeper->fleet->place.owner, sizeof request->who) != 0)
        return diag_set(diag, ERR_FORBIDDEN, "only the owner of a database may fork it, roll it back or delete it");
    switch (request->kind) {
    case REQUEST_FORK: return fork_database(keeper, request, diag);
    case REQUEST_RESTORE: return restore_database(keeper, request, diag);
    case REQUEST_DELETE: return delete_database(keeper, request, diag);
    default: unreachable(); /* the desk gets no other */
    }
}

static void answer(struct keeper *keeper, struct request *request)
{
    struct diag diag;
    const err code = run_request(keeper, request, &diag);
    request->status = status_of(code);
    const bool is_json = code == OK && request->kind != REQUEST_RESTORE;
    request->content_type = is_json ? "application/json" : "text/plain; charset=utf-8";
    if (code != OK) {
        buf_clear(&request->answer);
        buf_put_text(&request->answer, diag.text);
    }
    struct packet *packet = memory_new(sizeof *packet);
    packet->kind = PACKET_REPLY;
    packet->to.request = request;
    port_send(keeper->desk, packet);
    port_send_flush(keeper->desk);
}

static void *work(void *context)
{
    struct keeper *keeper = context;
    while (!atomic_load(&keeper->stopping)) {
        struct block *blocks = port_receive(keeper->desk, WAIT_US);
        for (struct block *block = blocks; block != NULL; block = block->next) {
            for (size_t at = 0; at < block->used && !atomic_load(&keeper->stopping);) {
                struct post *post = (struct post *)(block->data + at);
                answer(keeper, post->to.request);
                at += (sizeof *post + post->size + 7) & ~(size_t)7;
            }
        }
        port_done(keeper->desk, blocks);
    }
    return NULL;
}

struct keeper *keeper_start(struct fleet *fleet, struct port *desk)
{
    struct keeper *keeper = memory_new(sizeof *keeper);
    keeper->fleet = fleet;
    keeper->desk = desk;
    check(pthread_create(&keeper->thread, NULL, work, keeper) == 0);
    return keeper;
}

void keeper_stop(struct keeper *keeper)
{
    if (keeper == NULL)
        return;
    atomic_store(&keeper->stopping, true);
    port_interrupt(keeper->desk);
    pthread_join(keeper->thread, NULL);
    memory_free(keeper);
}
