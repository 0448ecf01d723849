/* run — serve one module, and put each saved version of it in force. */
#include "cli/commands.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/args.h"
#include "cli/place.h"
#include "cli/watch.h"
#include "engine/engine.h"
#include "engine/module_log.h"
#include "host/guard.h"
#include "net/server.h"

#include <ctype.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <uv.h>

struct run {
    /* as asked */
    const char *listen_addr, *data_dir, *database;
    const char *call_ms, *memory_mb;
    char module_path[4096];   /* the file */
    char data_path[4096];
    char name[256];
    struct module_limits limits;
    /* what runs */
    struct place place;
    struct server *server;
    struct engine *engine;
    pthread_t net_thread;
    uv_loop_t loop;
    uv_signal_t interrupt, terminate;
    uv_async_t failed;
    struct watch *watch;
    /* the log has failed: written once by its thread, read after the signal */
    struct diag failure;
    bool has_failed;
};

/* The folder's name for "…/chat/module.lua", the file's for anything else; as a database may be called. */
static void name_of_module(const char *path, char name[static 256])
{
    char absolute[4096];
    if (realpath(path, absolute) == NULL)
        snprintf(absolute, sizeof absolute, "%s", path);
    char *file = strrchr(absolute, '/');
    char *base = file != NULL ? file + 1 : absolute;
    if (file != NULL && strcmp(base, "module.lua") == 0) {
        *file = '\0';
        char *folder = strrchr(absolute, '/');
        base = folder != NULL ? folder + 1 : absolute;
    } else {
        char *dot = strrchr(base, '.');
        if (dot != NULL)
            *dot = '\0';
    }
    size_t size = 0;
    for (const char *at = base; *at != '\0' && size < 63; at++) {
        if (isalnum((unsigned char)*at))
            name[size++] = (char)tolower((unsigned char)*at);
        else if (size > 0 && name[size - 1] != '-')
            name[size++] = '-';
    }
    while (size > 0 && name[size - 1] == '-')
        size--;
    name[size] = '\0';
    if (size == 0)
        strcpy(name, "database");
}

static bool name_is_legal(const char *name)
{
    const size_t size = strlen(name);
    if (size == 0 || size > 63 || name[0] == '-' || name[size - 1] == '-' || strstr(name, "--") != NULL)
        return false;
    for (size_t idx = 0; idx < size; idx++) {
        if (!islower((unsigned char)name[idx]) && !isdigit((unsigned char)name[idx]) && name[idx] != '-')
            return false;
    }
    return true;
}

static err find_module(struct run *run, const char *path, struct diag *diag)
{
    struct stat stat_;
    if (snprintf(run->module_path, sizeof run->module_path, "%s", path) >= 4000)
        return diag_set(diag, ERR_BAD_USAGE, "the module's path is too long");
    if (stat(path, &stat_) == 0 && S_ISDIR(stat_.st_mode))
        snprintf(run->module_path, sizeof run->module_path, "%s/module.lua", path);
    if (stat(run->module_path, &stat_) != 0)
        return diag_set(diag, ERR_NOT_FOUND, "there is no module at %s", run->module_path);
    return OK;
}

static err find_places(struct run *run, const char *path, struct diag *diag)
{
    TRY(find_module(run, path, diag));
    if (run->database != NULL) {
        if (!name_is_legal(run->database))
            return diag_set(diag, ERR_BAD_USAGE,
                            "%s cannot be a database's name: lower-case letters, digits and single dashes between them",
                            run->database);
        snprintf(run->name, sizeof run->name, "%s", run->database);
    } else {
        name_of_module(run->module_path, run->name);
    }
    if (run->data_dir != NULL) {
        snprintf(run->data_path, sizeof run->data_path, "%s", run->data_dir);
        return OK;
    }
    const char *slash = strrchr(run->module_path, '/');
    const int size = slash != NULL ? (int)(slash - run->module_path) : 1;
    snprintf(run->data_path, sizeof run->data_path, "%.*s/.stdb", size, slash != NULL ? run->module_path : ".");
    return OK;
}

