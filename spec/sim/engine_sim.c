#include "engine_sim.h"

#include "disk_sim_file.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "engine/audit.h"
#include "engine/module_log.h"
#include "engine/state.h"
#include "net/outbox.h"
#include "wal/copy.h"
#include "wal/reader.h"

#include <stdio.h>

static const char dir[] = "db", log_dir[] = "db/log", copy_dir[] = "db/log.copy";

/* One client's socket. */
struct wire {
    struct session session; /* first: what packets name is the wire */
    struct outbox outbox;
    bool is_gone;
};

struct server_sim {
    struct disk_sim *disk;
    struct port *port;
    struct engine *engine; /* NULL: the process does not run */
    struct wire *wires[SERVER_SIM_SESSIONS];
    struct diag diag;
    uint32_t failures;
    bool releases_early;
    struct request *asked; /* a snapshot, or an undo */
    int asked_status;
    struct buf out;
};

/* --- Time and chance --- */

static int64_t now_wall_us, now_monotonic_us;
static struct chance chance;

static int64_t wall_us(void)
{
    return now_wall_us;
}

static int64_t monotonic_us(void)
{
    return now_monotonic_us;
}

static void fill(void *out, size_t size)
{
    uint8_t *at = out;
    for (size_t idx = 0; idx < size; idx++)
        at[idx] = (uint8_t)(chance_draw(&chance) >> 56);
}

void server_sim_set_clock(int64_t wall, int64_t monotonic)
{
    now_wall_us = wall;
    now_monotonic_us = monotonic;
}

struct server_sim *server_sim_new(struct disk_sim *disk, uint64_t seed)
{
    struct server_sim *server = memory_new(sizeof *server);
    server->disk = disk;
    chance.state = seed;
    clock_override(wall_us, monotonic_us);
    random_override(fill);
    return server;
}

void server_sim_free(struct server_sim *server)
{
    if (server == NULL)
        return;
    server_sim_close(server);
    clock_override(NULL, NULL);
    random_override(NULL);
    buf_deinit(&server->out);
    memory_free(server);
}

/* --- Lives --- */

static void wake_nobody(void *context)
{
}

static void note_failure(void *context, const struct diag *diag)
{
    struct server_sim *server = context;
    server->failures++;
    server->diag = *diag;
}

/* A call may take as long as it likes: time does not pass meanwhile. */
static const struct module_limits limits = { .call_us = 60 * 1000000, .load_us = 60 * 1000000, .memory_max = 64 << 20 };

static int done(struct server_sim *server, err code)
{
    if (code == OK)
        server->diag = (struct diag){ .code = OK };
    return (int)code;
}

int server_sim_open(struct server_sim *server, const struct server_sim_options *options)
{
    struct module *module;
    check(server->engine == NULL && server->port == NULL);
    log_set_level(LOG_ERROR);
    server->failures = 0;
    const err loaded = module_load(&module, options->module_path, &limits, module_log_say, NULL, &server->diag);
    if (loaded != OK)
        return (int)loaded;
    server->port = port_new(wake_nobody, NULL);
    const struct engine_options engine = { .disk = disk_sim_disk(server->disk),
                                           .dir = dir,
                                           .name = "sim",
                                           .module = module,
                                           .port = server->port,
                                           .limits = limits,
                                           .checkpoints = options->checkpoints,
                                           .segment_size = options->segment_size,
                                           .by_hand = true,
                                           .on_failure = note_failure,
                                           .context = server };
    const err code = engine_open(&server->engine, &engine, &server->diag);
    if (code != OK) {
        server->engine = NULL;
        port_free(server->port);
        server->port = NULL;
    }
    return done(server, code);
}

static void wire_free(struct server_sim *server, uint32_t number)
{
    struct wire *wire = server->wires[number];
    if (wire == NULL)
        return;
    outbox_deinit(&wire->outbox);
    memory_free(wire->session.token);
    memory_free(wire);
    server->wires[number] = NULL;
}

