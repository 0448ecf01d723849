/* reload — from the save of a module to the first call that its new version runs.
 *
 * Version N's reducer `is_before` refuses numbers up to N, so a client that keeps calling it with N is refused once,
 * by the version that has come into force. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Between calls the client rests, so that it does not take the processor from the reload that it waits for. */
enum { GIVE_UP_NS = 1000000000, QUIET_US = 150000, REST_US = 100 };

struct reload {
    int64_t live_ns, pause_ns;
};

static void save(const char *file, uint32_t version)
{
    char prepared[4096];
    snprintf(prepared, sizeof prepared, "%s.%u", file, version);
    if (rename(prepared, file) != 0)
        die("%s cannot be moved to %s", prepared, file);
}

static struct reload watch_reload(struct conn *conn, const struct protocol *protocol, const char *file, uint32_t version)
{
    struct reload reload = { 0 };
    save(file, version);
    const int64_t begin = now_ns();
    for (int64_t before = begin;;) {
        const bool is_live = protocol->call(conn, "is_before", version) == CALL_REFUSED;
        const int64_t now = now_ns();
        reload.pause_ns = now - before > reload.pause_ns ? now - before : reload.pause_ns;
        reload.live_ns = now - begin;
        if (is_live)
            return reload;
        if (reload.live_ns > GIVE_UP_NS)
            die("version %u of the module was not in force after %d s", version, GIVE_UP_NS / 1000000000);
        usleep(REST_US);
        before = now_ns();
    }
}

/* One client calls; the others are connected. */
void run_reload(const struct target *target, const char *file, uint32_t versions, uint32_t connections)
{
    struct conn *conns = calloc(connections, sizeof *conns), *conn = &conns[0];
    allow_many_files(connections + 64);
    for (uint32_t i = 0; i < connections; i++)
        conn_open(&conns[i], target, 1);
    for (uint32_t version = 1; version <= versions; version++) {
        usleep(QUIET_US);
        const struct reload reload = watch_reload(conn, target->protocol, file, version);
        printf("{\"system\":\"%s\",\"live_ms\":%.3f,\"pause_ms\":%.3f}\n", target->protocol->name,
               (double)reload.live_ns / 1e6, (double)reload.pause_ns / 1e6);
    }
    for (uint32_t i = 0; i < connections; i++)
        conn_close(&conns[i]);
    free(conns);
}
