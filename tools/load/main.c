/* stdb-load — one measurement, or one chore around it. See tools/bench. */
#include "load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: stdb-load COMMAND --system v3|v2|redis|tarantool|postgres --port PORT [options]\n"
    "\n"
    "  run        measures transfers\n"
    "  fanout     measures one writer and many listeners (v3, v2, redis)\n"
    "  call       measures one call of --function with --number\n"
    "  subscribe  measures the first rows of --query, with --number for its %u (v3)\n"
    "  opening    measures how --connections are opened, --window at a time, first without tokens, then with them\n"
    "  idle       measures the server's memory for connections on which nothing happens\n"
    "  reload     measures saves of a module: --file and FILE.1, FILE.2, ... to --number (v3)\n"
    "  calls      makes a number of transfers\n"
    "  sum        prints the sum of all balances\n"
    "\n"
    "What is measured is printed as JSON, a line each.\n"
    "\n"
    "  --host ADDRESS       default 127.0.0.1\n"
    "  --database NAME      default transfer (v3, v2)\n"
    "  --confirmed 0|1      whether answers wait for the disk (v3, v2, postgres); default 1\n"
    "  --accounts COUNT     default 100000\n"
    "  --connections COUNT  default 64; of a fan-out: the listeners\n"
    "  --window COUNT       calls in flight on each; default 40\n"
    "  --alpha EXPONENT     0: accounts are drawn evenly; else by Zipf's law; default 0\n"
    "  --warm SECONDS       before measuring; default 1\n"
    "  --seconds SECONDS    measured; default 3\n"
    "  --server-pid PID     whose CPU time and memory to read, its children's included\n"
    "  --calls COUNT        default 100000 (calls)\n"
    "  --function NAME, --number COUNT, --file FILE, --query TEXT\n"
    "  --hold COUNT         live queries that are held during a run: the text of --query\n"
    "  --idle COUNT         connections that are there during a run, and on which nothing happens\n"
    "  --entities COUNT     that move in a fan-out; default 1000\n"
    "  --areas COUNT        they are in; 0, the default: listeners hear of all, else of one area each\n"
    "  --rate COUNT         ticks a second; default 20\n"
    "  --row-size BYTES     of a published row (redis); default 40\n"
    "  --by-row             a message a row, not a tick (redis)\n";

/* All that can be said on the command line. */
struct chore {
    struct target target;
    struct run_options run;
    struct fanout_options fanout;
    const char *function, *file, *query;
    uint32_t number;
    bool opens; /* the window is of connections, not of calls */
};

static _Noreturn void refuse_usage(void)
{
    fputs(usage, stderr);
    exit(2);
}

static const struct protocol *find_protocol(const char *name)
{
    const struct protocol *all[] = {
        &protocol_v3, &protocol_v2, &protocol_redis, &protocol_tarantool, &protocol_postgres
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    }
    refuse_usage();
}

static const struct option known[] = {
    { "system", 1, 0, 's' },   { "host", 1, 0, 'h' },     { "port", 1, 0, 'p' },        { "database", 1, 0, 'd' },
    { "confirmed", 1, 0, 'c' }, { "accounts", 1, 0, 'a' }, { "connections", 1, 0, 'n' }, { "window", 1, 0, 'w' },
    { "alpha", 1, 0, 'z' },    { "warm", 1, 0, 'W' },     { "seconds", 1, 0, 't' },     { "server-pid", 1, 0, 'P' },
    { "calls", 1, 0, 'C' },    { "function", 1, 0, 'f' }, { "number", 1, 0, 'N' },      { "file", 1, 0, 'F' },
    { "query", 1, 0, 'q' },    { "hold", 1, 0, 'H' },     { "entities", 1, 0, 'e' },    { "areas", 1, 0, 'A' },
    { "rate", 1, 0, 'r' },     { "row-size", 1, 0, 'R' }, { "by-row", 0, 0, 'b' },      { "idle", 1, 0, 'i' },
    { 0 },
};