static void request_free(struct server_sim *server)
{
    if (server->asked == NULL)
        return;
    buf_deinit(&server->asked->body);
    buf_deinit(&server->asked->answer);
    memory_free(server->asked);
    server->asked = NULL;
}

/* What the engine has said to those who are listening. */
static void take_packets(struct server_sim *server)
{
    struct packet *next;
    for (struct packet *packet = port_take(server->port); packet != NULL; packet = next) {
        next = packet->next;
        if (packet->kind == PACKET_REPLY) {
            check(packet->to.request == server->asked);
            server->asked_status = server->asked->status;
            request_free(server);
            packet_free(packet);
            continue;
        }
        struct wire *wire = (struct wire *)packet->to.session;
        if (packet->kind == PACKET_GONE) {
            wire->is_gone = true;
            packet_free(packet);
        } else {
            outbox_put(&wire->outbox, packet);
        }
    }
}

void server_sim_close(struct server_sim *server)
{
    if (server->engine == NULL)
        return;
    port_flush(server->port);
    engine_stop(server->engine);
    take_packets(server);
    engine_close(server->engine);
    server->engine = NULL;
    for (uint32_t number = 0; number < SERVER_SIM_SESSIONS; number++)
        wire_free(server, number);
    request_free(server);
    port_free(server->port);
    server->port = NULL;
}

bool server_sim_step(struct server_sim *server, int step)
{
    port_flush(server->port);
    const bool did_something = engine_step(server->engine, (enum engine_step)step);
    take_packets(server);
    return did_something;
}

int server_sim_publish(struct server_sim *server, const char *module_path)
{
    struct module *module;
    const err loaded = module_load(&module, module_path, &limits, module_log_say, NULL, &server->diag);
    if (loaded != OK)
        return (int)loaded;
    port_flush(server->port);
    const err code = engine_publish(server->engine, module, &server->diag);
    take_packets(server);
    return done(server, code);
}

const char *server_sim_text(const struct server_sim *server)
{
    return server->diag.text;
}

uint64_t server_sim_durable(const struct server_sim *server)
{
    return port_durable(server->port);
}

uint32_t server_sim_failures(const struct server_sim *server)
{
    return server->failures;
}

/* --- Sessions --- */

void server_sim_connect(struct server_sim *server, uint32_t number, const uint8_t who[32], const uint8_t connection[16],
                        int protocol, bool confirmed)
{
    check(number < SERVER_SIM_SESSIONS && server->wires[number] == NULL);
    struct wire *wire = memory_new(sizeof *wire);
    wire->session.net = wire;
    wire->session.protocol = (enum protocol)protocol;
    wire->session.confirmed = confirmed;
    memcpy(wire->session.who.at, who, 32);
    memcpy(wire->session.connection.at, connection, 16);
    wire->session.token = memory_copy("token", sizeof "token");
    server->wires[number] = wire;
    port_post(server->port, POST_CONNECT, &wire->session, bytes_of("", 0));
}

void server_sim_post(struct server_sim *server, uint32_t number, const uint8_t *frame, size_t size)
{
    struct wire *wire = server->wires[number];
    atomic_fetch_add(&wire->session.waiting, 1);
    atomic_fetch_add(&wire->session.waiting_bytes, size);
    port_post(server->port, POST_FRAME, &wire->session, bytes_of(frame, size));
}

void server_sim_disconnect(struct server_sim *server, uint32_t number)
{
    port_post(server->port, POST_DISCONNECT, &server->wires[number]->session, bytes_of("", 0));
}

static struct outbox_terms terms_of(const struct server_sim *server, const struct wire *wire)
{
    return (struct outbox_terms){ .protocol = wire->session.protocol,
                                  .durable = server->releases_early ? UINT64_MAX : port_durable(server->port) };
}

const uint8_t *server_sim_receive(struct server_sim *server, uint32_t number, size_t *size)
{
    struct wire *wire = server->wires[number];
    buf_clear(&server->out);
    if (wire != NULL) {
        const struct outbox_terms terms = terms_of(server, wire);
        outbox_fill(&wire->outbox, &terms, &server->out);
    }
    *size = server->out.size;
    buf_put_u8(&server->out, 0);
    return server->out.data;
}

