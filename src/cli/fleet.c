#include "cli/fleet.h"

#include "base/log.h"
#include "cli/keeper.h"
#include "cli/meter.h"

#include <stdio.h>

/* One database. */
struct member {
    struct member *next;
    struct fleet *fleet;
    char name[DATABASE_NAME_MAX + 1];
    struct engine *engine; /* owned */
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

static err open_member(struct fleet *fleet, const char *name, struct module *module, struct member **out,
                       struct diag *diag)
{
    char dir[4096];
    struct member *member = memory_new(sizeof *member);
    member->fleet = fleet;
    memcpy(member->name, name, strlen(name));
    member->port = server_port_new(fleet->server);
    struct meter meter = meter_new();
    struct progress progress = { meter_tell, &meter, "" };
    database_path(dir, fleet->data_dir, name);
    const struct engine_options options = { .disk = disk_real(),
                                            .dir = dir,
                                            .name = name,
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
    member->is_served = true;
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
        if (any_is_served(fleet)) /* else the process ends, and with it all */
            engine_stop(member->engine);
    }
    return any_is_served(fleet);
}

err fleet_publish(struct fleet *fleet, struct module *module, struct diag *diag)
{
    if (fleet->first->is_served)
        return engine_publish(fleet->first->engine, module, diag);
    module_free(module);
    return diag_set(diag, ERR_DISK, "the database has stopped, because its log cannot be written");
}

void fleet_print_others(struct fleet *fleet, struct buf *out)
{
    for (const struct member *member = fleet->members; member != NULL; member = member->next)
        if (member != fleet->first)
            buf_put_format(out, "%s%s", out->size > 0 ? ", " : "", member->name);
}

/* --- Ending --- */

/* The keeper may wait for an engine, so these go first; it may add one meanwhile. Nobody removes any. */
void fleet_stop(struct fleet *fleet)
{
    for (int round = 0; round < 2; round++) {
        pthread_mutex_lock(&fleet->lock);
        struct member *member = fleet->members;
        pthread_mutex_unlock(&fleet->lock);
        for (; member != NULL; member = member->next)
            engine_stop(member->engine);
        keeper_stop(fleet->keeper);
        fleet->keeper = NULL;
    }
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
}

/* --- For the keeper --- */

static struct member *find_member(struct fleet *fleet, const identity *database)
{
    pthread_mutex_lock(&fleet->lock);
    struct member *member = fleet->members;
    while (member != NULL && (!member->is_served || memcmp(engine_identity(member->engine), database, sizeof *database) != 0))
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

err fleet_remove(struct fleet *fleet, const identity *database, char name[DATABASE_NAME_MAX + 1], struct diag *diag)
{
    struct member *member = find_member(fleet, database);
    if (member == NULL)
        return refuse_missing(diag);
    if (member == fleet->first)
        return diag_set(diag, ERR_FORBIDDEN, "%s is the database that this server was started for", member->name);
    memcpy(name, member->name, sizeof member->name);
    server_retire(fleet->server, member->port);
    engine_stop(member->engine);
    pthread_mutex_lock(&fleet->lock);
    struct member **place = &fleet->members;
    while (*place != member)
        place = &(*place)->next;
    *place = member->next;
    pthread_mutex_unlock(&fleet->lock);
    engine_close(member->engine);
    memory_free(member);
    log_info("%s is no longer served", name);
    return OK;
}
