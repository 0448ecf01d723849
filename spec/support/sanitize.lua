--- Loaded before the specs of a sanitizer run: the sanitizer's library was preloaded into this process, and
--- must not be into the programs that specs start.
local ffi = require "ffi"
ffi.cdef "int unsetenv(const char *name);"
ffi.C.unsetenv "LD_PRELOAD"
