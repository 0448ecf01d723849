--- The core under its own names: whatever the headers in src declare, read from the headers themselves.
---
---     local core = require "spec.support.core"
---     local out = ffi.new "struct buf"
---     core.buf_put_format(out, "%d", 1)
---
--- So no spec has a copy of a struct that could be forgotten when the header changes. A 128-bit number is a pair,
--- `{ low = 1, high = 0 }`; what is inline in a header cannot be called.
local ffi = require "ffi"

-- What ours take from the system's headers and LuaJIT does not know by itself.
local FOREIGN = [[
typedef struct number128 { uint64_t low; int64_t high; } __attribute__((aligned(16))) number128;
typedef unsigned long pthread_t;
typedef struct { char at[40]; } __attribute__((aligned(8))) pthread_mutex_t;
typedef struct { char at[48]; } __attribute__((aligned(8))) pthread_cond_t;
typedef unsigned atomic_uint;
typedef size_t atomic_size_t;
typedef bool atomic_bool;
]]

local HEADERS = "base/*.h sats/*.h schema/*.h store/*.h wal/*.h proto/*.h txn/*.h snap/snap.h snap/chunk.h sql/*.h"
  .. " sub/*.h host/foresight.h host/module.h engine/founding.h engine/port.h engine/rollback.h engine/sql_answer.h"
  .. " engine/swap.h net/base64url.h net/token.h net/vouched.h ../spec/sim/*.h"

--- The headers as the preprocessor leaves them, without what they include from elsewhere.
local function preprocessed()
  local pipe = assert(io.popen("cd src && for header in " .. HEADERS
    .. [[; do echo "#include \"$header\""; done | ${CC:-cc} -E -I. -]]))
  local lines, ours = {}, false
  for line in pipe:lines() do
    local file = line:match '^# %d+ "([^"]*)"'
    if file then
      ours = not file:find "^[/<]"
    elseif ours then
      lines[#lines + 1] = line
    end
  end
  pipe:close()
  return table.concat(lines, "\n")
end

--- The declarations alone: what is inline has a body that cannot be called. An enum is an int, so that it comes to Lua
--- as a number.
local function declarations(text)
  return (text:gsub("static inline [^{;]*%b{}", ""):gsub("_Noreturn", "")
    :gsub("__int128", "number128"):gsub("typedef enum [%w_]+ (%b{})", "enum %1; typedef int")
    :gsub("enum [%w_]+ (%b{})", "enum %1"):gsub("enum (%b{}) (%w)", "enum %1; int %2"):gsub("enum [%w_]+", "int"))
end

-- busted loads this anew for each file of specs; what has been declared stays so.
if not pcall(ffi.typeof, "core_is_declared") then
  ffi.cdef(FOREIGN .. declarations(preprocessed()) .. "typedef int core_is_declared;")
end

local path = os.getenv "STDB_CORE" or "build/libstdb-core.so"
-- Global, so that a module's own FFI finds the functions of host/abi.cdef.
local library = ffi.load(path, true)

local core = setmetatable({}, { __index = function(self, name)
  self[name] = library[name]
  return self[name]
end })

--- A library that is built beside the core.
function core.beside(name) return ffi.load((path:match "^(.*/)" or "./") .. name) end

--- A view of a Lua string; the string must outlive it.
function core.bytes(text) return ffi.new("bytes", ffi.cast("const uint8_t *", text), #text) end

--- The Lua string of bytes.
function core.text(from) return ffi.string(from.at, from.size) end

--- What `write` appends to a fresh buffer.
function core.written(write, ...)
  local out = ffi.new "struct buf"
  core.buf_init(out)
  write(out, ...)
  local text = ffi.string(out.data, out.size)
  core.buf_deinit(out)
  return text
end

return core
