/* run — serve one module, and put each saved version of it in force. */
#include "cli/commands.h"

#include "base/background.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/args.h"
#include "cli/fleet.h"
#include "cli/watch.h"
#include "engine/module_log.h"
#include "host/guard.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <uv.h>

enum {
    PATH_SIZE_MAX = DATA_DIR_MAX, /* the system's limit is 4,096 bytes, and below these folders the program adds to it */
    LOOK_AGAIN_MS = 1,            /* until a new version is looked at again that is not on disk yet */
};

struct run {
    /* as asked */
    const char *listen_addr, *data_dir, *database;
    const char *call_ms, *memory_mb;
    const char *snapshot_mb, *snapshot_minutes, *keep_days, *keep_mb;
    char module_path[4096];   /* the file */
    char data_path[4096];
    char name[256];
    /* what runs */
    struct fleet fleet;
    uv_loop_t loop;
    uv_signal_t interrupt, terminate;
    uv_async_t failed;
    struct watch *watch;
    uv_timer_t announcing;
    struct buf unsaid; /* texts that end in a zero: what is said once the version in force is on disk */
};

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* Any text as a database may be called. */
static void name_make(const char *text, size_t text_size, char name[static 256])
{
    size_t size = 0;
    for (size_t idx = 0; idx < text_size && size < 63; idx++) {
        if (isalnum((unsigned char)text[idx]))
            name[size++] = (char)tolower((unsigned char)text[idx]);
        else if (size > 0 && name[size - 1] != '-')
            name[size++] = '-';
    }
    while (size > 0 && name[size - 1] == '-')
        size--;
    snprintf(name + size, 256 - size, "%s", size == 0 ? "database" : "");
}

/* The folder's name for "…/chat/module.lua", the file's for anything else. Names are taken as they were given,
 * so that a link which is pointed at another version stays the same database. */
static void name_of_module(const char *path, char name[static 256])
{
    char copy[4096], absolute[4096];
    const char *file = last_part(path);
    if (strcmp(file, "module.lua") != 0) {
        const char *dot = strrchr(file, '.');
        name_make(file, dot != NULL ? (size_t)(dot - file) : strlen(file), name);
        return;
    }
    snprintf(copy, sizeof copy, "%s", path);
    const char *folder = dirname(copy);
    const char *base = last_part(folder);
    if ((strcmp(base, ".") == 0 || strcmp(base, "..") == 0) && realpath(folder, absolute) != NULL)
        base = last_part(absolute);
    name_make(base, strlen(base), name);
}

static err find_module(struct run *run, const char *path, struct diag *diag)
{
    struct stat about;
    size_t size = strlen(path);
    if (size > PATH_SIZE_MAX)
        return diag_set(diag, ERR_BAD_USAGE, "the module's path is too long");
    snprintf(run->module_path, sizeof run->module_path, "%s", path);
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode)) {
        while (size > 1 && path[size - 1] == '/')
            size--;
        snprintf(run->module_path, sizeof run->module_path, "%.*s/module.lua", (int)size, path);
    }
    if (stat(run->module_path, &about) == 0)
        return OK;
    if (errno == ENOENT)
        return diag_set(diag, ERR_NOT_FOUND, "there is no module at %s", run->module_path);
    return diag_set(diag, ERR_DISK, "the module %s cannot be read: %s", run->module_path, strerror(errno));
}

static err find_places(struct run *run, const char *path, struct diag *diag)
{
    TRY(find_module(run, path, diag));
    if (run->database != NULL) {
        TRY(database_name_check(run->database, diag));
        snprintf(run->name, sizeof run->name, "%s", run->database);
    } else {
        name_of_module(run->module_path, run->name);
    }
    if (run->data_dir != NULL) {
        TRY(data_dir_check(run->data_dir, diag));
        snprintf(run->data_path, sizeof run->data_path, "%s", run->data_dir);
        return OK;
    }
    const char *slash = strrchr(run->module_path, '/');
    const int size = slash != NULL ? (int)(slash - run->module_path) : 1;
    snprintf(run->data_path, sizeof run->data_path, "%.*s/.stdb", size, slash != NULL ? run->module_path : ".");
    return OK;
}

/* A name that nobody gave comes from a folder or a file. Where that was renamed, the data would seem to be lost: a new
 * database would begin beside it. */
