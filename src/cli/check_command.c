/* check — all that a database has on disk, verified. */
#include "cli/commands.h"

#include "cli/archive.h"
#include "cli/args.h"
#include "cli/meter.h"
#include "engine/audit.h"

#include <inttypes.h>
#include <stdio.h>

struct check_command {
    struct archive archive;
    struct meter meter;
};

static void say(void *context, bool is_fault, const char *line)
{
    struct check_command *command = context;
    meter_wipe(&command->meter);
    printf("%s %s\n", is_fault ? "WRONG" : "ok   ", line);
    fflush(stdout);
}

static bool tell_progress(void *context, const char *what, uint64_t done, uint64_t all)
{
    struct check_command *command = context;
    meter_tell(&command->meter, what, done, all);
    return true;
}

static int run(struct check_command *command)
{
    struct diag diag;
    const struct audit_options options = { .disk = disk_real(),
                                           .dir = command->archive.path,
                                           .say = say,
                                           .progress = tell_progress,
                                           .context = command };
    if (archive_find(&command->archive, &diag) != OK)
        return archive_refuse("check", &diag);
    const uint32_t faults = audit_run(&options);
    meter_wipe(&command->meter);
    if (faults == 0) {
        puts("All is well.");
        return 0;
    }
    printf("%" PRIu32 " %s wrong in %s. Nothing was changed.\n", faults, faults == 1 ? "thing is" : "things are",
           command->archive.path);
    return 1;
}

/* A server's own check is a script, as all that talks to one. */
static bool asks_a_server(int argc, char **argv)
{
    for (int idx = 0; idx < argc; idx++)
        if (strcmp(argv[idx], "--server") == 0 || strncmp(argv[idx], "--server=", 9) == 0)
            return true;
    return false;
}

int command_check(int argc, char **argv)
{
    if (asks_a_server(argc, argv))
        return command_script("check", argc, argv);
    struct check_command command = { .meter = meter_new() };
    const struct args_option options[] = {
        { "--data-dir", "DIR", "where the data lives (.stdb in this folder)", &command.archive.data_dir, NULL },
        { "--database", "NAME", "which database (the only one there)", &command.archive.database, NULL },
    };
    const struct args_spec spec = {
        .command = "check",
        .arguments = "",
        .about =
            "Verifies what a database has on disk: its identity, every snapshot, the whole log, and that they agree\n"
            "row by row. Says what is wrong and where. Changes nothing; a server may run on the directory.\n"
            "With --server URL DATABASE a running server does it, and verifies its memory, too.\n"
            "Exit code: 0 all is well, 1 something is wrong or could not be looked at, 2 not understood.",
        .options = options,
        .option_count = COUNTOF(options),
    };
    int count;
    switch (args_parse(&spec, argc, argv, NULL, &count)) {
    case ARGS_HELP: return 0;
    case ARGS_BAD: return 2;
    case ARGS_RUN: break;
    }
    return run(&command);
}
