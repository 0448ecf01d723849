/* stdb-load — one measurement, or one chore around it. See tools/bench. */
#include "load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: stdb-load run|calls|seed|sum --system v3|v2|redis|tarantool --port PORT [options]\n"
    "\n"
    "  run   measures transfers and prints one line of JSON\n"
    "  calls makes a number of transfers\n"
    "  seed  fills the accounts\n"
    "  sum   prints the sum of all balances\n"
    "\n"
    "  --host ADDRESS       default 127.0.0.1\n"
    "  --database NAME      default transfer (v3, v2)\n"
    "  --confirmed 0|1      whether answers wait for the disk (v3, v2); default 1\n"
    "  --accounts COUNT     default 100000\n"
    "  --connections COUNT  default 64\n"
    "  --window COUNT       calls in flight on each; default 40\n"
    "  --alpha EXPONENT     0: accounts are drawn evenly; else by Zipf's law; default 0\n"
    "  --warm SECONDS       before measuring; default 1\n"
    "  --seconds SECONDS    measured; default 3\n"
    "  --server-pid PID     whose CPU time to read\n"
    "  --calls COUNT        default 100000 (calls)\n";

static _Noreturn void refuse_usage(void)
{
    fputs(usage, stderr);
    exit(2);
}

static const struct protocol *find_protocol(const char *name)
{
    const struct protocol *all[] = { &protocol_v3, &protocol_v2, &protocol_redis, &protocol_tarantool };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    }
    refuse_usage();
}

static void read_options(int argc, char **argv, struct target *target, struct run_options *options)
{
    static const struct option known[] = {
        { "system", 1, 0, 's' },      { "host", 1, 0, 'h' },   { "port", 1, 0, 'p' },  { "database", 1, 0, 'd' },
        { "confirmed", 1, 0, 'c' },   { "accounts", 1, 0, 'a' }, { "connections", 1, 0, 'n' }, { "window", 1, 0, 'w' },
        { "alpha", 1, 0, 'z' },       { "warm", 1, 0, 'W' },   { "seconds", 1, 0, 't' }, { "server-pid", 1, 0, 'P' },
        { "calls", 1, 0, 'C' },
        { 0 },
    };
    for (int letter; (letter = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (letter) {
        case 's': target->protocol = find_protocol(optarg); break;
        case 'h': target->host = optarg; break;
        case 'p': target->port = (uint16_t)atoi(optarg); break;
        case 'd': target->database = optarg; break;
        case 'c': target->confirmed = atoi(optarg) != 0; break;
        case 'a': options->accounts = (uint32_t)atoi(optarg); break;
        case 'n': options->connections = (uint32_t)atoi(optarg); break;
        case 'w': options->window = (uint32_t)atoi(optarg); break;
        case 'z': options->alpha = atof(optarg); break;
        case 'W': options->warm_seconds = atof(optarg); break;
        case 't': options->seconds = atof(optarg); break;
        case 'C': options->calls = (uint64_t)atoll(optarg); break;
        case 'P': options->server_pid = atoi(optarg); break;
        default: refuse_usage();
        }
    }
    if (target->protocol == NULL || target->port == 0 || options->accounts < 2 || options->connections == 0 ||
        options->window == 0 || options->window > WINDOW_MAX)
        refuse_usage();
}

static void run(const struct target *target, const struct run_options *options)
{
    struct run_result result = { 0 };
    run_load(target, options, &result);
    const double each = result.answered > 0 ? 1e6 / (double)result.answered : 0;
    printf("{\"system\":\"%s\",\"confirmed\":%s,\"connections\":%u,\"window\":%u,\"alpha\":%g,\"seconds\":%.3f,"
           "\"answered\":%lu,\"refused\":%lu,\"per_second\":%.0f,\"p50_us\":%ld,\"p99_us\":%ld,\"max_us\":%ld,"
           "\"server_cpu_us\":%.3f,\"client_cpu_us\":%.3f,\"server_cores\":%.2f,\"client_cores\":%.2f}\n",
           target->protocol->name, target->confirmed ? "true" : "false", options->connections, options->window,
           options->alpha, result.seconds, (unsigned long)result.answered, (unsigned long)result.refused,
           (double)result.answered / result.seconds, (long)result.p50_us, (long)result.p99_us, (long)result.max_us,
           result.server_cpu_seconds * each, result.client_cpu_seconds * each,
           result.server_cpu_seconds / result.seconds, result.client_cpu_seconds / result.seconds);
}

int main(int argc, char **argv)
{
    struct target target = { .host = "127.0.0.1", .database = "transfer", .confirmed = true };
    struct run_options options = {
        .connections = 64, .window = 40, .accounts = 100000, .warm_seconds = 1, .seconds = 3,
        .calls = 100000
    };
    if (argc < 2)
        refuse_usage();
    const char *command = argv[1];
    read_options(argc - 1, argv + 1, &target, &options);
    if (strcmp(command, "run") == 0) {
        run(&target, &options);
        return 0;
    }
    if (strcmp(command, "calls") == 0) {
        run_calls(&target, &options);
        return 0;
    }
    struct conn *conn = calloc(1, sizeof *conn);
    conn_open(conn, &target, 1);
    if (strcmp(command, "seed") == 0)
        target.protocol->seed(conn, options.accounts);
    else if (strcmp(command, "sum") == 0)
        printf("%ld\n", (long)target.protocol->sum(conn));
    else
        refuse_usage();
    conn_close(conn);
    free(conn);
    return 0;
}
