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

int command_check(int argc, char **argv)
{
    struct check_command command = { .meter = meter_new() };
    const char *served = NULL, *server = NULL, *token = NULL;
    bool anonymous = false;
    const struct args_option options[] = {
        { "--data-dir", "DIR", "where the data lives (.stdb in this folder)", &command.archive.data_dir, NULL },
        { "--database", "NAME", "which database (the only one there)", &command.archive.database, NULL },
        { "--server", "URL", "the server of DATABASE (http://127.0.0.1:3000, or $STDB_SERVER)", &server, NULL },
        { "--token", "TOKEN", "who you are to it (default: $STDB_TOKEN, or its owner when it is yours and here)", &token, NULL },
        { "--anonymous", NULL, "be nobody: send no token", NULL, &anonymous },
    };
    const struct args_spec spec = {
        .command = "check",
        .arguments = "[DATABASE]",
        .about =
            "Verifies what a database has on disk: its identity, every snapshot, the whole log, and that they agree\n"
            "row by row. Says what is wrong and where. Changes nothing; a server may run on the directory.\n"
            "Of a DATABASE a running server does it, and verifies its memory, too: every row is what the log amounts to,\n"
            "and in every index. The server goes on meanwhile, and needs the memory of the tables once more.\n"
            "Exit code: 0 all is well, 1 something is wrong or could not be looked at, 2 not understood.",
        .options = options,
        .option_count = COUNTOF(options),
        .positional_max = 1,
    };
    int count;
    switch (args_parse(&spec, argc, argv, &served, &count)) {
    case ARGS_HELP: return 0;
    case ARGS_BAD: return 2;
    case ARGS_RUN: break;
    }
    const bool asks_server = served != NULL || server != NULL || token != NULL || anonymous;
    if (asks_server && (command.archive.data_dir != NULL || command.archive.database != NULL)) {
        fputs("stdb-lua check: either a running server verifies DATABASE, or --data-dir and --database say which one to read\n", stderr);
        return 2;
    }
    /* As all that talks to a server, this is a script. */
    return asks_server ? command_script("check", argc, argv) : run(&command);
}
