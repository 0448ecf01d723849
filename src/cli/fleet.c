#include "cli/fleet.h"

#include "base/log.h"
#include "cli/keeper.h"
#include "cli/meter.h"
#include "cli/restoring.h"
#include "engine/rollback.h"

#include <stdio.h>

/* One database. */
struct member {
    struct member *next;
    struct fleet *fleet;
    char name[DATABASE_NAME_MAX + 1];
    struct engine *engine; /* owned; NULL: it could not be opened again */
    struct port *port;     /* the server's */
    bool is_served;
    struct diag failure;   /* under the lock; of the log */
};

/* --- Opening --- */

static void on_log_failure(void *context, const struct diag *diag)
{
    struct member *member = context;
    struct fleet *fleet = member->fleet;
    pthread_mutex_lock(&fleet->lock);
    member->failure = *diag;
    fleet->has_failed = true;
    pthread_mutex_unlock(&fleet->lock);
    fleet->on_failure(fleet->context);
}

static void link_member(struct fleet *fleet, struct member *member)
{
    pthread_mutex_lock(&fleet->lock);
    member->next = fleet->members;
    fleet->members = member;
    pthread_mutex_unlock(&fleet->lock);
}

/* Takes the module over. */
static err open_engine(struct member *member, struct module *module, struct diag *diag)
{
    struct fleet *fleet = member->fleet;
    struct meter meter = meter_new();
    struct progress progress = { meter_tell, &meter, "" };
    char dir[4096];
    database_path(dir, fleet->data_dir, member->name);
    member->port = server_port_new(fleet->server);
    member->failure.code = OK; /* nobody else knows it now */
    const struct engine_options options = { .disk = disk_real(),
                                            .dir = dir,
                                            .name = member->name,
                                            .owner = fleet->place.owner,
                                            .module = module,
                                            .port = member->port,
                                            .limits = fleet->limits,
                                            .checkpoints = fleet->checkpoints,
                                            .echo = true,
                                            .progress = &progress,
                                            .on_failure = on_log_failure,
                                            .context = member };
    const err code = engine_open(&member->engine, &options, diag);
    meter_wipe(&meter);
    return code;
}

static err open_member(struct fleet *fleet, const char *name, struct module *module, struct member **out,
                       struct diag *diag)
{
    struct member *member = memory_new(sizeof *member);
    member->fleet = fleet;
    memcpy(member->name, name, strlen(name));
    const err code = open_engine(member, module, diag);
    if (code != OK) {
        memory_free(member);
        return code;
    }
    link_member(fleet, member);
    *out = member;
    return OK;
}

static void serve_member(struct fleet *fleet, struct member *member)
{
    pthread_mutex_lock(&fleet->lock);
    member->is_served = true;
    pthread_mutex_unlock(&fleet->lock);
    server_add(fleet->server, member->name, member->engine, &fleet->place.owner, member->port);
}

static void open_others(struct fleet *fleet)
{
    struct buf names = { 0 };
    struct diag diag;
    if (databases_list(fleet->data_dir, &names, &diag) != OK)
        log_warn("%s", diag.text);
    for (size_t at = 0; at < names.size; at += strlen((char *)names.data + at) + 1) {
        const char *name = (const char *)names.data + at;
        struct member *member;
        if (strcmp(name, fleet->first->name) == 0)
            continue;
        if (open_member(fleet, name, NULL, &member, &diag) == OK)
            serve_member(fleet, member);
        else
            log_error("%s is not served: %s", name, diag.text);
    }
    buf_deinit(&names);
}

void fleet_init(struct fleet *fleet)
{
    pthread_mutex_init(&fleet->lock, NULL);
    pthread_mutex_init(&fleet->changing, NULL);
}

err fleet_open(struct fleet *fleet, const char *name, struct module *module, struct diag *diag)
{
    err code = place_open(&fleet->place, disk_real(), fleet->data_dir, diag);
    const struct server_options options = { .listen_addr = fleet->listen_addr, .keys = fleet->place.keys };
    if (code == OK)
        code = server_new(&fleet->server, &options, diag);
    if (code != OK) {
        module_free(module);
        return code;
    }
    TRY(open_member(fleet, name, module, &fleet->first, diag));
    serve_member(fleet, fleet->first);
    open_others(fleet);
    return OK;
}

/* --- Serving --- */

