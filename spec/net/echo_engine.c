/* A server whose databases answer without tables or modules: what the specs of src/net talk to.
 *
 *     echo-engine KEYS_DIR LISTEN_ADDR [PING_INTERVAL_US IDLE_TIMEOUT_US SWEEP_US]
 *
 * Prints the port it listens at, serves until its standard input ends. Two databases: `echo`, and `shut`, which
 * turns every client away. A frame is a command, "WORD ARGUMENT…":
 *
 *     many N         N messages: "0", "1", …
 *     big SIZE       one message of SIZE bytes
 *     large SIZE     one message of SIZE bytes, the same for all clients
 *     shared N       N messages made of an own and of a shared part
 *     hold TEXT      the message waits for the disk; `sync` lets it go
 *     flood N SIZE   N packets of one message each
 *     gather SIZE    waits until more than SIZE bytes of this client's wait for it
 *     quiet …        nothing
 *     close CODE TEXT, drop, sleep MS
 *
 * Anything else comes back as it is. On connecting a client gets "hello IDENTITY CONNECTION PROTOCOL CONFIRMED". */
#include "base/clock.h"
#include "engine/engine.h"
#include "net/server.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct engine {
    identity id;
    struct port *port;
    bool refuses;
    atomic_bool stopping;
    uint64_t durable;
    struct request *followers;
    pthread_t thread;
};

const identity *engine_identity(const struct engine *engine)
{
    return &engine->id;
}

static struct packet *packet_new(enum packet_kind kind, struct session *session)
{
    struct packet *packet = memory_new(sizeof *packet);
    packet->kind = kind;
    packet->to.session = session;
    return packet;
}

static void add_part(struct packet *packet, bytes inline_bytes, struct shared *shared, bool ends_message)
{
    if (packet->part_count == packet->part_capacity) {
        packet->part_capacity = packet->part_capacity * 2 + 4;
        packet->parts = memory_resize(packet->parts, packet->part_capacity * sizeof *packet->parts);
    }
    const uint32_t size = shared != NULL ? shared->size : (uint32_t)inline_bytes.size;
    packet->parts[packet->part_count++] = (struct packet_part){ size, ends_message, shared };
    packet->message_count += ends_message;
    packet->size += size;
    if (shared == NULL)
        buf_put_bytes(&packet->data, inline_bytes);
}

static void send_text(struct engine *engine, struct session *session, bytes text, uint64_t needs)
{
    struct packet *packet = packet_new(PACKET_MESSAGES, session);
    add_part(packet, text, NULL, true);
    packet->needs = session->confirmed ? needs : 0;
    port_send(engine->port, packet);
}

static void run_connect(struct engine *engine, struct session *session)
{
    struct buf text = { 0 };
    if (engine->refuses) {
        port_send(engine->port, packet_new(PACKET_DROP, session));
        return;
    }
    buf_put_text(&text, "hello ");
    identity_print(&text, &session->who);
    buf_put_u8(&text, ' ');
    connection_id_print(&text, &session->connection);
    buf_put_format(&text, " %s %s", session->protocol == PROTOCOL_V3 ? "v3" : "v2",
                   session->confirmed ? "true" : "false");
    send_text(engine, session, buf_bytes(&text), 0);
    buf_deinit(&text);
}

static void send_many(struct engine *engine, struct session *session, int count)
{
    struct packet *packet = packet_new(PACKET_MESSAGES, session);
    for (int idx = 0; idx < count; idx++) {
        char text[16];
        add_part(packet, bytes_of(text, (size_t)snprintf(text, sizeof text, "%d", idx)), NULL, true);
    }
    port_send(engine->port, packet);
}

static void send_big(struct engine *engine, struct session *session, size_t size)
{
    struct buf text = { 0 };
    uint8_t *at = buf_extend(&text, size);
    for (size_t idx = 0; idx < size; idx++)
        at[idx] = (uint8_t)('a' + idx % 23);
    send_text(engine, session, buf_bytes(&text), 0);
    buf_deinit(&text);
}

static void send_shared(struct engine *engine, struct session *session, int count)
{
    struct shared *shared = shared_new(BYTES_LITERAL("shared part"));
    struct packet *packet = packet_new(PACKET_MESSAGES, session);
    for (int idx = 0; idx < count; idx++) {
        char text[16];
        add_part(packet, bytes_of(text, (size_t)snprintf(text, sizeof text, "%d ", idx)), NULL, false);
        add_part(packet, bytes_of("", 0), shared_ref(shared), false);
        add_part(packet, BYTES_LITERAL("!"), NULL, true);
    }
    shared_unref(shared);
    port_send(engine->port, packet);
}

