/* salvage — what can still be read of a damaged database, as plain files. */
#include "cli/commands.h"

#include "cli/archive.h"
#include "cli/args.h"
#include "engine/salvage.h"

#include <inttypes.h>
#include <stdio.h>

static void say(void *context, bool is_loss, const char *line)
{
    printf("%s %s\n", is_loss ? "LOST" : "ok  ", line);
    fflush(stdout);
}

static int run(struct archive *archive, const char *out)
{
    struct diag diag;
    struct salvage_result result;
    const struct salvage_options options = { .disk = disk_real(), .dir = archive->path, .out = out, .say = say };
    err code = archive_find(archive, &diag);
    if (code == OK)
        code = salvage_run(&options, &result, &diag);
    if (code != OK)
        return archive_refuse("salvage", &diag);
    printf("%" PRIu64 " %s in %s/tables", result.rows, result.rows == 1 ? "row is" : "rows are", out);
    if (result.losses == 0) {
        puts("; nothing was lost.");
        return 0;
    }
    printf(", %" PRIu64 " of them marked; what was lost is in %s/report.txt.\n", result.marked_rows, out);
    return 1;
}

int command_salvage(int argc, char **argv)
{
    struct archive archive = { .data_dir = NULL };
    const struct args_option options[] = {
        { "--data-dir", "DIR", "where the data lives (.stdb in this folder)", &archive.data_dir, NULL },
        { "--database", "NAME", "which database (the only one there)", &archive.database, NULL },
    };
    const struct args_spec spec = {
        .command = "salvage",
        .arguments = "OUT",
        .about = "Writes what can still be read of a database into the new folder OUT: the rows of its tables as JSON\n"
                 "lines (OUT/tables), its module's sources (OUT/module) and what was lost (OUT/report.txt). Rows that\n"
                 "were written behind lost transactions are marked. The database is only read.\n"
                 "Exit code: 0 nothing was lost, 1 something was or nothing could be done, 2 not understood.",
        .options = options,
        .option_count = COUNTOF(options),
        .positional_min = 1,
        .positional_max = 1,
    };
    const char *out;
    int count;
    switch (args_parse(&spec, argc, argv, &out, &count)) {
    case ARGS_HELP: return 0;
    case ARGS_BAD: return 2;
    case ARGS_RUN: break;
    }
    return run(&archive, out);
}
