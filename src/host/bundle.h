/* bundle — the Lua that travels inside the binary: lua/ (trusted) and stdlib/ (what a module may require), both as
 * bytecode, and the text of host/abi.cdef. Made by tools/embed.lua at build time. */
#pragma once

#include "base/base.h"

struct bundle_file {
    const char *name; /* "lua/stdb/boot.lua", "stdlib/stdb.lua", "src/host/abi.cdef" */
    bytes content;
};
extern const struct bundle_file bundle_files[];
extern const uint32_t bundle_file_count;

/* The content of a file, {NULL, 0} when there is none of this name. */
bytes bundle_find(const char *name);
