/* commands — what can follow `stdb-lua`: each takes what follows its name and returns the exit code:
 * 0 done, 1 refused or failed, 2 not understood. */
#pragma once

int command_run(int argc, char **argv);
/* Those that read a data directory (archive.h). */
int command_log(int argc, char **argv);
int command_replay(int argc, char **argv); /* 3: it does something else */
int command_check(int argc, char **argv);
int command_salvage(int argc, char **argv);
/* Commands written in Lua (lua/cli/<name>.lua): they talk to a running server. */
int command_script(const char *name, int argc, char **argv);