static err read_limit(const char *text, const char *what, int64_t unit, int64_t max, int64_t *out, struct diag *diag)
{
    char *end;
    if (text == NULL)
        return OK;
    const long long value = strtoll(text, &end, 10);
    if (*end != '\0' || end == text || value < 1 || value > max)
        return diag_set(diag, ERR_BAD_USAGE, "%s takes a whole number from 1 to %lld, not %s", what, (long long)max, text);
    *out = value * unit;
    return OK;
}

static err read_limits(struct run *run, struct diag *diag)
{
    int64_t memory = (int64_t)module_limits_default.memory_max;
    run->limits = module_limits_default;
    TRY(read_limit(run->call_ms, "--call-limit", 1000, 3600000, &run->limits.call_us, diag));
    TRY(read_limit(run->memory_mb, "--memory-limit", 1 << 20, 1 << 20, &memory, diag));
    run->limits.memory_max = (uint64_t)memory;
    return OK;
}

static void watch_opened(void *context, const char *path)
{
    struct run *run = context;
    if (run->watch != NULL)
        watch_add(run->watch, path);
}

static err load(struct run *run, struct module **module, struct diag *diag)
{
    module_on_open(watch_opened, run);
    const err code = module_load(module, run->module_path, &run->limits, module_log_say, NULL, diag);
    module_on_open(NULL, NULL);
    return code;
}

/* What is wrong with a module has lines of its source below the first line. They stay lines, but indented, so that
 * no module can write one that looks like the server's. */
static void say_refusal(const char *before, const struct diag *diag)
{
    const size_t first = strcspn(diag->text, "\n");
    log_error("%s%.*s", before, (int)first, diag->text);
    for (const char *at = diag->text + first; *at != '\0'; at++) {
        if (*at == '\n')
            fputs(at == diag->text + first ? "    " : "\n    ", stderr);
        else
            fputc((unsigned char)*at < 0x20 || *at == 0x7f ? ' ' : *at, stderr);
    }
    if (diag->text[first] != '\0')
        fputc('\n', stderr);
}

static void reload(void *context)
{
    struct run *run = context;
    struct diag diag;
    struct module *module;
    const int64_t start_us = clock_monotonic_us();
    watch_mark(run->watch);
    err code = load(run, &module, &diag);
    if (code == OK)
        code = engine_publish(run->engine, module, &diag);
    if (code == OK)
        log_info("%s: new version in force after %.1f ms: %s", run->name, (double)(clock_monotonic_us() - start_us) / 1e3,
                 diag.text);
    else
        say_refusal("the old version serves on: ", &diag);
}

static void on_log_failure(void *context, const struct diag *diag)
{
    struct run *run = context;
    run->failure = *diag;
    run->has_failed = true;
    uv_async_send(&run->failed);
}

static void stop_loop_async(uv_async_t *handle)
{
    uv_stop(handle->loop);
}

static void stop_loop_signal(uv_signal_t *handle, int number)
{
    uv_stop(handle->loop);
}

static void *serve(void *context)
{
    server_run(context);
    return NULL;
}

static void prepare_loop(struct run *run)
{
    uv_loop_init(&run->loop);
    uv_signal_init(&run->loop, &run->interrupt);
    uv_signal_init(&run->loop, &run->terminate);
    uv_signal_start(&run->interrupt, stop_loop_signal, SIGINT);
    uv_signal_start(&run->terminate, stop_loop_signal, SIGTERM);
    uv_async_init(&run->loop, &run->failed, stop_loop_async);
    run->watch = watch_new(&run->loop, reload, run);
    watch_add(run->watch, run->module_path);
}

static void drop_loop(struct run *run)
{
    watch_free(run->watch);
    uv_close((uv_handle_t *)&run->interrupt, NULL);
    uv_close((uv_handle_t *)&run->terminate, NULL);
    uv_close((uv_handle_t *)&run->failed, NULL);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    uv_loop_close(&run->loop);
}