static bool read_option(struct chore *chore, int letter, const char *value)
{
    struct run_options *run = &chore->run;
    struct scene *scene = &chore->fanout.scene;
    switch (letter) {
    case 's': chore->target.protocol = find_protocol(value); return true;
    case 'h': chore->target.host = value; return true;
    case 'p': chore->target.port = (uint16_t)atoi(value); return true;
    case 'd': chore->target.database = value; return true;
    case 'c': chore->target.confirmed = atoi(value) != 0; return true;
    case 'a': run->accounts = (uint32_t)atoi(value); return true;
    case 'n': run->connections = (uint32_t)atoi(value); return true;
    case 'w': run->window = (uint32_t)atoi(value); return true;
    case 'z': run->alpha = atof(value); return true;
    case 'W': run->warm_seconds = atof(value); return true;
    case 't': run->seconds = atof(value); return true;
    case 'P': run->server_pid = atoi(value); return true;
    case 'C': run->calls = (uint64_t)atoll(value); return true;
    case 'f': chore->function = value; return true;
    case 'N': chore->number = (uint32_t)atoi(value); return true;
    case 'F': chore->file = value; return true;
    case 'q': chore->query = value; return true;
    case 'i': run->idle = (uint32_t)atoi(value); return true;
    case 'H': run->holds = (uint32_t)atoi(value); return true;
    case 'e': scene->entities = (uint32_t)atoi(value); return true;
    case 'A': scene->areas = (uint32_t)atoi(value); return true;
    case 'r': chore->fanout.ticks_per_second = (uint32_t)atoi(value); return true;
    case 'R': scene->row_size = (uint32_t)atoi(value); return true;
    case 'b': scene->by_row = true; return true;
    default: return false;
    }
}