static err check_guessed_name(const struct run *run, struct diag *diag)
{
    struct buf names = { 0 }, all = { 0 };
    const bool is_told = run->database != NULL || databases_hold(run->data_path, run->name);
    err code = is_told ? OK : databases_list(run->data_path, &names, diag);
    if (code == ERR_NOT_FOUND)
        code = OK;
    if (code == OK && names.size > 0) {
        databases_join(&names, &all);
        code = diag_set(diag, ERR_NOT_FOUND,
                        "there is no database %s in %s, which has: %.*s; --database NAME goes on with one, --database %s "
                        "makes another",
                        run->name, run->data_path, BYTES_FORMAT(buf_bytes(&all)), run->name);
    }
    buf_deinit(&names);
    buf_deinit(&all);
    return code;
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

static err read_checkpoints(struct run *run, struct diag *diag)
{
    run->fleet.checkpoints = checkpoint_options_default;
    int64_t log_bytes = (int64_t)run->fleet.checkpoints.log_bytes, keep_bytes = (int64_t)run->fleet.checkpoints.keep_bytes;
    TRY(read_limit(run->snapshot_mb, "--snapshot-every", 1 << 20, 1 << 20, &log_bytes, diag));
    TRY(read_limit(run->snapshot_minutes, "--snapshot-interval", 60000000, 1 << 20, &run->fleet.checkpoints.interval_us, diag));
    TRY(read_limit(run->keep_days, "--keep-days", 86400ll * 1000000, 36500, &run->fleet.checkpoints.keep_us, diag));
    TRY(read_limit(run->keep_mb, "--keep-size", 1 << 20, 1 << 30, &keep_bytes, diag));
    run->fleet.checkpoints.log_bytes = (uint64_t)log_bytes;
    run->fleet.checkpoints.keep_bytes = (uint64_t)keep_bytes;
    return OK;
}

static err read_limits(struct run *run, struct diag *diag)
{
    int64_t memory = (int64_t)module_limits_default.memory_max;
    run->fleet.limits = module_limits_default;
    TRY(read_limit(run->call_ms, "--call-limit", 1000, 3600000, &run->fleet.limits.call_us, diag));
    TRY(read_limit(run->memory_mb, "--memory-limit", 1 << 20, 1 << 20, &memory, diag));
    run->fleet.limits.memory_max = (uint64_t)memory;
    return read_checkpoints(run, diag);
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
    const err code = module_load(module, run->module_path, &run->fleet.limits, module_log_say, NULL, diag);
    module_on_open(NULL, NULL);
    return code;
}

/* What is wrong with a module has lines of its source below the first line. */
static void say_refusal(const char *before, const struct diag *diag)
{
    const size_t first = strcspn(diag->text, "\n");
    log_error("%s%.*s", before, (int)first, diag->text);
    if (diag->text[first] == '\0')
        return;
    struct buf lines = { 0 };
    buf_put_text(&lines, "    ");
    module_log_put_text(&lines, bytes_of_text(diag->text + first + 1));
    fwrite(lines.data, 1, lines.size, stderr);
    buf_deinit(&lines);
}

/* A version that a crash could take back is not announced yet. Its database serves it already. */
static void announce(uv_timer_t *timer)
{
    struct run *run = container_of(timer, struct run, announcing);
    const enum version_fate fate = fleet_version_fate(&run->fleet);
    if (fate == VERSION_ON_ITS_WAY)
        return;
    uv_timer_stop(timer);
    for (const char *text = (const char *)run->unsaid.data, *end = text + run->unsaid.size;
         fate == VERSION_DURABLE && text < end; text += strlen(text) + 1)
        log_info("%s", text);
    buf_clear(&run->unsaid);
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
        code = fleet_publish(&run->fleet, module, &diag);
    watch_count_saves(run->watch, code != OK);
    if (code != OK) {
        say_refusal("the old version serves on: ", &diag);
        return;
    }
    buf_put_format(&run->unsaid, "%s: new version in force after %.1f ms: %s", run->name,
                   (double)(clock_monotonic_us() - start_us) / 1e3, diag.text);
    buf_put_u8(&run->unsaid, '\0');
    uv_timer_start(&run->announcing, announce, LOOK_AGAIN_MS, LOOK_AGAIN_MS);
}

static void on_failure(void *context)
{
    struct run *run = context;
    uv_async_send(&run->failed);
}

static void tend_async(uv_async_t *handle)
{
    struct run *run = container_of(handle, struct run, failed);
    if (!fleet_tend(&run->fleet))
        uv_stop(handle->loop);
}

/* From here on a second signal ends the process at once: waiting for a disk that hangs is nobody's duty. */
static void release_signals(struct run *run)
{
    uv_signal_stop(&run->interrupt);
    uv_signal_stop(&run->terminate);
}

static void stop_loop_signal(uv_signal_t *handle, int number)
{
    uv_stop(handle->loop);
}

static void prepare_loop(struct run *run)
{
    uv_loop_init(&run->loop);
    uv_signal_init(&run->loop, &run->interrupt);
    uv_signal_init(&run->loop, &run->terminate);
    uv_signal_start(&run->interrupt, stop_loop_signal, SIGINT);
    uv_signal_start(&run->terminate, stop_loop_signal, SIGTERM);
    uv_async_init(&run->loop, &run->failed, tend_async);
    uv_timer_init(&run->loop, &run->announcing);
    run->watch = watch_new(&run->loop, reload, run);
    watch_add(run->watch, run->module_path);
}

static void drop_loop(struct run *run)
{
    watch_free(run->watch);
    uv_close((uv_handle_t *)&run->interrupt, NULL);
    uv_close((uv_handle_t *)&run->terminate, NULL);
    uv_close((uv_handle_t *)&run->failed, NULL);
    uv_close((uv_handle_t *)&run->announcing, NULL);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    uv_loop_close(&run->loop);
    buf_deinit(&run->unsaid);
}

static err open_databases(struct run *run, struct diag *diag)
{
    struct module *module;
    run->fleet.data_dir = run->data_path;
    run->fleet.listen_addr = run->listen_addr;
    run->fleet.on_failure = on_failure;
    run->fleet.context = run;
    TRY(load(run, &module, diag));
    return fleet_open(&run->fleet, run->name, module, diag);
}

/* The line a person looks for. Without a host the server listens everywhere: here, too. */
static void say_where(struct run *run)
{
    const int host_size = (int)(strrchr(run->listen_addr, ':') - run->listen_addr);
    struct buf others = { 0 };
    fleet_print_others(&run->fleet, &others);
    if (others.size > 0)
        log_info("also served, as published last: %.*s", BYTES_FORMAT(buf_bytes(&others)));
    log_info("database `%s` is served at http://%.*s:%u (WebSocket and HTTP); saving %s changes it, Ctrl-C ends it", run->name,
             host_size > 0 ? host_size : (int)strlen("localhost"), host_size > 0 ? run->listen_addr : "localhost",
             server_port_number(run->fleet.server), run->module_path);
    buf_deinit(&others);
}

static void serve_until_stopped(struct run *run)
{
    const uint16_t port = server_port_number(run->fleet.server);
    fleet_start(&run->fleet);
    place_note_server(&run->fleet.place, port);
    say_where(run);
    background_begin(); /* calls go first while a version is loaded; no thread is begun by this one from here on */
    uv_run(&run->loop, UV_RUN_DEFAULT);

    release_signals(run);
    place_forget_server(port);
    fleet_stop(&run->fleet);
}

static int refuse(err code, const struct diag *diag)
{
    say_refusal("", diag);
    return code == ERR_BAD_USAGE ? 2 : 1;
}

static int run_module(struct run *run, const char *path)
{
    struct diag diag;
    err code = find_places(run, path, &diag);
    if (code == OK)
        code = check_guessed_name(run, &diag);
    if (code == OK)
        code = read_limits(run, &diag);
    if (code == OK)
        code = guard_start(&diag);
    if (code != OK)
        return refuse(code, &diag);

    prepare_loop(run);
    fleet_init(&run->fleet);
    code = open_databases(run, &diag);
    if (code == OK)
        serve_until_stopped(run);
    fleet_close(&run->fleet);
    drop_loop(run);
    if (code != OK)
        return refuse(code, &diag);
    return run->fleet.has_failed ? 1 : 0;
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
        { "--snapshot-every", "MB", "take a snapshot after this much new log (256)", &run.snapshot_mb, NULL },
        { "--snapshot-interval", "MIN", "or after so many minutes, if anything changed (60)", &run.snapshot_minutes, NULL },
        { "--keep-days", "DAYS", "how far back snapshots and log are kept (7)", &run.keep_days, NULL },
        { "--keep-size", "MB", "but no more than this together (16384)", &run.keep_mb, NULL },
    };
    const struct args_spec spec = {
        .command = "run",
        .arguments = "[MODULE]",
        .about = "Serves a Lua module: its tables over WebSocket and HTTP, its reducers to any client. MODULE is a\n"
                 "file, or a folder with a module.lua in it (default: this folder). Each save of the module is put\n"
                 "in force at once; clients stay connected unless columns or filters that they know have changed, or\n"
                 "tables have gone. The other databases in DIR, forks for example, are served too, each by the module\n"
                 "that was published to it last; `run OTHER --database NAME` publishes to one.",
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