static void *serve(void *context)
{
    server_run(context);
    return NULL;
}

void fleet_start(struct fleet *fleet)
{
    for (struct member *member = fleet->members; member != NULL; member = member->next)
        engine_start(member->engine);
    fleet->keeper = keeper_start(fleet, server_open_desk(fleet->server));
    check(pthread_create(&fleet->net_thread, NULL, serve, fleet->server) == 0);
}

/* One whose log has failed and that is still served; NULL when there is none. */
static struct member *find_failed(struct fleet *fleet)
{
    pthread_mutex_lock(&fleet->lock);
    struct member *member = fleet->members;
    while (member != NULL && !(member->is_served && member->failure.code != OK))
        member = member->next;
    if (member != NULL)
        member->is_served = false;
    pthread_mutex_unlock(&fleet->lock);
    return member;
}

static bool any_is_served(struct fleet *fleet)
{
    pthread_mutex_lock(&fleet->lock);
    const struct member *member = fleet->members;
    while (member != NULL && !member->is_served)
        member = member->next;
    pthread_mutex_unlock(&fleet->lock);
    return member != NULL;
}

bool fleet_tend(struct fleet *fleet)
{
    struct member *member;
    while ((member = find_failed(fleet)) != NULL) {
        log_error("%s: stopped, because the log cannot be written: %s. What was acknowledged is on disk.", member->name,
                  member->failure.text);
        server_retire(fleet->server, member->port);
        pthread_mutex_lock(&fleet->changing);
        if (any_is_served(fleet)) /* else the process ends, and with it all */
            engine_stop(member->engine);
        pthread_mutex_unlock(&fleet->changing);
    }
    return any_is_served(fleet);
}

err fleet_publish(struct fleet *fleet, struct module *module, struct diag *diag)
{
    pthread_mutex_lock(&fleet->changing);
    const bool is_served = fleet->first->is_served;
    const err code = is_served ? engine_publish(fleet->first->engine, module, diag) : ERR_BUSY;
    pthread_mutex_unlock(&fleet->changing);
    if (is_served)
        return code;
    module_free(module);
    return diag_set(diag, code, "%s has stopped", fleet->first->name);
}

/* Nothing is waited for: while an engine is closed and opened anew the answer is open. */
enum version_fate fleet_version_fate(struct fleet *fleet)
{
    enum version_fate fate = VERSION_ON_ITS_WAY;
    if (pthread_mutex_trylock(&fleet->changing) != 0)
        return fate;
    if (!fleet->first->is_served)
        fate = VERSION_LOST;
    else if (engine_version_is_durable(fleet->first->engine))
        fate = VERSION_DURABLE;
    pthread_mutex_unlock(&fleet->changing);
    return fate;
}

void fleet_print_others(struct fleet *fleet, struct buf *out)
{
    pthread_mutex_lock(&fleet->lock); /* the keeper may be adding one */
    for (const struct member *member = fleet->members; member != NULL; member = member->next)
        if (member != fleet->first)
            buf_put_format(out, "%s%s", out->size > 0 ? ", " : "", member->name);
    pthread_mutex_unlock(&fleet->lock);
}

/* --- Ending --- */

static void stop_engines(struct fleet *fleet)
{
    pthread_mutex_lock(&fleet->changing);
    pthread_mutex_lock(&fleet->lock);
    struct member *member = fleet->members;
    pthread_mutex_unlock(&fleet->lock);
    for (; member != NULL; member = member->next)
        if (member->engine != NULL)
            engine_stop(member->engine);
    pthread_mutex_unlock(&fleet->changing);
}

/* The keeper may wait for an engine, so these go first; it may have added one by its end. */
void fleet_stop(struct fleet *fleet)
{
    stop_engines(fleet);
    keeper_stop(fleet->keeper);
    stop_engines(fleet);
    server_stop(fleet->server);
    pthread_join(fleet->net_thread, NULL);
}

void fleet_close(struct fleet *fleet)
{
    while (fleet->members != NULL) {
        struct member *member = fleet->members;
        engine_close(member->engine);
        fleet->members = member->next;
        memory_free(member);
    }
    server_free(fleet->server);
    place_close(&fleet->place);
    pthread_mutex_destroy(&fleet->lock);
    pthread_mutex_destroy(&fleet->changing);
}

/* --- For the keeper --- */

