#include "engine/clients.h"

#include "base/clock.h"
#include "engine/answer.h"
#include "engine/call.h"
#include "engine/openings.h"
#include "engine/v1.h"
#include "proto/server_msg.h"

enum { CLOSE_GOING_AWAY = 1001 };

static void link_client(struct engine *engine, struct client *client)
{
    client->next = engine->clients;
    if (client->next != NULL)
        client->next->previous = client;
    engine->clients = client;
}

static void unlink_client(struct engine *engine, struct client *client)
{
    if (client->previous != NULL)
        client->previous->next = client->next;
    else
        engine->clients = client->next;
    if (client->next != NULL)
        client->next->previous = client->previous;
}

static bool is_owner(const struct engine *engine, const identity *who)
{
    return memcmp(who, &engine->owner, sizeof *who) == 0 || memcmp(who, &engine->identity, sizeof *who) == 0;
}

static void greet(struct engine *engine, struct client *client)
{
    const struct session *session = client->session;
    if (client->v1 != NULL) {
        v1_greet(engine, client);
        return;
    }
    server_msg_initial_connection(answer_begin(engine, client), &session->who, &session->connection,
                                  bytes_of_text(session->token));
    answer_end(engine, client);
}

void clients_connect(struct engine *engine, struct session *session)
{
    struct client *client = memory_new(sizeof *client);
    subscriber_init(&client->subscriber);
    client->session = session;
    client->caller = (struct caller){ session->who, session->connection, ++engine->last_client };
    client->is_owner = is_owner(engine, &session->who);
    client->v1 = v1_client_new(session);
    client->subscriber.by_table = client->v1 != NULL;
    session->client = client;
    link_client(engine, client);

    struct diag diag;
    if (call_run_lifecycle(engine, &client->caller, LIFECYCLE_CONNECT, false, &diag) != OK) {
        client->closing = true;
        answer_drop(engine, session);
        return;
    }
    client->connected = true;
    greet(engine, client);
    memory_free(session->token);
    session->token = NULL;
}

/* The record goes into the log even when the reducer fails: a disconnection cannot be prevented. */
static void run_disconnected(struct engine *engine, struct client *client)
{
    struct diag diag;
    subs_drop(engine->subs, &client->subscriber);
    if (client->connected)
        (void)call_run_lifecycle(engine, &client->caller, LIFECYCLE_DISCONNECT, true, &diag);
    client->connected = false;
}

void clients_disconnect(struct engine *engine, struct session *session)
{
    struct client *client = session->client;
    answer_flush(engine);
    openings_drop(engine->openings, client);
    client->closing = true;
    run_disconnected(engine, client);
    unlink_client(engine, client);

    struct packet *gone = memory_new(sizeof *gone);
    gone->kind = PACKET_GONE;
    gone->to.session = session;
    session->client = NULL;
    v1_client_free(client->v1);
    memory_free(client);
    port_send(engine->port, gone);
}

void clients_close_all(struct engine *engine, const char *reason)
{
    for (struct client *client = engine->clients; client != NULL; client = client->next) {
        if (!client->closing)
            answer_close(engine, client, CLOSE_GOING_AWAY, reason);
        run_disconnected(engine, client);
    }
}

void clients_disconnect_all(struct engine *engine)
{
    engine->now_us = clock_wall_us();
    for (struct client *client = engine->clients; client != NULL; client = client->next)
        run_disconnected(engine, client);
}