static void read_options(int argc, char **argv, struct chore *chore)
{
    for (int letter; (letter = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (!read_option(chore, letter, optarg))
            refuse_usage();
    }
    const struct run_options *run = &chore->run;
    if (chore->target.protocol == NULL || chore->target.port == 0 || run->accounts < 2 || run->connections == 0 ||
        run->window == 0 || (run->window > WINDOW_MAX && !chore->opens) || chore->fanout.ticks_per_second == 0 ||
        (run->holds > 0 && chore->query == NULL))
        refuse_usage();
}

static void measure_run(struct chore *chore)
{
    const struct run_options *options = &chore->run;
    struct run_result result = { 0 };
    chore->target.has_transfers = true;
    chore->run.hold = chore->query;
    run_load(&chore->target, options, &result);
    const double each = result.answered > 0 ? 1e6 / (double)result.answered : 0;
    printf("{\"system\":\"%s\",\"confirmed\":%s,\"connections\":%u,\"window\":%u,\"alpha\":%g,\"seconds\":%.3f,"
           "\"answered\":%lu,\"refused\":%lu,\"per_second\":%.0f,\"p50_us\":%ld,\"p99_us\":%ld,\"p999_us\":%ld,"
           "\"max_us\":%ld,\"server_cpu_us\":%.3f,\"client_cpu_us\":%.3f,\"server_cores\":%.2f,\"client_cores\":%.2f}\n",
           chore->target.protocol->name, chore->target.confirmed ? "true" : "false", options->connections, options->window,
           options->alpha, result.seconds, (unsigned long)result.answered, (unsigned long)result.refused,
           (double)result.answered / result.seconds, (long)result.p50_us, (long)result.p99_us, (long)result.p999_us,
           (long)result.max_us, result.server_cpu_seconds * each, result.client_cpu_seconds * each,
           result.server_cpu_seconds / result.seconds, result.client_cpu_seconds / result.seconds);
}

static void make_calls(struct chore *chore)
{
    chore->target.has_transfers = true;
    run_calls(&chore->target, &chore->run);
}

static void measure_fanout(struct chore *chore)
{
    struct fanout_options *options = &chore->fanout;
    options->listeners = chore->run.connections;
    options->by_area = options->scene.areas > 0;
    options->warm_seconds = chore->run.warm_seconds;
    options->seconds = chore->run.seconds;
    options->server_pid = chore->run.server_pid;
    run_fanout(&chore->target, options);
}

static void measure_call(const struct chore *chore)
{
    struct conn *conn = calloc(1, sizeof *conn);
    conn_open(conn, &chore->target, 1);
    const double before = process_cpu_seconds(chore->run.server_pid);
    const int64_t begin = now_ns();
    const int64_t returned = chore->target.protocol->call(conn, chore->function, chore->number);
    const double seconds = (double)(now_ns() - begin) / 1e9;
    if (returned == CALL_REFUSED)
        die("%s(%u) was refused", chore->function, chore->number);
    printf("{\"system\":\"%s\",\"function\":\"%s\",\"number\":%u,\"seconds\":%.6f,\"server_cpu_seconds\":%.3f,"
           "\"returned\":%ld}\n",
           chore->target.protocol->name, chore->function, chore->number, seconds,
           process_cpu_seconds(chore->run.server_pid) - before, (long)returned);
    conn_close(conn);
    free(conn);
}

static void measure_subscribe(const struct chore *chore)
{
    struct conn *conn = calloc(1, sizeof *conn);
    conn_open(conn, &chore->target, 1);
    const double before = process_cpu_seconds(chore->run.server_pid);
    const int64_t begin = now_ns();
    const uint64_t size = websocket_subscribe(conn, chore->query, chore->number, 1);
    const double seconds = (double)(now_ns() - begin) / 1e9;
    printf("{\"system\":\"%s\",\"number\":%u,\"seconds\":%.6f,\"bytes\":%lu,\"server_cpu_seconds\":%.3f}\n",
           chore->target.protocol->name, chore->number, seconds, (unsigned long)size,
           process_cpu_seconds(chore->run.server_pid) - before);
    conn_close(conn);
    free(conn);
}

static void print_sum(const struct chore *chore)
{
    struct conn *conn = calloc(1, sizeof *conn);
    conn_open(conn, &chore->target, 1);
    printf("%ld\n", (long)chore->target.protocol->sum(conn));
    conn_close(conn);
    free(conn);
}

int main(int argc, char **argv)
{
    struct chore chore = {
        .target = { .host = "127.0.0.1", .database = "transfer", .confirmed = true },
        .run = { .connections = 64, .window = 40, .accounts = 100000, .warm_seconds = 1, .seconds = 3, .calls = 100000 },
        .fanout = { .scene = { .entities = 1000, .row_size = 40 }, .ticks_per_second = 20 },
    };
    if (argc < 2)
        refuse_usage();
    const char *command = argv[1];
    chore.opens = strcmp(command, "opening") == 0;
    read_options(argc - 1, argv + 1, &chore);
    if (strcmp(command, "run") == 0)
        measure_run(&chore);
    else if (strcmp(command, "fanout") == 0)
        measure_fanout(&chore);
    else if (strcmp(command, "call") == 0 && chore.function != NULL)
        measure_call(&chore);
    else if (strcmp(command, "subscribe") == 0 && chore.query != NULL)
        measure_subscribe(&chore);
    else if (chore.opens)
        run_opening(&chore.target, &chore.run);
    else if (strcmp(command, "idle") == 0)
        run_idle(&chore.target, chore.run.connections, chore.run.server_pid);
    else if (strcmp(command, "reload") == 0 && chore.file != NULL)
        run_reload(&chore.target, chore.file, chore.number, chore.run.connections);
    else if (strcmp(command, "calls") == 0)
        make_calls(&chore);
    else if (strcmp(command, "sum") == 0)
        print_sum(&chore);
    else
        refuse_usage();
    return 0;
}
