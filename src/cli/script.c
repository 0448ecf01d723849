/* script — commands that are mostly text, tables and JSON are Lua (lua/cli/): those that talk to a running server.
 *
 * A command's file returns { arguments, about, options, positionals, run }, where options are { name,
 * placeholder or false, help }, positionals the least and the largest number of arguments, and run(host,
 * options, positionals) returns the exit code. The table `host` has what Lua lacks:
 *     http(method, url, headers, body, on_data)  -> status, body, headers by lower-case name | nil, message
 *         on_data gets the body piece by piece; a fourth result says what cut it short, if anything did
 *     token(port)                                -> the owner's token of a server on this machine | nil
 *     describe(path)                             -> a module file's schema, version 10, as JSON | nil, message
 *     ask(data_dir, database, as_of, query)      -> /sql's answer as JSON | nil, message; as_of nil: the newest state
 *     bundle(name)                               -> the content of a bundled file
 *     version                                    -> of this program
 * and what script_data.h adds. */
#include "cli/commands.h"

#include "base/text.h"
#include "cli/args.h"
#include "cli/offline.h"
#include "cli/place.h"
#include "cli/script_data.h"
#include "engine/filters.h"
#include "host/bundle.h"
#include "host/guard.h"
#include "host/module.h"
#include "schema/schema.h"

#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

enum { OPTIONS_MAX = 16, POSITIONALS_MAX = 64, CONNECT_TIMEOUT_S = 10 };

struct transfer {
    lua_State *L;
    int on_data;          /* stack place of the callback, or 0 */
    bool stopped;         /* the callback raised: its message is on the stack */
    struct buf body;
};

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    if (transfer->on_data == 0) {
        buf_put(&transfer->body, data, size * count);
        return size * count;
    }
    lua_pushvalue(transfer->L, transfer->on_data);
    lua_pushlstring(transfer->L, data, size * count);
    transfer->stopped = lua_pcall(transfer->L, 1, 0, 0) != 0;
    return transfer->stopped ? 0 : size * count;
}

/* Collects reply headers into the table on top of the stack. */
static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    const char *colon = memchr(data, ':', size * count);
    if (colon == NULL)
        return size * count;
    const char *value = colon + 1, *end = data + size * count;
    while (value < end && *value == ' ')
        value++;
    while (end > value && (end[-1] == '\r' || end[-1] == '\n'))
        end--;
    luaL_Buffer name;
    luaL_buffinit(transfer->L, &name);
    for (const char *at = data; at < colon; at++)
        luaL_addchar(&name, *at >= 'A' && *at <= 'Z' ? (char)(*at | 0x20) : *at);
    luaL_pushresult(&name);
    lua_pushlstring(transfer->L, value, (size_t)(end - value));
    lua_settable(transfer->L, -3);
    return size * count;
}

static struct curl_slist *read_headers(lua_State *L, int place)
{
    struct curl_slist *headers = NULL;
    if (!lua_istable(L, place))
        return NULL;
    lua_pushnil(L);
    while (lua_next(L, place) != 0) {
        lua_pushfstring(L, "%s: %s", lua_tostring(L, -2), lua_tostring(L, -1));
        headers = curl_slist_append(headers, lua_tostring(L, -1));
        lua_pop(L, 2);
    }
    return headers;
}

static int host_http(lua_State *L)
{
    const char *method = luaL_checkstring(L, 1), *url = luaL_checkstring(L, 2);
    size_t size = 0;
    const char *body = luaL_optlstring(L, 4, NULL, &size);
    struct transfer transfer = { .L = L, .on_data = lua_isfunction(L, 5) ? 5 : 0 };
    struct curl_slist *headers = read_headers(L, 3);
    long status = 0;
    lua_settop(L, 5);
    lua_newtable(L);

    CURL *curl = curl_easy_init();
    check(curl != NULL);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*"); /* servers are where the person says */
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    }
    const CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    if (transfer.stopped) {
        buf_deinit(&transfer.body);
        return lua_error(L);
    }
    const bool has_begun = transfer.on_data != 0 && status != 0;
    if (code != CURLE_OK && !has_begun) {
        buf_deinit(&transfer.body);
        lua_pushnil(L);
        lua_pushfstring(L, "%s: %s", url, curl_easy_strerror(code));
        return 2;
    }
    lua_pushinteger(L, status);
    lua_pushlstring(L, (const char *)transfer.body.data, transfer.body.size);
    buf_deinit(&transfer.body);
    lua_pushvalue(L, 6);
    if (code == CURLE_OK)
        return 3;
    lua_pushstring(L, curl_easy_strerror(code));
    return 4;
}

