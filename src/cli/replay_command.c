/* replay — one logged call run again, and whether it does the same. */
#include "cli/commands.h"

#include "base/text.h"
#include "cli/archive.h"
#include "cli/args.h"
#include "engine/module_log.h"
#include "engine/replay.h"

#include <inttypes.h>
#include <stdio.h>

enum { EXIT_SAME = 0, EXIT_DIFFERENT = 3 };

struct replay_command {
    struct archive archive;
    const char *offset_text;
    uint64_t offset;
};

static void print_head(const struct replay_command *command, const struct replay *replay)
{
    struct buf out = { 0 };
    buf_put_format(&out, "offset %" PRIu64 ", ", command->offset);
    timestamp_print(&out, replay->timestamp_us);
    buf_put_text(&out, ", by ");
    identity_print(&out, &replay->who);
    buf_put_text(&out, ", module ");
    hex_encode(&out, bytes_of(replay->hash, 4));
    buf_put_format(&out, "@%" PRIu64 "\n", replay->publish_offset);
    buf_put_bytes(&out, buf_bytes(&replay->call));
    printf("%.*s\n", BYTES_FORMAT(buf_bytes(&out)));
    buf_deinit(&out);
}

static int print_outcome(const struct replay *replay)
{
    if (replay->failure.size > 0)
        printf("The call fails now: %.*s\n", BYTES_FORMAT(buf_bytes(&replay->failure)));
    if (replay->is_same) {
        printf("The same: %" PRIu32 " row%s changed as the log says.\n", replay->row_count,
               replay->row_count == 1 ? "" : "s");
        return EXIT_SAME;
    }
    printf("%.*sDifferent. Nothing was changed.\n", BYTES_FORMAT(buf_bytes(&replay->differences)));
    return EXIT_DIFFERENT;
}

static err run(struct replay_command *command, int *exit_code, struct diag *diag)
{
    struct replay replay = { .log = module_log_say };
    if (!offset_parse(bytes_of_text(command->offset_text), &command->offset))
        return diag_set(diag, ERR_BAD_USAGE, "an offset is a whole number, not %.80s", command->offset_text);
    TRY(archive_open(&command->archive, &replay.history, diag));
    const err code = replay_run(&replay, command->offset, diag);
    if (code == OK) {
        print_head(command, &replay);
        *exit_code = print_outcome(&replay);
    }
    history_close(replay.history);
    replay_deinit(&replay);
    return code;
}

int command_replay(int argc, char **argv)
{
    struct replay_command command = { 0 };
    const struct args_option options[] = {
        { "--data-dir", "DIR", "where the data lives (.stdb in this folder)", &command.archive.data_dir, NULL },
        { "--database", "NAME", "which database (the only one there)", &command.archive.database, NULL },
    };
    const struct args_spec spec = {
        .command = "replay",
        .arguments = "OFFSET",
        .about =
            "Runs a logged call again, in memory: on the tables before it, with the module's version, the time and the\n"
            "chance of then. Says whether its rows are the same, and shows them where not: exit code 0, or 3. Changes\n"
            "nothing; a server may run on the directory.",
        .options = options,
        .option_count = COUNTOF(options),
        .positional_min = 1,
        .positional_max = 1,
    };
    struct diag diag;
    int count, exit_code = EXIT_SAME;
    switch (args_parse(&spec, argc, argv, &command.offset_text, &count)) {
    case ARGS_HELP: return 0;
    case ARGS_BAD: return 2;
    case ARGS_RUN: break;
    }
    return run(&command, &exit_code, &diag) == OK ? exit_code : archive_refuse("replay", &diag);
}
