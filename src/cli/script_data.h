/* script_data — what the table `host` of script.c lends to commands that work on whole databases:
 *     backup_begin(path)                         -> true | nil, message: "<path>.part" is there and empty
 *     backup_finish(path)                        -> { name, offset, size } as JSON | nil, message: verified, has its name
 *     backup_abandon(path)
 *     backup_write(data_dir, database, path)     -> the same as backup_finish, for a stopped server
 *     restore { data_dir, database, to, file, replace, fork }  -> what was done | nil, message, whether it was not
 *         understood
 *     fork(data_dir, database, name)             -> true | nil, message: for a stopped server
 *     databases(data_dir)                        -> their names in a list | nil, message
 *     meter(what, done, all)                     shows how far a step has come; all 0: nobody knows */
#pragma once

#include <lua.h>

/* Adds the functions to the table on top of the stack. */
void script_data_register(lua_State *L);
