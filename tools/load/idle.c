/* idle — what connections hold of a server's memory when nothing happens on them. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SETTLE_US = 500000 };

static void open_range(struct conn *conns, const struct target *target, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        conn_open(&conns[i], target, 1);
    usleep(SETTLE_US);
}

/* The first few pay for what all of them share. */
void run_idle(const struct target *target, uint32_t connections, int server_pid)
{
    const uint32_t first = connections / 100;
    struct conn *conns = calloc(connections + first, sizeof *conns);
    allow_many_files(connections + first + 64);
    open_range(conns, target, 0, first);
    const uint64_t before = process_memory_bytes(server_pid);
    open_range(conns, target, first, first + connections);
    const uint64_t after = process_memory_bytes(server_pid);
    printf("{\"system\":\"%s\",\"connections\":%u,\"bytes_each\":%.0f}\n", target->protocol->name, connections,
           (double)(after - before) / connections);
    for (uint32_t i = 0; i < first + connections; i++)
        conn_close(&conns[i]);
    free(conns);
}
