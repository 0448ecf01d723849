/* main — picks the command. */
#include "cli/commands.h"

#include "base/base.h"

#include <signal.h>
#include <stdio.h>

static const struct {
    const char *name;
    const char *about;
    int (*run)(int argc, char **argv); /* NULL: a script */
} commands[] = {
    { "run", "serve a module, and reload it whenever it is saved", command_run },
    { "call", "call a reducer of a running database", NULL },
    { "sql", "ask a database a question, about now or about the past", NULL },
    { "logs", "show what a module has said", NULL },
    { "snapshot", "have a running database take a snapshot now", NULL },
    { "log", "show what happened in a database, transaction by transaction", command_log },
    { "replay", "run a logged call again and compare", command_replay },
    { "backup", "write a database into one file, while it is served", NULL },
    { "undo", "take back what some calls changed, on a running database", NULL },
    { "restore", "take a database back to what it was", NULL },
    { "fork", "make a second database of one", NULL },
    { "resume", "end the pause of a fork's schedules", NULL },
    { "list", "show which databases there are", NULL },
    { "delete", "stop serving a database, and put its data aside", NULL },
    { "check", "verify all that a database has on disk", command_check },
    { "salvage", "write out what can still be read of a damaged database", command_salvage },
    { "describe", "show a database's tables and reducers", NULL },
    { "generate", "write client code for a module", NULL },
};

static int print_help(FILE *out, int exit_code)
{
    fputs("stdb-lua " STDB_VERSION ": a database that is the server, scripted in Lua\n\nUsage: stdb-lua COMMAND ...\n\nCommands:\n", out);
    for (size_t idx = 0; idx < COUNTOF(commands); idx++)
        fprintf(out, "  %-10s %s\n", commands[idx].name, commands[idx].about);
    fputs("\n`stdb-lua COMMAND --help` tells more about each.\n", out);
    return exit_code;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write that the system's limits forbid fails, and whoever wrote says so */
    if (argc < 2)
        return print_help(stderr, 2);
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return print_help(stdout, 0);
    if (strcmp(name, "--version") == 0) {
        puts("stdb-lua " STDB_VERSION);
        return 0;
    }
    for (size_t idx = 0; idx < COUNTOF(commands); idx++) {
        if (strcmp(name, commands[idx].name) != 0)
            continue;
        return commands[idx].run != NULL ? commands[idx].run(argc - 2, argv + 2) : command_script(name, argc - 2, argv + 2);
    }
    fprintf(stderr, "stdb-lua: there is no command %s\n\n", name);
    return print_help(stderr, 2);
}