static struct member *find_member(struct fleet *fleet, const identity *database)
{
    pthread_mutex_lock(&fleet->lock);
    struct member *member = fleet->members;
    while (member != NULL &&
           (!member->is_served || memcmp(engine_identity(member->engine), database, sizeof *database) != 0))
        member = member->next;
    pthread_mutex_unlock(&fleet->lock);
    return member;
}

static err refuse_missing(struct diag *diag)
{
    return diag_set(diag, ERR_NOT_FOUND, "the database is no longer served");
}

err fleet_snapshot(struct fleet *fleet, const identity *database, char name[DATABASE_NAME_MAX + 1], uint64_t *offset,
                   struct diag *diag)
{
    struct member *member = find_member(fleet, database);
    if (member == NULL)
        return refuse_missing(diag);
    memcpy(name, member->name, sizeof member->name);
    return engine_snapshot(member->engine, offset, diag);
}

err fleet_add(struct fleet *fleet, const char *name, identity *database, struct diag *diag)
{
    struct member *member;
    TRY(open_member(fleet, name, NULL, &member, diag));
    *database = *engine_identity(member->engine);
    engine_start(member->engine);
    serve_member(fleet, member);
    log_info("%s is served, too", name);
    return OK;
}

/* Out of sight and out of work; `changing` is held. */
static void take_down(struct fleet *fleet, struct member *member)
{
    pthread_mutex_lock(&fleet->lock);
    member->is_served = false;
    pthread_mutex_unlock(&fleet->lock);
    server_retire(fleet->server, member->port);
    engine_stop(member->engine);
    engine_close(member->engine);
    member->engine = NULL;
}

/* Whatever came of the rollback: the old state opens or the new one. */
static err come_back(struct fleet *fleet, struct member *member, struct diag *diag)
{
    TRY(open_engine(member, NULL, diag));
    engine_start(member->engine);
    serve_member(fleet, member);
    return OK;
}

static err roll_back(struct fleet *fleet, struct member *member, const struct moment *moment, struct buf *said,
                     struct diag *diag)
{
    struct progress nobody = { 0 };
    struct archive archive = { .data_dir = fleet->data_dir };
    struct diag later;
    memcpy(archive.name, member->name, sizeof archive.name);
    database_path(archive.path, fleet->data_dir, member->name);
    struct rollback look = { .disk = disk_real(), .dir = archive.path, .progress = &nobody };
    TRY(rollback_plan(&look, moment, diag));
    if (look.end == look.log_end) {
        restoring_say_already(member->name, look.end, said);
        return OK;
    }
    take_down(fleet, member);
    const err code = restoring_roll_back(&archive, moment, &nobody, said, diag);
    if (come_back(fleet, member, &later) == OK)
        return code;
    log_error("%s is no longer served: %s", member->name, later.text);
    return code != OK ? code : diag_set(diag, later.code, "it is rolled back, and cannot be opened: %s", later.text);
}

err fleet_roll_back(struct fleet *fleet, const identity *database, const struct moment *moment, struct buf *said,
                    struct diag *diag)
{
    struct member *member = find_member(fleet, database);
    if (member == NULL)
        return refuse_missing(diag);
    pthread_mutex_lock(&fleet->changing);
    const err code = roll_back(fleet, member, moment, said, diag);
    pthread_mutex_unlock(&fleet->changing);
    if (code == OK)
        log_info("%.*s", BYTES_FORMAT(buf_bytes(said)));
    return code;
}

static void unlink_member(struct fleet *fleet, struct member *member)
{
    pthread_mutex_lock(&fleet->lock);
    struct member **place = &fleet->members;
    while (*place != member)
        place = &(*place)->next;
    *place = member->next;
    pthread_mutex_unlock(&fleet->lock);
}

err fleet_remove(struct fleet *fleet, const identity *database, char name[DATABASE_NAME_MAX + 1], struct diag *diag)
{
    struct member *member = find_member(fleet, database);
    if (member == NULL)
        return refuse_missing(diag);
    if (member == fleet->first)
        return diag_set(diag, ERR_FORBIDDEN, "%s is the database that this server was started for", member->name);
    memcpy(name, member->name, sizeof member->name);
    pthread_mutex_lock(&fleet->changing);
    take_down(fleet, member);
    unlink_member(fleet, member);
    pthread_mutex_unlock(&fleet->changing);
    memory_free(member);
    log_info("%s is no longer served", name);
    return OK;
}
