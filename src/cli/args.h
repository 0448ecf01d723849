/* args — the options of a command, described as data: parsing and --help come from one table. */
#pragma once

#include "base/err.h"

struct args_option {
    const char *name;        /* "--listen-addr" */
    const char *placeholder; /* "HOST:PORT"; NULL: a flag */
    const char *help;
    const char **value;      /* gets the option's value */
    bool *flag;              /* or is set */
};

struct args_spec {
    const char *command;     /* "run" */
    const char *arguments;   /* "[MODULE]" */
    const char *about;       /* what it does, a paragraph or two */
    const struct args_option *options;
    size_t option_count;
    int positional_min, positional_max;
};

enum args_outcome { ARGS_RUN, ARGS_HELP, ARGS_BAD };

/* `argv` is what follows the command. Positionals are left in `positional` (room for positional_max), their
 * number in *count. ARGS_HELP: help has been printed. ARGS_BAD: the reason has been printed. */
enum args_outcome args_parse(const struct args_spec *spec, int argc, char **argv, const char **positional, int *count);