uint32_t server_sim_ending(struct server_sim *server, uint32_t number)
{
    struct wire *wire = server->wires[number];
    if (wire->is_gone) {
        wire_free(server, number);
        return 2;
    }
    const struct outbox_terms terms = terms_of(server, wire);
    const struct packet *ending = outbox_ending(&wire->outbox, &terms);
    if (ending == NULL)
        return 0;
    return ending->kind == PACKET_CLOSE ? ending->close_code : 1;
}

uint64_t server_sim_v1_updates(const struct server_sim *server)
{
    return server->engine->v1_updates.made_count;
}

uint64_t server_sim_v1_lists_told(const struct server_sim *server)
{
    return server->engine->v1_updates.piece_count;
}

uint64_t server_sim_v1_lists_shown(const struct server_sim *server)
{
    return atomic_load(&server->engine->v1_lists_shown);
}

void server_sim_limit_v1_messages(size_t size_max)
{
    v1_message_size_max = size_max > 0 ? size_max : UINT32_MAX;
}

void server_sim_release_early(struct server_sim *server, bool early)
{
    server->releases_early = early;
}

static void ask(struct server_sim *server, enum request_kind kind, const char *body)
{
    if (server->asked != NULL)
        return;
    server->asked = memory_new(sizeof *server->asked);
    server->asked->kind = kind;
    buf_put_text(&server->asked->body, body);
    server->asked_status = 0;
    port_post(server->port, POST_REQUEST, server->asked, bytes_of("", 0));
}

void server_sim_ask_snapshot(struct server_sim *server)
{
    ask(server, REQUEST_SNAPSHOT, "");
}

void server_sim_ask_undo(struct server_sim *server, const char *selection)
{
    ask(server, REQUEST_UNDO, selection);
}

int server_sim_asked_status(const struct server_sim *server)
{
    return server->asked_status;
}

/* --- Looking --- */

static struct table *find_table(const struct server_sim *server, const char *name)
{
    return store_find_named(&server->engine->store, bytes_of_text(name));
}

/* An empty list, too, has an address. */
static const uint8_t *out_end(struct server_sim *server, size_t *size)
{
    *size = server->out.size;
    buf_put_u8(&server->out, 0);
    return server->out.data;
}

const uint8_t *server_sim_rows(struct server_sim *server, const char *name, size_t *size)
{
    const struct table *table = find_table(server, name);
    rowref ref = ROWREF_NONE;
    buf_clear(&server->out);
    if (table == NULL)
        return NULL;
    for (const struct row *row; (row = pages_next(&table->pages, &ref)) != NULL;)
        buf_put_sized(&server->out, row_bytes(row));
    return out_end(server, size);
}

struct found {
    const struct table *table;
    struct buf *out;
    rowref only; /* ROWREF_NONE: all */
};

static bool put_found(void *context, rowref ref)
{
    struct found *found = context;
    if (found->only == ROWREF_NONE || found->only == ref)
        buf_put_sized(found->out, row_bytes(pages_row(&found->table->pages, ref)));
    return true;
}

/* An index that keeps no order is asked for each row's key. */
static err ask_for_each(const struct index *index, struct found *found, struct diag *diag)
{
    struct buf key = { 0 };
    rowref ref = ROWREF_NONE;
    err code = OK;
    for (const struct row *row; code == OK && (row = pages_next(&found->table->pages, &ref)) != NULL;) {
        buf_clear(&key);
        index_key(index, row->data, &key);
        const struct index_bound bound = { buf_bytes(&key), index_def(index)->column_count, true };
        found->only = ref;
        code = index_walk(index, bound, bound, false, put_found, found, diag);
    }
    buf_deinit(&key);
    return code;
}