static int host_token(lua_State *L)
{
    struct buf token = { 0 };
    const bool found = place_find_token((uint16_t)luaL_checkinteger(L, 1), &token);
    if (found)
        lua_pushlstring(L, (const char *)token.data, token.size);
    else
        lua_pushnil(L);
    buf_deinit(&token);
    return 1;
}

static void say_line(void *context, const struct module_log_line *line)
{
    fprintf(stderr, "%.*s\n", BYTES_FORMAT(line->message));
}

/* All that a new database would refuse is refused: its filters, too. */
static err print_schema(const struct module *module, struct buf *out, struct schema_fault *fault, struct diag *diag)
{
    struct schema *schema;
    struct filters filters;
    TRY(schema_build(module_def(module), NULL, &schema, fault, diag));
    const err code = filters_init(&filters, schema, fault, diag);
    if (code == OK) {
        schema_print_v10(out, schema);
        filters_deinit(&filters);
    }
    schema_free(schema);
    return code;
}

static err describe_module(const char *path, struct buf *out, struct diag *diag)
{
    struct module *module;
    struct schema_fault fault;
    TRY(guard_start(diag));
    TRY(module_load(&module, path, &module_limits_default, say_line, NULL, diag));
    const err code = print_schema(module, out, &fault, diag);
    if (code != OK)
        module_explain(module, &fault, 1, diag);
    module_free(module);
    return code;
}

static int host_describe(lua_State *L)
{
    struct buf out = { 0 };
    struct diag diag;
    if (describe_module(luaL_checkstring(L, 1), &out, &diag) != OK) {
        buf_deinit(&out);
        lua_pushnil(L);
        lua_pushstring(L, diag.text);
        return 2;
    }
    lua_pushlstring(L, (const char *)out.data, out.size);
    buf_deinit(&out);
    return 1;
}

static int host_ask(lua_State *L)
{
    struct archive archive = { .data_dir = luaL_checkstring(L, 1), .database = luaL_checkstring(L, 2) };
    struct buf answer = { 0 };
    struct diag diag;
    if (offline_ask(&archive, luaL_optstring(L, 3, NULL), luaL_checkstring(L, 4), &answer, &diag) != OK) {
        buf_deinit(&answer);
        lua_pushnil(L);
        lua_pushstring(L, diag.text);
        return 2;
    }
    lua_pushlstring(L, (const char *)answer.data, answer.size);
    buf_deinit(&answer);
    return 1;
}

static int host_bundle(lua_State *L)
{
    const bytes content = bundle_find(luaL_checkstring(L, 1));
    if (content.at == NULL)
        return 0;
    lua_pushlstring(L, (const char *)content.at, content.size);
    return 1;
}

/* `require "cli.x"` and the like find the bundled file lua/cli/x.lua. */
static int load_bundled(lua_State *L)
{
    char name[256];
    const char *wanted = luaL_checkstring(L, 1);
    snprintf(name, sizeof name, "lua/%s", wanted);
    for (char *at = name; *at != '\0'; at++)
        *at = *at == '.' ? '/' : *at;
    strncat(name, ".lua", sizeof name - strlen(name) - 1);
    const bytes chunk = bundle_find(name);
    if (chunk.at == NULL) {
        lua_pushfstring(L, "\n\tno bundled file '%s'", name);
        return 1;
    }
    if (luaL_loadbuffer(L, (const char *)chunk.at, chunk.size, name) != 0)
        return lua_error(L);
    return 1;
}

static void push_host(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "http", host_http }, { "token", host_token }, { "describe", host_describe }, { "ask", host_ask },
        { "bundle", host_bundle }, { NULL, NULL },
    };
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    script_data_register(L);
    lua_pushliteral(L, STDB_VERSION);
    lua_setfield(L, -2, "version");
}

