/* check — all that a database has on disk, verified. */
#include "cli/commands.h"

#include "base/clock.h"
#include "cli/archive.h"
#include "cli/args.h"
#include "engine/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { PROGRESS_EVERY_US = 100000 };

struct check_command {
    struct archive archive;
    bool is_terminal;
    bool has_progress; /* a line of progress stands on the terminal */
    int64_t told_us;
};

static void wipe_progress(struct check_command *command)
{
    if (command->has_progress)
        fputs("\r\033[K", stderr);
    command->has_progress = false;
}

static void say(void *context, bool is_fault, const char *line)
{
    wipe_progress(context);
    printf("%s %s\n", is_fault ? "WRONG" : "ok   ", line);
    fflush(stdout);
}

static void tell_progress(void *context, const char *what, uint64_t done, uint64_t all)
{
    struct check_command *command = context;
    const int64_t now_us = clock_monotonic_us();
    if (!command->is_terminal || now_us - command->told_us < PROGRESS_EVERY_US)
        return;
    command->told_us = now_us;
    command->has_progress = true;
    if (all > 0)
        fprintf(stderr, "\r\033[K%s: %" PRIu64 " %%", what, done * 100 / all);
    else
        fprintf(stderr, "\r\033[K%s: %" PRIu64, what, done);
}

static int run(struct check_command *command)
{
    struct diag diag;
    const struct audit_options options = { disk_real(), command->archive.path, say, tell_progress, command };
    if (archive_find(&command->archive, &diag) != OK)
        return archive_refuse("check", &diag);
    const uint32_t faults = audit_run(&options);
    wipe_progress(command);
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
    struct check_command command = { .is_terminal = isatty(STDERR_FILENO) };
    const struct args_option options[] = {
        { "--data-dir", "DIR", "where the data lives (.stdb in this folder)", &command.archive.data_dir, NULL },
        { "--database", "NAME", "which database (the only one there)", &command.archive.database, NULL },
    };
    const struct args_spec spec = {
        .command = "check",
        .arguments = "",
        .about =
            "Verifies what a database has on disk: its identity, every snapshot, the whole log, and that they agree\n"
            "row by row. Says what is wrong and where. Changes nothing; a server may run on the directory.",
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
