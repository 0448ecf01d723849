--- Modules on a store of their own, in this process: the Lua of lua/ and stdlib/ over the real core.
---
---     local world = lua_host.world [[ local stdb = require "stdb" ... ]]
---     world:call("add", "\1\0\0\0")     --> true; or nil, the error's number and text
---     world:view("top", { ... })         --> what it returned, as bytes; the list gets a text for each look it took
---     world.log                          --> { "module.lua:3: text", ... }
---     world.caller                       --> what the next call's context is made of
---
---     local codec = lua_host.parts()("codec")   --> a part of lua/stdb alone, for what needs no tables
local ffi = require "ffi"

ffi.cdef [[
typedef struct lua_bytes { const uint8_t *at; size_t size; } lua_bytes;
struct lua_diag { int code; char text[1500]; };
struct lua_arena { void *block; size_t used; };
struct lua_fault { int subject; char name[128]; };
struct lua_migration { uint32_t step_count; void *steps; bool breaks_clients; };
struct lua_schema { uint64_t words[64]; };
struct lua_store { void *schema; uint32_t table_count; void **tables; uint32_t derived_count; void **derived; };
struct lua_txn_limits { uint64_t rows_max; uint64_t bytes_max; };
struct lua_limits { int64_t call_us; int64_t load_us; uint64_t memory_max; };
struct lua_log_line {
  int level; int64_t timestamp_us; lua_bytes reducer; lua_bytes file; int32_t line; lua_bytes message;
};
typedef void lua_log_fn(void *context, const struct lua_log_line *line);
struct lua_context { uint8_t sender[32]; uint8_t connection[16]; int64_t timestamp_us; uint64_t random_seed; };

void lua_arena_init(struct lua_arena *arena) __asm__("arena_init");
void lua_arena_deinit(struct lua_arena *arena) __asm__("arena_deinit");
int lua_schema_build(lua_bytes def, const void *previous, void **schema, struct lua_fault *fault,
                     struct lua_diag *diag) __asm__("schema_build");
int32_t lua_schema_find_reducer(const void *schema, lua_bytes name) __asm__("schema_find_reducer");
int lua_migration_plan(struct lua_arena *arena, const void *from, const void *to, struct lua_migration *plan,
                       struct lua_diag *diag) __asm__("migration_plan");
void lua_store_init(struct lua_store *store) __asm__("store_init");
void lua_store_deinit(struct lua_store *store) __asm__("store_deinit");
int lua_store_migrate(struct lua_store *store, void *schema, const struct lua_migration *plan,
                      struct lua_diag *diag) __asm__("store_migrate");
void *lua_txn_new(struct lua_store *store, const struct lua_txn_limits *limits) __asm__("txn_new");
void lua_txn_free(void *txn) __asm__("txn_free");
void lua_txn_begin(void *txn) __asm__("txn_begin");
const void *lua_txn_commit(void *txn) __asm__("txn_commit");
void lua_txn_abort(void *txn) __asm__("txn_abort");
void lua_txn_end(void *txn) __asm__("txn_end");
int lua_module_load(void **module, const char *path, const struct lua_limits *limits, lua_log_fn *log, void *context,
                    struct lua_diag *diag) __asm__("module_load");
void lua_module_free(void *module) __asm__("module_free");
lua_bytes lua_module_def(const void *module) __asm__("module_def");
void lua_module_bind(void *module, struct lua_store *store) __asm__("module_bind");
struct lua_bound { lua_bytes key; uint32_t column_count; bool inclusive; };
struct lua_view_read { uint32_t table; int32_t index; struct lua_bound lower, upper; };
typedef void lua_read_fn(void *context, const struct lua_view_read *read);
struct lua_view_call { uint32_t view; uint8_t caller[32]; int64_t timestamp_us; lua_read_fn *read; void *read_context; };
struct lua_buf { uint8_t *data; size_t size; size_t capacity; };
void lua_buf_init(struct lua_buf *buf) __asm__("buf_init");
void lua_buf_deinit(struct lua_buf *buf) __asm__("buf_deinit");
int lua_module_call_view(void *module, void *txn, const struct lua_view_call *call, struct lua_buf *result,
                         struct lua_diag *diag) __asm__("module_call_view");
int lua_module_call(void *module, void *txn, const struct lua_context *context, uint32_t reducer, lua_bytes args,
                    struct lua_diag *diag) __asm__("module_call");
]]