const uint8_t *server_sim_index_rows(struct server_sim *server, const char *name, uint32_t place, size_t *size)
{
    const struct table *table = find_table(server, name);
    buf_clear(&server->out);
    if (table == NULL || place >= table->index_count)
        return NULL;
    struct diag diag;
    struct found found = { table, &server->out, ROWREF_NONE };
    const struct index_bound none = { .column_count = 0 };
    err code = index_walk(table->indexes[place], none, none, false, put_found, &found, &diag);
    if (code == ERR_WRONG_INDEX)
        code = ask_for_each(table->indexes[place], &found, &diag);
    check(code == OK && index_count(table->indexes[place]) <= table->pages.row_count);
    return out_end(server, size);
}

uint64_t server_sim_next_value(struct server_sim *server, const char *name)
{
    return (uint64_t)find_table(server, name)->sequences[0].next;
}

const char *server_sim_identity(struct server_sim *server)
{
    buf_clear(&server->out);
    identity_print(&server->out, &server->engine->identity);
    buf_put_u8(&server->out, 0);
    return (const char *)server->out.data;
}

void server_sim_check_tables(struct server_sim *server)
{
    const struct store *store = &server->engine->store;
    for (uint32_t idx = 0; idx < store->table_count; idx++)
        table_check(store->tables[idx]);
}

static void say(void *context, bool is_fault, const char *line)
{
    struct server_sim *server = context;
    if (is_fault && server->diag.code == OK)
        diag_set(&server->diag, ERR_CORRUPT, "%s", line);
}

static bool go_on(void *context, const char *what, uint64_t done, uint64_t all)
{
    return true;
}

uint32_t server_sim_audit(struct server_sim *server)
{
    const struct audit_options options = {
        .disk = disk_sim_disk(server->disk), .dir = dir, .say = say, .progress = go_on, .context = server
    };
    server->diag = (struct diag){ .code = OK };
    return audit_run(&options);
}

/* --- Planted bugs --- */

bool server_sim_spoil_index(struct server_sim *server, const char *name, uint32_t place)
{
    struct table *table = find_table(server, name);
    rowref ref = ROWREF_NONE;
    if (pages_next(&table->pages, &ref) == NULL)
        return false;
    index_remove(table->indexes[place], ref);
    return true;
}

void server_sim_spoil_row(struct server_sim *server, const char *name)
{
    struct table *table = find_table(server, name);
    rowref ref = ROWREF_NONE;
    check(pages_next(&table->pages, &ref) != NULL);
    table_unlink(table, ref);
    pages_free(&table->pages, ref);
}

void server_sim_spoil_sequence(struct server_sim *server, const char *name, uint64_t next)
{
    find_table(server, name)->sequences[0].next = (__int128)next;
}

static err find_end(const struct disk *disk, const uint8_t id[16], uint64_t *end, struct diag *diag)
{
    struct wal_reader *reader;
    bool found = true;
    bytes record;
    TRY(wal_reader_oldest(disk, log_dir, end, diag));
    TRY(wal_reader_open(&reader, disk, log_dir, id, *end, WAL_NO_LIMIT, diag));
    err code = OK;
    while (code == OK && found) {
        uint64_t offset;
        code = wal_reader_next(reader, &found, &offset, &record, diag);
        *end += found;
    }
    wal_reader_close(reader);
    return code;
}

int server_sim_copy_log(struct server_sim *server, uint64_t without)
{
    const struct disk *disk = disk_sim_disk(server->disk);
    struct buf text = { 0 };
    struct wal_copy copy = { .disk = disk, .from = log_dir, .to = copy_dir };
    identity id;
    err code = disk_read_whole(disk, "db/identity", &text, &server->diag);
    check(code == OK && text.size > 64 && identity_parse(bytes_of(text.data, 64), &id));
    buf_deinit(&text);
    memcpy(copy.database_id, id.at, sizeof copy.database_id);
    code = find_end(disk, copy.database_id, &copy.end, &server->diag);
    copy.end = copy.end > without ? copy.end - without : 0;
    return code == OK ? (int)wal_copy(&copy, &server->diag) : (int)code;
}
