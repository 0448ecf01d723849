#include "cli/args.h"

#include <stdio.h>

static void print_help(const struct args_spec *spec)
{
    printf("Usage: stdb-lua %s [OPTIONS]%s%s\n\n%s\n\nOptions:\n", spec->command, spec->arguments[0] != '\0' ? " " : "",
           spec->arguments, spec->about);
    for (size_t idx = 0; idx < spec->option_count; idx++) {
        const struct args_option *option = &spec->options[idx];
        char left[64];
        snprintf(left, sizeof left, "%s %s", option->name, option->placeholder != NULL ? option->placeholder : "");
        printf("  %-28s %s\n", left, option->help);
    }
    printf("  %-28s %s\n", "--help", "this text");
}

static enum args_outcome refuse(const struct args_spec *spec, const char *format, const char *what)
{
    fprintf(stderr, "stdb-lua %s: ", spec->command);
    fprintf(stderr, format, what);
    fprintf(stderr, "\nTry: stdb-lua %s --help\n", spec->command);
    return ARGS_BAD;
}

/* Both "--name value" and "--name=value" are taken. */
static const struct args_option *find_option(const struct args_spec *spec, const char *text, const char **inline_value)
{
    const char *equals = strchr(text, '=');
    const size_t size = equals != NULL ? (size_t)(equals - text) : strlen(text);
    *inline_value = equals != NULL ? equals + 1 : NULL;
    for (size_t idx = 0; idx < spec->option_count; idx++) {
        const char *name = spec->options[idx].name;
        if (strlen(name) == size && memcmp(name, text, size) == 0)
            return &spec->options[idx];
    }
    return NULL;
}

static bool looks_like_option(const char *text)
{
    return text[0] == '-' && text[1] == '-' && text[2] != '\0';
}

enum args_outcome args_parse(const struct args_spec *spec, int argc, char **argv, const char **positional, int *count)
{
    bool only_positionals = false;
    *count = 0;
    for (int idx = 0; idx < argc; idx++) {
        const char *text = argv[idx];
        if (!only_positionals && strcmp(text, "--") == 0) {
            only_positionals = true;
            continue;
        }
        if (!only_positionals && (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0)) {
            print_help(spec);
            return ARGS_HELP;
        }
        if (only_positionals || !looks_like_option(text)) {
            if (*count == spec->positional_max)
                return refuse(spec, "one argument too many: %s", text);
            positional[(*count)++] = text;
            continue;
        }
        const char *value;
        const struct args_option *option = find_option(spec, text, &value);
        if (option == NULL)
            return refuse(spec, "there is no option %s", text);
        if (option->placeholder == NULL) {
            if (value != NULL)
                return refuse(spec, "%s takes no value", option->name);
            *option->flag = true;
            continue;
        }
        if (value == NULL && ++idx == argc)
            return refuse(spec, "%s needs a value", option->name);
        *option->value = value != NULL ? value : argv[idx];
    }
    if (*count < spec->positional_min)
        return refuse(spec, "it takes %s", spec->arguments);
    return ARGS_RUN;
}