local lua_host = {}
local core

local function bytes(text)
  return ffi.new("lua_bytes", ffi.cast("const uint8_t *", text), #text)
end

local function text_of(given)
  return ffi.string(given.at, given.size)
end

--- A new folder with these files: { ["module.lua"] = text }.
local function write_folder(files)
  local pipe = assert(io.popen("mktemp -d"))
  local folder = pipe:read("*l")
  pipe:close()
  for name, text in pairs(files) do
    local file = assert(io.open(folder .. "/" .. name, "wb"))
    file:write(text)
    file:close()
  end
  return folder
end

local world = {}
world.__index = world

local diag = ffi.new("struct lua_diag")
local LIMITS = ffi.new("struct lua_limits", 2000000, 5000000, 256 * 1024 * 1024)

--- Loads a module: its text, or a table of files. nil and the message when it is refused.
function lua_host.load(module)
  -- Global, so that the module's own FFI finds the functions of host/abi.cdef.
  core = core or ffi.load(os.getenv("STDB_CORE") or "build/libstdb-core.so", true)
  local self = setmetatable({ log = {} }, world)
  local folder = write_folder(type(module) == "table" and module or { ["module.lua"] = module })
  self.sink = ffi.cast("lua_log_fn *", function(_, line)
    local place = line.line > 0 and text_of(line.file) .. ":" .. line.line .. ": " or ""
    self.log[#self.log + 1] = place .. text_of(line.message)
  end)
  local made = ffi.new("void *[1]")
  local code = core.lua_module_load(made, folder, LIMITS, self.sink, nil, diag)
  os.execute("rm -rf " .. folder)
  if code ~= 0 then
    return nil, ffi.string(diag.text)
  end
  self.module = made[0]
  self.def = text_of(core.lua_module_def(self.module))
  return self
end
jit.off(lua_host.load)

local function must(code)
  assert(code == 0, code ~= 0 and ffi.string(diag.text))
end

--- A loaded module with its tables made and empty.
function lua_host.world(module)
  local self = assert(lua_host.load(module))
  local schema, fault = ffi.new("void *[1]"), ffi.new("struct lua_fault")
  local arena, plan = ffi.new("struct lua_arena"), ffi.new("struct lua_migration")
  must(core.lua_schema_build(bytes(self.def), nil, schema, fault, diag))
  self.store = ffi.new("struct lua_store")
  core.lua_store_init(self.store)
  core.lua_arena_init(arena)
  must(core.lua_migration_plan(arena, ffi.new("struct lua_schema"), schema[0], plan, diag))
  must(core.lua_store_migrate(self.store, schema[0], plan, diag))
  core.lua_arena_deinit(arena)
  core.lua_module_bind(self.module, self.store)
  self.txn_limits = ffi.new("struct lua_txn_limits", 10000000, 10000000000)
  self.txn = core.lua_txn_new(self.store, self.txn_limits)
  self.context = ffi.new("struct lua_context", { timestamp_us = 1700000000000000, random_seed = 1 })
  ffi.fill(self.context.sender, 32, 7)
  return self
end

--- Calls a reducer with BSATN arguments: true, or nil, the error's number and its text (with the log's when there
--- is one: that is where the module's line stands).
function world:call(name, arguments)
  local reducer = core.lua_schema_find_reducer(self.store.schema, bytes(name))
  assert(reducer >= 0, name)
  local lines = #self.log
  core.lua_txn_begin(self.txn)
  local code = core.lua_module_call(self.module, self.txn, self.context, reducer, bytes(arguments or ""), diag)
  if code == 0 then
    core.lua_txn_commit(self.txn)
    core.lua_txn_end(self.txn)
    return true
  end
  core.lua_txn_abort(self.txn)
  return nil, code, self.log[lines + 1] or ffi.string(diag.text)
end
jit.off(world.call)

--- "table 0 index 1: [0700..]": a look of a view as a text. A bound is in brackets when it is part of what was seen.
local function read_text(read)
  if read.index < 0 then
    return ("table %d"):format(read.table)
  end
  local function hex(bound)
    return bound.column_count == 0 and "" or text_of(bound.key):gsub(".", function(byte)
      return ("%02x"):format(byte:byte())
    end)
  end
  local low, high = read.lower, read.upper
  return ("table %d index %d: %s%s, %s%s"):format(read.table, read.index, low.inclusive and "[" or "(", hex(low), hex(high),
    high.inclusive and "]" or ")")
end

--- Runs the view at this place, from 0: the bytes it returned; or nil, the error's number and its text as `call` has
--- it. `reads` gets what it looked at.
function world:view(place, reads)
  local sink = ffi.cast("lua_read_fn *", function(_, read)
    reads[#reads + 1] = read_text(read)
  end)
  local call = ffi.new("struct lua_view_call", { view = place, timestamp_us = 1, read = reads and sink or nil })
  ffi.copy(call.caller, self.context.sender, 32)
  local result, lines = ffi.new("struct lua_buf"), #self.log
  core.lua_buf_init(result)
  core.lua_txn_begin(self.txn)
  local code = core.lua_module_call_view(self.module, self.txn, call, result, diag)
  core.lua_txn_abort(self.txn)
  local returned = ffi.string(result.data, result.size)
  core.lua_buf_deinit(result)
  sink:free()
  if code == 0 then
    return returned
  end
  return nil, code, self.log[lines + 1] or ffi.string(diag.text)
end
jit.off(world.view)

-- Parts alone ---------------------------------------------------------------------------------------------------------

local bsatn = require "spec.support.bsatn"

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

--- The functions of host/abi.cdef that parts need, in plain Lua. `vm` is what they leave texts in.
local function plain_library(vm)
  local shown
  local function show(text)
    shown = text
    vm.text, vm.text_size = ffi.cast("const char *", shown), #shown
    return 0
  end
  local function hex(at, size)
    return (ffi.string(at, size):reverse():gsub(".", function(byte)
      return ("%02x"):format(byte:byte())
    end))
  end
  return {
    stdb_hex_print = function(_, at, size)
      return show(hex(at, size))
    end,
    stdb_uuid_print = function(_, at)
      return show((hex(at, 16):gsub("(" .. ("%x"):rep(8) .. ")" .. ("(%x%x%x%x)"):rep(3), "%1-%2-%3-%4-")))
    end,
    stdb_number_print = function(_, at, size, is_signed)
      local kind = (is_signed == 1 and "i" or "u") .. size * 8
      return show(bsatn.decode(bsatn.type(kind), ffi.string(at, size)))
    end,
    stdb_number_parse = function(text, _, at, size, is_signed)
      local kind = (is_signed == 1 and "i" or "u") .. size * 8
      local ok, parsed = pcall(bsatn.encode, bsatn.type(kind), text)
      if ok then
        ffi.copy(at, parsed, size)
      end
      return ok and 1 or 0
    end,
    stdb_hex_parse = function(text, _, at, size)
      if #text ~= 2 * size or text:find "%X" then
        return 0
      end
      local parsed = text:gsub("%x%x", function(digits)
        return string.char(tonumber(digits, 16))
      end):reverse()
      ffi.copy(at, parsed, size)
      return 1
    end,
    stdb_nearest = function()
      return -1
    end,
  }
end

--- The `use` of a fresh set of parts, and those that are given: vm, library, host.
function lua_host.parts()
  if not pcall(ffi.typeof, "stdb_vm") then
    ffi.cdef(read_file "src/host/abi.cdef")
  end
  local vm = ffi.new "stdb_vm"
  local parts = { vm = ffi.cast("stdb_vm *", vm), library = plain_library(vm), host = { entry = "module.lua" } }
  local use
  function use(name)
    parts[name] = parts[name] or assert(loadstring(read_file("lua/stdb/" .. name .. ".lua"), "=stdb/" .. name))(use)
    return parts[name]
  end
  parts.memory = vm -- what the pointers point to
  return use, parts
end

function world:free()
  if self.store then
    core.lua_txn_free(self.txn)
    core.lua_store_deinit(self.store)
  end
  core.lua_module_free(self.module)
  self.sink:free()
end

return lua_host
