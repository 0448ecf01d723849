--- The simulated disk (spec/sim/disk_sim.h), as specs want to speak of it.
local ffi = require "ffi"
local core = require "spec.support.core"
local C = core.beside "libwal-driver.so"

local calls = {}
for name in ("open size read write sync truncate reserve rename remove make_dir dir_sync list lock any changes"):gmatch "%S+" do
  calls[name] = core["DISK_" .. name:upper()]
end
local faults = { EIO = core.DISK_EIO, ENOSPC = core.DISK_ENOSPC }

local sim = { C = C, calls = calls }

local Disk = {}
Disk.__index = Disk
sim.Disk = Disk

--- What must be closed before the disk goes can be left to it: disk.closers is a list of functions.
function sim.disk(seed)
  local closers = {}
  local function free(disk)
    for _, close in ipairs(closers) do close() end
    C.disk_sim_free(disk)
  end
  return setmetatable({ sim = ffi.gc(C.disk_sim_new(seed or 1), free), closers = closers }, Disk)
end

--- The seed of a random spec: STDB_SEED, or the clock.
function sim.seed() return tonumber(os.getenv "STDB_SEED") or os.time() end

function Disk:get(path)
  local size = ffi.new "size_t[1]"
  local data = C.disk_sim_get(self.sim, path, size)
  return data ~= nil and ffi.string(data, size[0]) or nil
end

function Disk:set(path, content) C.disk_sim_put(self.sim, path, content, content and #content or 0, true) end

--- As set(), but of all that only reads know yet.
function Disk:set_unsynced(path, content) C.disk_sim_put(self.sim, path, content, #content, false) end

function Disk:flip(path, bit) return C.disk_sim_flip(self.sim, path, bit) end

--- The n-th call of this kind from now fails, and only that; all after it too with `ever_after`.
function Disk:fail(call, nth, fault, ever_after)
  C.disk_sim_fail_at(self.sim, calls[call], nth, faults[fault or "EIO"], ever_after or false)
end

--- Calls of this kind fail with a probability.
function Disk:fail_often(call, probability, fault)
  C.disk_sim_fail_often(self.sim, calls[call], probability * 1e6, faults[fault or "EIO"])
end

function Disk:set_capacity(bytes) C.disk_sim_set_capacity(self.sim, bytes) end

--- In the n-th call that changes something the power is cut; 0: not at all.
function Disk:cut_power_at(n) C.disk_sim_crash_at(self.sim, n) end

--- The power was cut, now at the latest, and is back: what was not stored survives in random pieces.
function Disk:restart()
  C.disk_sim_crash(self.sim)
  C.disk_sim_restart(self.sim)
end

--- The same for a process that still has to notice: `finish` lets go of what it has open.
function Disk:restart_after(finish)
  C.disk_sim_crash(self.sim)
  finish()
  C.disk_sim_restart(self.sim)
end

--- The process was killed: what it wrote is there, stored or not.
function Disk:kill() C.disk_sim_restart(self.sim) end

--- In the n-th call that changes something the process is killed; 0: not at all.
function Disk:kill_at(n) C.disk_sim_kill_at(self.sim, n) end

--- The same for a process that still has to notice: `finish` lets go of what it has open.
function Disk:kill_after(finish)
  C.disk_sim_kill(self.sim)
  finish()
  C.disk_sim_restart(self.sim)
end

--- Syncs are done in words only from now on.
function Disk:lie(lies) C.disk_sim_lie(self.sim, lies) end

local strikes = { [0] = "EIO", "ENOSPC", "power cut", "kill" }
local call_names = {}
for name, number in pairs(calls) do call_names[number] = name end

--- How often trouble has struck, and of the last time: what it was, in which call, the path.
function Disk:strike()
  local strike = C.disk_sim_strike(self.sim)
  local count = tonumber(strike.count)
  if count == 0 then return 0 end
  return count, strikes[strike.what], call_names[strike.call], ffi.string(strike.path)
end

function Disk:strike_count() return tonumber(C.disk_sim_strike(self.sim).count) end

--- A number that stands for all files and their content.
function Disk:hash() return C.disk_sim_hash(self.sim) end

--- The paths of all files, in byte order.
function Disk:names()
  local names = {}
  while true do
    local name = C.disk_sim_name(self.sim, #names)
    if name == nil then return names end
    names[#names + 1] = ffi.string(name)
  end
end

function Disk:has_crashed() return C.disk_sim_has_crashed(self.sim) end
function Disk:count(call) return tonumber(C.disk_sim_count(self.sim, calls[call])) end
function Disk:largest_read() return tonumber(C.disk_sim_largest_read(self.sim)) end
--- A number from 1 to `limit`.
function Disk:random(limit) return tonumber(C.disk_sim_random(self.sim) % limit) + 1 end

return sim
