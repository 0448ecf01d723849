#include "cli/script_data.h"

#include "cli/forking.h"
#include "cli/keeping.h"
#include "cli/meter.h"
#include "cli/restoring.h"

#include <lauxlib.h>

/* Shared by the functions of one command. */
static struct meter meter;

static int refuse(lua_State *L, const struct diag *diag)
{
    meter_wipe(&meter);
    lua_pushnil(L);
    lua_pushstring(L, diag->text);
    return 2;
}

static int describe_backup(lua_State *L, const struct backup_head *head)
{
    const char *name = database_name_is_legal(head->name) ? head->name : "a database";
    const uint64_t size = head->snapshot_size + BACKUP_HEAD_SIZE + BACKUP_TAIL_SIZE;
    meter_wipe(&meter);
    lua_pushfstring(L, "{\"name\":\"%s\",\"offset\":%f,\"size\":%f}", name, (double)head->offset, (double)size);
    return 1;
}

static int host_backup_begin(lua_State *L)
{
    struct diag diag;
    if (keeping_begin(luaL_checkstring(L, 1), &diag) != OK)
        return refuse(L, &diag);
    lua_pushboolean(L, true);
    return 1;
}

static int host_backup_finish(lua_State *L)
{
    struct backup_head head;
    struct diag diag;
    if (keeping_finish(luaL_checkstring(L, 1), &head, &meter, &diag) != OK)
        return refuse(L, &diag);
    return describe_backup(L, &head);
}

static int host_backup_abandon(lua_State *L)
{
    keeping_abandon(luaL_checkstring(L, 1));
    return 0;
}

static int host_backup_write(lua_State *L)
{
    struct archive archive = { .data_dir = luaL_checkstring(L, 1), .database = luaL_checkstring(L, 2) };
    struct backup_head head;
    struct diag diag;
    if (keeping_write(&archive, luaL_checkstring(L, 3), &head, &meter, &diag) != OK)
        return refuse(L, &diag);
    return describe_backup(L, &head);
}

static const char *optional_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    const char *text = lua_tostring(L, -1); /* stays alive: the table holds it */
    lua_pop(L, 1);
    return text;
}

static bool flag_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    const bool is_set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is_set;
}

static int host_restore(lua_State *L)
{
    const struct restoring asked = { .data_dir = optional_field(L, "data_dir"),
                                     .database = optional_field(L, "database"),
                                     .to = optional_field(L, "to"),
                                     .file = optional_field(L, "file"),
                                     .replaces = flag_field(L, "replace"),
                                     .forks = flag_field(L, "fork") };
    struct buf said = { 0 };
    struct diag diag;
    const err code = restoring_run(&asked, &said, &meter, &diag);
    meter_wipe(&meter);
    lua_pushlstring(L, (const char *)said.data, said.size);
    buf_deinit(&said);
    if (code == OK)
        return 1;
    refuse(L, &diag);
    lua_pushboolean(L, code == ERR_BAD_USAGE);
    return 3;
}

static int host_fork(lua_State *L)
{
    struct archive archive = { .data_dir = luaL_checkstring(L, 1), .database = luaL_checkstring(L, 2) };
    struct progress progress = { meter_tell, &meter, "" };
    struct diag diag;
    if (forking_run_stopped(&archive, luaL_checkstring(L, 3), &progress, &diag) != OK)
        return refuse(L, &diag);
    meter_wipe(&meter);
    lua_pushboolean(L, true);
    return 1;
}

static int host_databases(lua_State *L)
{
    struct buf names = { 0 };
    struct diag diag;
    const err code = databases_list(luaL_checkstring(L, 1), &names, &diag);
    lua_newtable(L);
    int count = 0;
    for (size_t at = 0; at < names.size; at += strlen((char *)names.data + at) + 1) {
        lua_pushstring(L, (char *)names.data + at);
        lua_rawseti(L, -2, ++count);
    }
    buf_deinit(&names);
    return code == OK ? 1 : refuse(L, &diag);
}

static int host_meter(lua_State *L)
{
    const char *what = luaL_checkstring(L, 1);
    meter_tell(&meter, what, (uint64_t)luaL_checknumber(L, 2), (uint64_t)luaL_checknumber(L, 3));
    return 0;
}

void script_data_register(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "backup_begin", host_backup_begin }, { "backup_finish", host_backup_finish },
        { "backup_abandon", host_backup_abandon }, { "backup_write", host_backup_write },
        { "restore", host_restore }, { "fork", host_fork }, { "databases", host_databases },
        { "meter", host_meter }, { NULL, NULL },
    };
    meter = meter_new();
    luaL_register(L, NULL, functions);
}
