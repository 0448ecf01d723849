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

local core = require "spec.support.core"

local lua_host = {}

local bytes, text_of = core.bytes, core.text

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

local diag = ffi.new("struct diag")

local function limits_of(call_us)
  return ffi.new("struct module_limits", call_us or 2000000, 5000000, 256 * 1024 * 1024)
end

--- Loads a module: its text, or a table of files. nil and the message when it is refused.
function lua_host.load(module, call_us)
  local self = setmetatable({ log = {} }, world)
  local folder = write_folder(type(module) == "table" and module or { ["module.lua"] = module })
  self.sink = ffi.cast("module_log_fn *", function(_, line)
    local place = line.line > 0 and text_of(line.file) .. ":" .. line.line .. ": " or ""
    self.log[#self.log + 1] = place .. text_of(line.message)
  end)
  local made = ffi.new("struct module *[1]")
  local code = core.module_load(made, folder, limits_of(call_us), self.sink, nil, diag)
  os.execute("rm -rf " .. folder)
  if code ~= 0 then
    return nil, ffi.string(diag.text)
  end
  self.module = made[0]
  self.def = text_of(core.module_def(self.module))
  return self
end
jit.off(lua_host.load)

local function must(code)
  assert(code == 0, code ~= 0 and ffi.string(diag.text))
end

--- A loaded module with its tables made and empty. A call of it may take `call_us`, or two seconds.
function lua_host.world(module, call_us)
  local self = assert(lua_host.load(module, call_us))
  local schema, fault = ffi.new("struct schema *[1]"), ffi.new("struct schema_fault")
  local arena, plan = ffi.new("struct arena"), ffi.new("struct migration")
  must(core.schema_build(bytes(self.def), nil, schema, fault, diag))
  self.store = ffi.new("struct store")
  core.store_init(self.store)
  core.arena_init(arena)
  must(core.migration_plan(arena, ffi.new("struct schema"), schema[0], plan, diag))
  must(core.store_migrate(self.store, schema[0], plan, nil, diag))
  core.arena_deinit(arena)
  core.module_bind(self.module, self.store)
  self.txn_limits = ffi.new("struct txn_limits", 10000000, 10000000000)
  self.txn = core.txn_new(self.store, self.txn_limits)
  self.context = ffi.new("struct call_context", { timestamp_us = 1700000000000000, random_seed = 1 })
  ffi.fill(self.context.sender, 32, 7)
  return self
end

--- Calls a reducer with BSATN arguments: true, or nil, the error's number and its text (with the log's when there
--- is one: that is where the module's line stands).
function world:call(name, arguments)
  local reducer = core.schema_find_reducer(self.store.schema, bytes(name))
  assert(reducer >= 0, name)
  local lines = #self.log
  core.txn_begin(self.txn)
  local code = core.module_call(self.module, self.txn, self.context, reducer, bytes(arguments or ""), diag)
  if code == 0 then
    core.txn_commit(self.txn)
    core.txn_end(self.txn)
    return true
  end
  core.txn_abort(self.txn)
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
  local sink = ffi.cast("module_read_fn *", function(_, read)
    reads[#reads + 1] = read_text(read)
  end)
  local call = ffi.new("struct view_call", { view = place, timestamp_us = 1, read = reads and sink or nil })
  ffi.copy(call.caller, self.context.sender, 32)
  local result, lines = ffi.new("struct buf"), #self.log
  core.buf_init(result)
  core.txn_begin(self.txn)
  local code = core.module_call_view(self.module, self.txn, call, result, diag)
  core.txn_abort(self.txn)
  local returned = ffi.string(result.data, result.size)
  core.buf_deinit(result)
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
    core.txn_free(self.txn)
    core.store_deinit(self.store)
  end
  core.module_free(self.module)
  self.sink:free()
end

return lua_host