/* The first asks for the size; all others get the same bytes. */
static void send_large(struct engine *engine, struct session *session, size_t size)
{
    static struct shared *large;
    if (large == NULL) {
        large = shared_reserve(size);
        memset(large->data, 'l', size);
    }
    struct packet *packet = packet_new(PACKET_MESSAGES, session);
    add_part(packet, bytes_of("", 0), shared_ref(large), true);
    port_send(engine->port, packet);
}

static void send_close(struct engine *engine, struct session *session, int code, const char *reason)
{
    struct packet *packet = packet_new(PACKET_CLOSE, session);
    packet->close_code = (uint16_t)code;
    buf_put_text(&packet->data, reason);
    port_send(engine->port, packet);
}

static void flood(struct engine *engine, struct session *session, int count, size_t size)
{
    for (int idx = 0; idx < count; idx++)
        send_big(engine, session, size);
}

/* And a little longer: what the last of them has set going has come to rest then. */
static void gather(const struct session *session, size_t size)
{
    while (atomic_load(&session->waiting_bytes) <= size)
        usleep(1000);
    usleep(200000);
}

static void run_command(struct engine *engine, struct session *session, const char *text, bytes frame)
{
    int number, size;
    if (sscanf(text, "many %d", &number) == 1)
        send_many(engine, session, number);
    else if (sscanf(text, "big %d", &number) == 1)
        send_big(engine, session, (size_t)number);
    else if (sscanf(text, "shared %d", &number) == 1)
        send_shared(engine, session, number);
    else if (sscanf(text, "large %d", &number) == 1)
        send_large(engine, session, (size_t)number);
    else if (sscanf(text, "flood %d %d", &number, &size) == 2)
        flood(engine, session, number, (size_t)size);
    else if (strncmp(text, "hold ", 5) == 0)
        send_text(engine, session, bytes_of_text(text + 5), engine->durable + 1);
    else if (strcmp(text, "sync") == 0)
        port_set_durable(engine->port, ++engine->durable);
    else if (sscanf(text, "close %d", &number) == 1)
        send_close(engine, session, number, text + 11);
    else if (strcmp(text, "drop") == 0)
        port_send(engine->port, packet_new(PACKET_DROP, session));
    else if (sscanf(text, "sleep %d", &number) == 1)
        usleep((useconds_t)number * 1000);
    else if (sscanf(text, "gather %d", &number) == 1)
        gather(session, (size_t)number);
    else if (strncmp(text, "quiet", 5) != 0)
        send_text(engine, session, frame, 0);
}

static void run_frame(struct engine *engine, struct session *session, bytes frame)
{
    char text[256];
    const size_t size = frame.size < sizeof text ? frame.size : sizeof text - 1;
    if (size > 0)
        memcpy(text, frame.at, size);
    text[size] = '\0';
    run_command(engine, session, text, frame);
    atomic_fetch_sub(&session->waiting, 1);
    atomic_fetch_sub(&session->waiting_bytes, frame.size);
}

static void reply(struct engine *engine, struct request *request, uint64_t needs)
{
    struct packet *packet = packet_new(PACKET_REPLY, NULL);
    packet->to.request = request;
    packet->needs = request->confirmed ? needs : 0;
    port_send(engine->port, packet);
}

static void run_call(struct engine *engine, struct request *request)
{
    request->status = strcmp(request->name, "fail") == 0 ? 530 : 200;
    if (strcmp(request->name, "slow") == 0)
        usleep(200000);
    request->content_type = "text/plain; charset=utf-8";
    request->duration_us = 42;
    buf_put_format(&request->answer, "%s %.*s", request->name, BYTES_FORMAT(buf_bytes(&request->body)));
    reply(engine, request, 0);
}

/* Answers at once, becomes durable a little later. */
static void run_sql(struct engine *engine, struct request *request)
{
    request->status = 200;
    request->content_type = "application/json";
    buf_put_format(&request->answer, "[{\"confirmed\":%s,\"sql\":\"%.*s\"}]", request->confirmed ? "true" : "false",
                   BYTES_FORMAT(buf_bytes(&request->body)));
    reply(engine, request, engine->durable + 1);
    port_send_flush(engine->port);
    usleep(50000);
    port_set_durable(engine->port, ++engine->durable);
}

static void send_lines(struct engine *engine, struct request *request, enum packet_kind kind, const char *text)
{
    struct packet *packet = packet_new(kind, NULL);
    packet->to.request = request;
    buf_put_text(&packet->data, text);
    port_send(engine->port, packet);
}

