#include "engine/inspection.h"

#include "engine/aside.h"
#include "engine/audit.h"
#include "engine/requests.h"
#include "sats/json.h"
#include "store/frozen.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { ROWS_A_STEP = 2000, WAIT_STEP_US = 1000 };

struct inspection {
    struct aside_job head;
    struct aside *aside;     /* borrowed, as what follows */
    const struct disk *disk;
    const char *dir;
    struct frozen *frozen; /* owned */
    uint64_t offset;       /* of the first record that is not in it */
    struct buf lines;      /* JSON; the worker's, then the engine's */
    uint32_t faults;       /* likewise */
    /* the engine's */
    struct schema *schema; /* shared: of the tables that are looked at */
    uint32_t table;
    rowref ref;
    uint64_t row_count;
    struct buf found; /* lines about tables, a zero behind each */
    atomic_bool tables_done;
};

/* --- Lines --- */

static void put_line(struct inspection *inspection, bool is_fault, const char *line)
{
    struct buf text = { 0 };
    buf_put_format(&text, "%s %s", is_fault ? "WRONG" : "ok   ", line);
    if (inspection->lines.size > 0)
        buf_put_u8(&inspection->lines, ',');
    json_print_string(&inspection->lines, buf_bytes(&text));
    inspection->faults += is_fault;
    buf_deinit(&text);
}

static void say(void *context, bool is_fault, const char *line)
{
    put_line(context, is_fault, line);
}

/* --- Aside --- */

static bool goes_on(void *context, const char *what, uint64_t done, uint64_t all)
{
    const struct inspection *inspection = context;
    return aside_goes_on(inspection->aside);
}

static err work(struct aside *aside, struct aside_job *head, struct history *history, struct diag *diag)
{
    struct inspection *inspection = container_of(head, struct inspection, head);
    const struct audit_options options = { .disk = inspection->disk,
                                           .dir = inspection->dir,
                                           .say = say,
                                           .live = inspection->frozen,
                                           .live_offset = inspection->offset,
                                           .progress = goes_on,
                                           .context = inspection };
    (void)audit_run(&options);
    while (!atomic_load(&inspection->tables_done) && aside_goes_on(aside))
        usleep(WAIT_STEP_US);
    return aside_goes_on(aside) ? OK : diag_set(diag, ERR_BUSY, "the database is stopping");
}

/* --- On the engine's thread --- */

static void put_found(struct inspection *inspection)
{
    const char *at = (const char *)inspection->found.data;
    const char *end = at + inspection->found.size;
    char line[200];
    for (; at < end; at += strlen(at) + 1)
        put_line(inspection, true, at);
    snprintf(line, sizeof line, "memory     %" PRIu64 " rows looked up in every index", inspection->row_count);
    put_line(inspection, false, line);
}

static void finish(struct engine *engine, struct aside_job *head)
{
    struct inspection *inspection = container_of(head, struct inspection, head);
    struct request *request = head->request;
    if (head->code == OK) {
        put_found(inspection);
        buf_put_format(&request->answer, "{\"faults\":%" PRIu32 ",\"lines\":[%.*s]}", inspection->faults,
                       BYTES_FORMAT(buf_bytes(&inspection->lines)));
        request_set_json(request);
    } else {
        request_refuse(request, &head->diag);
    }
    request_reply(engine, request);
    engine->inspection = NULL;
    frozen_drop(inspection->frozen);
    schema_free(inspection->schema);
    buf_deinit(&inspection->lines);
    buf_deinit(&inspection->found);
    memory_free(inspection);
}

static err begin(struct engine *engine, struct request *request, struct diag *diag)
{
    if (memcmp(&request->who, &engine->owner, sizeof request->who) != 0)
        return diag_set(diag, ERR_FORBIDDEN, "only the database's owner may have it checked");
    if (engine->inspection != NULL)
        return diag_set(diag, ERR_BUSY, "it is being checked already");
    struct inspection *inspection = memory_new(sizeof *inspection);
    inspection->head = (struct aside_job){ .request = request, .work = work, .finish = finish };
    inspection->aside = engine->aside;
    inspection->disk = engine->disk;
    inspection->dir = engine->dir;
    inspection->frozen = store_freeze(&engine->store);
    inspection->offset = wal_next_offset(engine->wal);
    inspection->ref = ROWREF_NONE;
    const err code = aside_begin(engine->aside, &inspection->head, diag);
    if (code == OK) {
        engine->inspection = inspection;
    } else {
        frozen_drop(inspection->frozen);
        memory_free(inspection);
    }
    return code;
}

void inspection_request(struct engine *engine, struct request *request)
{
    struct diag diag;
    if (begin(engine, request, &diag) == OK)
        return;
    request_refuse(request, &diag);
    request_reply(engine, request);
}

static void note_fault(void *context, const char *text)
{
    struct inspection *inspection = context;
    buf_put_format(&inspection->found, "memory     %s", text);
    buf_put_u8(&inspection->found, '\0');
}

/* A new schema may have come with other tables: then all are looked at anew. */
static void begin_tables(struct inspection *inspection, struct schema *schema)
{
    schema_free(inspection->schema);
    inspection->schema = schema_ref(schema);
    inspection->table = 0;
    inspection->ref = ROWREF_NONE;
    inspection->row_count = 0;
    buf_clear(&inspection->found);
}

void inspection_step(struct engine *engine)
{
    struct inspection *inspection = engine->inspection;
    const struct store *store = &engine->store;
    if (inspection == NULL || atomic_load(&inspection->tables_done))
        return;
    if (inspection->schema != store->schema)
        begin_tables(inspection, store->schema);
    if (inspection->table == store->table_count) {
        atomic_store(&inspection->tables_done, true);
        return;
    }
    const struct table *table = store->tables[inspection->table];
    if (!table_inspect(table, &inspection->ref, ROWS_A_STEP, note_fault, inspection)) {
        inspection->row_count += table->pages.row_count;
        inspection->ref = ROWREF_NONE;
        inspection->table++;
    }
    port_interrupt(engine->port);
}
