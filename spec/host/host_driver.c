/* Loads a module and calls its reducers, for spec/host: signals and faults are not for busted's own process.
 *
 *     host_driver [limits] PATH COMMAND...
 *
 *     limits            call=MS load=MS memory=MIB
 *     call NAME[*COUNT] "NAME: ok", or the error's number and text of the last call; without arguments
 *     busy NAME*COUNT   nanoseconds a call
 *     took              milliseconds since the last command
 *     memory            resident KiB
 *     asleep            "asleep: yes" as soon as the watchdog has not run for a while, "no" when that does not come
 *     thread            the rest runs on a thread of its own
 *
 * Everything runs against a store made from the module's description. The module's log goes to standard
 * output, as "log LEVEL FUNCTION FILE:LINE MESSAGE". */
#include "base/clock.h"
#include "host/module.h"
#include "schema/migration.h"
#include "store/table.h"
#include "txn/txn.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct driver {
    struct module *module;
    struct store store;
    struct txn *txn;
    char **commands; /* up to NULL */
    int64_t before_us;
};

static void print_log(void *context, const struct module_log_line *line)
{
    printf("log %d %.*s %.*s:%d %.*s\n", line->level, BYTES_FORMAT(line->function), BYTES_FORMAT(line->file),
           line->line, BYTES_FORMAT(line->message));
}

static err call(struct driver *driver, uint32_t reducer, struct diag *diag)
{
    const struct call_context context = { .timestamp_us = 1700000000000000, .random_seed = 1 };
    txn_begin(driver->txn);
    const err code = module_call(driver->module, driver->txn, &context, reducer, bytes_of("", 0), diag);
    if (code != OK) {
        txn_abort(driver->txn);
        return code;
    }
    txn_commit(driver->txn);
    txn_end(driver->txn);
    return OK;
}

/* "name*count" */
static void call_many(struct driver *driver, const char *what, bool timed)
{
    char name[100];
    int count = 1;
    if (sscanf(what, "%99[^*]*%d", name, &count) < 1)
        exit(2);
    const int32_t reducer = schema_find_reducer(driver->store.schema, bytes_of_text(name));
    if (reducer < 0) {
        printf("%s: no such reducer\n", name);
        return;
    }
    struct diag diag;
    err code = OK;
    const int64_t from_us = clock_monotonic_us();
    for (int idx = 0; idx < count; idx++)
        code = call(driver, (uint32_t)reducer, &diag);
    if (timed)
        printf("%s: %.1f ns\n", name, (double)(clock_monotonic_us() - from_us) * 1000 / count);
    else if (code == OK)
        printf("%s: ok\n", name);
    else
        printf("%s: %d %s\n", name, code, diag.text);
}

static void print_memory(void)
{
    long size, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &size, &resident) != 2)
        exit(2);
    fclose(file);
    printf("memory: %ld\n", resident * (sysconf(_SC_PAGESIZE) / 1024));
}

/* How often a thread has given up the processor; -1 when it has another name. */
static long switches_of(const char *thread, const char *name)
{
    char path[300], line[300];
    long count = -1;
    bool is_meant = false;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", thread);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "Name:\t", 6) == 0)
            is_meant = strncmp(line + 6, name, strlen(name)) == 0;
        sscanf(line, "voluntary_ctxt_switches: %ld", &count);
    }
    if (file != NULL)
        fclose(file);
    return is_meant ? count : -1;
}

static long watchdog_switches(void)
{
    long count = -1;
    DIR *threads = opendir("/proc/self/task");
    for (struct dirent *entry; count < 0 && (entry = readdir(threads)) != NULL;)
        count = switches_of(entry->d_name, "stdb-watchdog");
    closedir(threads);
    return count;
}

static void print_asleep(void)
{
    long before = -1, now = watchdog_switches();
    for (int tries = 0; tries < 40 && now != before; tries++) {
        usleep(300000);
        before = now;
        now = watchdog_switches();
    }
    printf("asleep: %s\n", now >= 0 && now == before ? "yes" : "no");
}

static void *run_commands(void *context)
{
    struct driver *driver = context;
    while (*driver->commands != NULL) {
        const char *command = *driver->commands++;
        if (strcmp(command, "took") == 0)
            printf("took: %lld\n", (long long)(clock_monotonic_us() - driver->before_us) / 1000);
        driver->before_us = clock_monotonic_us();
        if (strcmp(command, "memory") == 0) {
            print_memory();
        } else if (strcmp(command, "asleep") == 0) {
            print_asleep();
        } else if (strcmp(command, "thread") == 0) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, run_commands, driver) == 0)
                pthread_join(thread, NULL);
        } else if (strcmp(command, "call") == 0) {
            call_many(driver, *driver->commands++, false);
        } else if (strcmp(command, "busy") == 0) {
            call_many(driver, *driver->commands++, true);
        }
        fflush(stdout);
    }
    return NULL;
}

static err make_store(struct driver *driver, struct diag *diag)
{
    const struct schema none = { 0 };
    struct schema *schema;
    struct schema_fault fault;
    struct migration plan;
    struct arena arena;
    const err code = schema_build(module_def(driver->module), NULL, &schema, &fault, diag);
    if (code != OK) {
        module_explain(driver->module, &fault, 1, diag);
        return code;
    }
    arena_init(&arena);
    store_init(&driver->store);
    TRY(migration_plan(&arena, &none, schema, &plan, diag));
    TRY(store_migrate(&driver->store, schema, &plan, NULL, diag));
    arena_deinit(&arena);
    const struct txn_limits limits = { .rows_max = 100000, .bytes_max = 16 << 20 };
    driver->txn = txn_new(&driver->store, &limits);
    module_bind(driver->module, &driver->store);
    return OK;
}

static char **take_limits(char **arguments, struct module_limits *limits)
{
    long value;
    for (; *arguments != NULL; arguments++) {
        if (sscanf(*arguments, "call=%ld", &value) == 1)
            limits->call_us = value * 1000;
        else if (sscanf(*arguments, "load=%ld", &value) == 1)
            limits->load_us = value * 1000;
        else if (sscanf(*arguments, "memory=%ld", &value) == 1)
            limits->memory_max = (uint64_t)value << 20;
        else
            break;
    }
    return arguments;
}

int main(int count, char **arguments)
{
    struct driver driver = { .before_us = clock_monotonic_us() };
    struct module_limits limits = module_limits_default;
    struct diag diag;
    arguments = take_limits(arguments + 1, &limits);
    if (*arguments == NULL)
        return 2;
    driver.commands = arguments + 1;
    err code = module_load(&driver.module, *arguments, &limits, print_log, NULL, &diag);
    if (code == OK)
        code = make_store(&driver, &diag);
    if (code != OK)
        printf("load: %d %s\n", code, diag.text);
    else
        run_commands(&driver);
    txn_free(driver.txn);
    module_free(driver.module);
    store_deinit(&driver.store);
    return 0;
}