static void run_logs(struct engine *engine, struct request *request)
{
    request->status = 200;
    request->content_type = "application/x-ndjson";
    buf_put_format(&request->answer, "{\"line_count\":%" PRId64 "}\n", request->line_count);
    if (request->follow) {
        request->next = engine->followers;
        engine->followers = request;
    }
    reply(engine, request, 0);
    if (request->follow)
        send_lines(engine, request, PACKET_LOG_LINES, "{\"more\":1}\n");
}

static void end_logs(struct engine *engine, struct request *subject)
{
    for (struct request **place = &engine->followers; *place != NULL; place = &(*place)->next)
        if (*place == subject) {
            *place = subject->next;
            send_lines(engine, subject, PACKET_REPLY_END, "");
            return;
        }
}

static void run_request(struct engine *engine, struct request *request)
{
    request->status = 200;
    request->content_type = "application/json";
    switch (request->kind) {
    case REQUEST_CALL: run_call(engine, request); break;
    case REQUEST_SQL: run_sql(engine, request); break;
    case REQUEST_LOGS: run_logs(engine, request); break;
    case REQUEST_SCHEMA:
        buf_put_format(&request->answer, "{\"version\":%u}", request->version);
        reply(engine, request, 0);
        break;
    case REQUEST_INFO: /* the number of followers, for the specs */
        buf_put_format(&request->answer, "{\"followed\":%s}", engine->followers != NULL ? "true" : "false");
        reply(engine, request, 0);
        break;
    case REQUEST_UNDO:
    case REQUEST_SNAPSHOT:
    case REQUEST_BACKUP:
    case REQUEST_CHECK:
    case REQUEST_RESUME:
    case REQUEST_FORK:
    case REQUEST_RESTORE:
    case REQUEST_DELETE: reply(engine, request, 0); break;
    case REQUEST_LOGS_END:
        end_logs(engine, request->subject);
        reply(engine, request, 0);
        break;
    }
}

static void run_post(struct engine *engine, struct post *post)
{
    switch (post->kind) {
    case POST_CONNECT: run_connect(engine, post->to.session); break;
    case POST_FRAME:
    case POST_TEXT_FRAME: run_frame(engine, post->to.session, bytes_of(post->data, post->size)); break;
    case POST_DISCONNECT: port_send(engine->port, packet_new(PACKET_GONE, post->to.session)); break;
    case POST_REQUEST: run_request(engine, post->to.request); break;
    }
}

static void *run(void *context)
{
    struct engine *engine = context;
    while (!atomic_load(&engine->stopping)) {
        struct block *blocks = port_receive(engine->port, 1000000);
        for (struct block *block = blocks; block != NULL; block = block->next)
            for (size_t at = 0; at < block->used;) {
                struct post *post = (struct post *)(block->data + at);
                run_post(engine, post);
                at += (sizeof *post + post->size + 7) & ~(size_t)7;
            }
        port_send_flush(engine->port);
        port_done(engine->port, blocks);
    }
    return NULL;
}

static void start(struct engine *engine, struct server *server, const char *name, uint8_t last_byte)
{
    identity owner = { { 7 } };
    memset(engine->id.at, last_byte, sizeof engine->id.at);
    engine->port = server_port_new(server);
    server_add(server, name, engine, &owner, engine->port);
    check(pthread_create(&engine->thread, NULL, run, engine) == 0);
}

static void stop(struct engine *engine)
{
    atomic_store(&engine->stopping, true);
    port_interrupt(engine->port);
    pthread_join(engine->thread, NULL);
}

static void *watch_input(void *context)
{
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    server_stop(context);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct engine echo, shut = { .refuses = true };
    struct token_keys *keys;
    struct server *server;
    struct diag diag;
    pthread_t watcher;
    if (argc < 3)
        return 2;
    if (token_keys_open(&keys, disk_real(), argv[1], &diag) != OK) {
        fprintf(stderr, "%s\n", diag.text);
        return 1;
    }
    const struct server_options options = { .listen_addr = argv[2],
                                            .keys = keys,
                                            .ping_interval_us = argc > 3 ? atoll(argv[3]) : 0,
                                            .idle_timeout_us = argc > 4 ? atoll(argv[4]) : 0,
                                            .sweep_us = argc > 5 ? atoll(argv[5]) : 0 };
    if (server_new(&server, &options, &diag) != OK) {
        fprintf(stderr, "%s\n", diag.text);
        token_keys_free(keys);
        return 1;
    }
    start(&echo, server, "echo", 0xec);
    start(&shut, server, "shut", 0x50);
    printf("%u\n", server_port_number(server));
    fflush(stdout);
    check(pthread_create(&watcher, NULL, watch_input, server) == 0);
    server_run(server);
    pthread_join(watcher, NULL);
    stop(&echo);
    stop(&shut);
    server_free(server);
    token_keys_free(keys);
    return 0;
}