static err open_database(struct run *run, struct diag *diag)
{
    struct module *module;
    char dir[4600];
    TRY(load(run, &module, diag));
    err code = place_open(&run->place, disk_real(), run->data_path, diag);
    const struct server_options server_options = { .listen_addr = run->listen_addr, .keys = run->place.keys };
    if (code == OK)
        code = server_new(&run->server, &server_options, diag);
    if (code != OK) {
        module_free(module);
        return code;
    }
    snprintf(dir, sizeof dir, "%s/databases/%s", run->data_path, run->name);
    const struct engine_options options = { .disk = disk_real(),
                                            .dir = dir,
                                            .name = run->name,
                                            .owner = run->place.owner,
                                            .module = module,
                                            .port = server_port_new(run->server),
                                            .limits = run->limits,
                                            .on_failure = on_log_failure,
                                            .context = run };
    TRY(engine_open(&run->engine, &options, diag));
    server_add(run->server, run->name, run->engine, &run->place.owner, options.port);
    return OK;
}

/* The line a person looks for. */
static void say_where(const struct run *run)
{
    const char *colon = strrchr(run->listen_addr, ':');
    const int host_size = colon != NULL ? (int)(colon - run->listen_addr) : (int)strlen(run->listen_addr);
    log_info("database `%s` is served at http://%.*s:%u (WebSocket and HTTP); saving %s changes it, Ctrl-C ends it", run->name,
             host_size, run->listen_addr, server_port_number(run->server), run->module_path);
}

static int serve_until_stopped(struct run *run)
{
    const uint16_t port = server_port_number(run->server);
    engine_start(run->engine);
    check(pthread_create(&run->net_thread, NULL, serve, run->server) == 0);
    place_note_server(&run->place, port);
    say_where(run);
    uv_run(&run->loop, UV_RUN_DEFAULT);

    place_forget_server(port);
    if (run->has_failed)
        log_error("%s: stopped, because the log cannot be written: %s. What was acknowledged is on disk.", run->name,
                  run->failure.text);
    engine_stop(run->engine);
    server_stop(run->server);
    pthread_join(run->net_thread, NULL);
    return run->has_failed ? 1 : 0;
}

static int run_module(struct run *run, const char *path)
{
    struct diag diag;
    int exit_code = 1;
    err code = find_places(run, path, &diag);
    if (code == OK)
        code = read_limits(run, &diag);
    if (code == OK)
        code = guard_start(&diag);
    if (code != OK) {
        log_error("%s", diag.text);
        return code == ERR_BAD_USAGE ? 2 : 1;
    }
    prepare_loop(run);
    code = open_database(run, &diag);
    if (code == OK)
        exit_code = serve_until_stopped(run);
    else
        say_refusal("", &diag);
    engine_close(run->engine);
    if (run->server != NULL)
        server_free(run->server);
    place_close(&run->place);
    drop_loop(run);
    return exit_code;
}

int command_run(int argc, char **argv)
{
    static struct run run = { .listen_addr = "127.0.0.1:3000" };
    const struct args_option options[] = {
        { "--listen-addr", "HOST:PORT", "where to listen (127.0.0.1:3000); port 0 takes a free one", &run.listen_addr, NULL },
        { "--data-dir", "DIR", "where the data lives (.stdb beside the module)", &run.data_dir, NULL },
        { "--database", "NAME", "the database's name (the module's folder or file name)", &run.database, NULL },
        { "--call-limit", "MS", "milliseconds a call may take (100)", &run.call_ms, NULL },
        { "--memory-limit", "MB", "megabytes of Lua memory a module may use (64)", &run.memory_mb, NULL },
    };
    const struct args_spec spec = {
        .command = "run",
        .arguments = "[MODULE]",
        .about = "Serves a Lua module: its tables over WebSocket and HTTP, its reducers to any client. MODULE is a\n"
                 "file, or a folder with a module.lua in it (default: this folder). Each save of the module is put\n"
                 "in force at once; clients stay connected.",
        .options = options,
        .option_count = COUNTOF(options),
        .positional_max = 1,
    };
    const char *path = ".";
    int count;
    switch (args_parse(&spec, argc, argv, &path, &count)) {
    case ARGS_HELP: return 0;
    case ARGS_BAD: return 2;
    case ARGS_RUN: break;
    }
    return run_module(&run, path);
}