static void install_loader(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaders");
    lua_pushcfunction(L, load_bundled);
    lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
    lua_pop(L, 2);
}

static const char *text_field(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    const char *text = lua_tostring(L, -1); /* stays alive: the command's table holds it */
    lua_pop(L, 1);
    check(text != NULL);
    return text;
}

/* What one command's options parse into. */
struct options {
    struct args_option list[OPTIONS_MAX];
    const char *values[OPTIONS_MAX];
    bool flags[OPTIONS_MAX];
    size_t count;
};

static void read_options(lua_State *L, int command, struct options *options)
{
    lua_getfield(L, command, "options");
    options->count = lua_objlen(L, -1);
    check(options->count <= OPTIONS_MAX);
    for (size_t idx = 0; idx < options->count; idx++) {
        lua_rawgeti(L, -1, (int)idx + 1);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        lua_rawgeti(L, -3, 3);
        options->list[idx] = (struct args_option){ lua_tostring(L, -3), lua_tostring(L, -2), lua_tostring(L, -1),
                                                   &options->values[idx], &options->flags[idx] };
        lua_pop(L, 4);
    }
    lua_pop(L, 1);
}

/* { server = "http://…", follow = true }: names without their dashes, inner dashes as underscores. */
static void push_options(lua_State *L, const struct options *options)
{
    lua_newtable(L);
    for (size_t idx = 0; idx < options->count; idx++) {
        if (options->values[idx] == NULL && !options->flags[idx])
            continue;
        luaL_gsub(L, options->list[idx].name + 2, "-", "_");
        if (options->flags[idx])
            lua_pushboolean(L, 1);
        else
            lua_pushstring(L, options->values[idx]);
        lua_settable(L, -3);
    }
}

/* What a command has raised: a text, or from cli/misuse.lua a table with one. Returns the exit code. */
static int say_raised(lua_State *L, const char *name)
{
    const bool is_misuse = lua_istable(L, -1);
    if (is_misuse)
        lua_getfield(L, -1, "misuse");
    fprintf(stderr, "stdb-lua %s: %s\n", name, lua_tostring(L, -1));
    if (is_misuse)
        fprintf(stderr, "Try: stdb-lua %s --help\n", name);
    return is_misuse ? 2 : 1;
}

static int run_command(lua_State *L, const char *name, int argc, char **argv)
{
    const int command = lua_gettop(L);
    struct options options = { 0 };
    const char *positionals[POSITIONALS_MAX];
    int count;
    read_options(L, command, &options);
    lua_getfield(L, command, "positionals");
    check(lua_istable(L, -1));
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    const struct args_spec spec = { .command = name,
                                    .arguments = text_field(L, command, "arguments"),
                                    .about = text_field(L, command, "about"),
                                    .options = options.list,
                                    .option_count = options.count,
                                    .positional_min = (int)lua_tointeger(L, -2),
                                    .positional_max = (int)lua_tointeger(L, -1) };
    check(spec.positional_max <= POSITIONALS_MAX);
    switch (args_parse(&spec, argc, argv, positionals, &count)) {
    case ARGS_HELP: return 0;
    case ARGS_BAD: return 2;
    case ARGS_RUN: break;
    }
    lua_getfield(L, command, "run");
    push_host(L);
    push_options(L, &options);
    lua_newtable(L);
    for (int idx = 0; idx < count; idx++) {
        lua_pushstring(L, positionals[idx]);
        lua_rawseti(L, -2, idx + 1);
    }
    if (lua_pcall(L, 3, 1, 0) != 0)
        return say_raised(L, name);
    return (int)lua_tointeger(L, -1);
}

int command_script(const char *name, int argc, char **argv)
{
    lua_State *L = luaL_newstate();
    check(L != NULL);
    luaL_openlibs(L);
    install_loader(L);
    lua_getglobal(L, "require");
    lua_pushfstring(L, "cli.%s", name);
    int exit_code = 1;
    if (lua_pcall(L, 1, 1, 0) != 0)
        fprintf(stderr, "stdb-lua %s: %s\n", name, lua_tostring(L, -1));
    else
        exit_code = run_command(L, name, argc, argv);
    lua_close(L);
    return exit_code;
}
