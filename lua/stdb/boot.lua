--- The first file in a fresh VM: meets C, gathers the trusted parts and hands back what the host may call.
--
-- Trusted files are chunks that get one function, `use`, and return their noun. They hold the FFI; a module
-- never sees them, only what env.lua and stdlib/ hand out.
local host = ...
local ffi = require "ffi"

if host.cdef then
  ffi.cdef(host.cdef)
end

-- A module's whole call is one trace with everything it inlines, so the recorder gets more room than it
-- has by default.
local options = require("jit.opt").start
options("maxtrace=4000", "maxrecord=16000", "maxirconst=2000", "maxsnap=2000", "maxmcode=8192")

-- What runs once is not worth compiling. While the module loads, only loops that are long by any measure are.
jit.off()
local HOTLOOP, HOTLOOP_LOADING = 56, 2000

local parts = {
  host = host,
  vm = ffi.cast("stdb_vm *", host.vm),
  library = host.library or ffi.C,
}

local function use(name)
  local part = parts[name]
  if part == nil then
    part = assert(loadstring(assert(host.bundle("lua/stdb/" .. name .. ".lua"), name)))(use)
    parts[name] = part
  end
  return part
end

local define = use "define"
local calls = use "calls"
local views = use "views"

return {
  --- Runs the module's files. Raises what they raise.
  run = function()
    use "env"
    local loader = use "loader"
    options("hotloop=" .. HOTLOOP_LOADING)
    jit.on()
    loader.run(host.entry)
    define.close()
    use("ordered").close()
    options("hotloop=" .. HOTLOOP)
    jit.off()
    calls.bind()
    views.bind()
    jit.on()
  end,
  --- The description of what was declared: BSATN of RawModuleDefV10.
  describe = function()
    return use("describe").module(define.declared)
  end,
  --- Where things were declared: { ["table user"] = { file = "module.lua", line = 4 } }.
  positions = define.declared.positions,
  --- Runs the reducer at this place of the description, from 0. Its arguments are in vm.args.
  dispatch = calls.dispatch,
  --- The same, but what is raised comes back.
  dispatch_caught = calls.dispatch_caught,
  --- Runs the view at this place of the description, from 0. Its rows, or its query, are in vm.row then.
  view = views.dispatch,
}
