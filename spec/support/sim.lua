--- The simulated disk (spec/sim/disk_sim.h), as specs want to speak of it.
local ffi = require "ffi"

ffi.cdef [[
struct disk;
struct disk_sim;
struct disk_sim *disk_sim_new(uint64_t seed);
void disk_sim_free(struct disk_sim *sim);
const struct disk *disk_sim_disk(struct disk_sim *sim);
void disk_sim_fail_at(struct disk_sim *sim, int call, uint64_t nth, int fault, bool ever_after);
void disk_sim_fail_often(struct disk_sim *sim, int call, uint32_t millionths, int fault);
void disk_sim_set_capacity(struct disk_sim *sim, uint64_t bytes);
void disk_sim_crash_at(struct disk_sim *sim, uint64_t nth);
void disk_sim_crash(struct disk_sim *sim);
void disk_sim_kill_at(struct disk_sim *sim, uint64_t nth);
void disk_sim_kill(struct disk_sim *sim);
void disk_sim_lie(struct disk_sim *sim, bool lies);
struct disk_strike { uint64_t count; int what; int call; char path[256]; };
const struct disk_strike *disk_sim_strike(const struct disk_sim *sim);
uint64_t disk_sim_hash(struct disk_sim *sim);
const char *disk_sim_name(struct disk_sim *sim, size_t idx);
void disk_sim_restart(struct disk_sim *sim);
uint64_t disk_sim_count(struct disk_sim *sim, int call);
uint64_t disk_sim_largest_read(struct disk_sim *sim);
bool disk_sim_has_crashed(struct disk_sim *sim);
const uint8_t *disk_sim_get(struct disk_sim *sim, const char *path, size_t *size);
void disk_sim_put(struct disk_sim *sim, const char *path, const uint8_t *data, size_t size, bool stored);
bool disk_sim_flip(struct disk_sim *sim, const char *path, uint64_t bit);
uint64_t disk_sim_random(struct disk_sim *sim);
]]

local core = os.getenv "STDB_CORE" or "build/libstdb-core.so"
local C = ffi.load((core:match "^(.*/)" or "./") .. "libwal-driver.so")

local calls = {
  open = 0, size = 1, read = 2, write = 3, sync = 4, truncate = 5, reserve = 6, rename = 7, remove = 8, make_dir = 9,
  dir_sync = 10, list = 11, lock = 12, any = 13, changes = 14,
}
local faults = { EIO = 0, ENOSPC = 1 }

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
