--- The write-ahead log on a disk in memory, as specs want to speak of it.
--
-- The C half is spec/wal/wal_driver.c, a library beside the core.
local ffi = require "ffi"

ffi.cdef [[
struct memory_disk;
struct driver;
struct memory_disk *driver_disk_new(uint64_t seed);
void driver_disk_free(struct memory_disk *disk);
void driver_disk_fail(struct memory_disk *disk, uint64_t fails_from, uint64_t fails_sync);
void driver_disk_restart(struct memory_disk *disk);
uint64_t driver_disk_largest_read(const struct memory_disk *disk);
const uint8_t *driver_file_get(struct memory_disk *disk, const char *path, size_t *size);
void driver_file_set(struct memory_disk *disk, const char *path, const uint8_t *data, size_t size, bool synced);
struct driver *driver_open(struct memory_disk *disk, const char *dir, uint8_t database, uint64_t segment_size);
void driver_start(struct driver *driver);
uint64_t driver_append(struct driver *driver, const uint8_t *data, size_t size);
bool driver_sync(struct driver *driver);
void driver_flush(struct driver *driver);
void driver_close(struct driver *driver);
void driver_free(struct driver *driver);
int driver_code(const struct driver *driver);
const char *driver_text(const struct driver *driver);
const char *driver_tail_text(const struct driver *driver);
bool driver_tail_cut(const struct driver *driver);
const uint8_t *driver_replayed(const struct driver *driver);
size_t driver_replayed_size(const struct driver *driver);
uint64_t driver_durable(const struct driver *driver);
uint64_t driver_durable_told(struct driver *driver);
uint32_t driver_failures_told(struct driver *driver);
]]

local core = os.getenv "STDB_CORE" or "build/libstdb-core.so"
local C = ffi.load((core:match "^(.*/)" or "./") .. "libwal-driver.so")

local wal = {}

wal.OK, wal.DISK, wal.CORRUPT, wal.NEWER_FORMAT = 0, 401, 402, 404

--- The path of the segment that begins with a record.
function wal.path(first_offset)
  return ("log/%020d.wal"):format(first_offset or 0)
end

local Disk = {}
Disk.__index = Disk

function wal.disk(seed)
  return setmetatable({ disk = ffi.gc(C.driver_disk_new(seed or 1), C.driver_disk_free) }, Disk)
end

function Disk:get(path)
  local size = ffi.new "size_t[1]"
  local data = C.driver_file_get(self.disk, path, size)
  return data ~= nil and ffi.string(data, size[0]) or nil
end

function Disk:set(path, content)
  C.driver_file_set(self.disk, path, content, content and #content or 0, true)
end

--- As set(), but of all that only reads know yet.
function Disk:set_unsynced(path, content)
  C.driver_file_set(self.disk, path, content, #content, false)
end

--- From the n-th call that changes something on, everything fails, as when the power is cut.
function Disk:cut_power_at(n) C.driver_disk_fail(self.disk, n, 0) end

--- The n-th sync from now fails, and only that.
function Disk:fail_sync(n) C.driver_disk_fail(self.disk, 0, n) end

--- The power is back: what was not synced survives in random pieces.
function Disk:restart() C.driver_disk_restart(self.disk) end

function Disk:largest_read() return tonumber(C.driver_disk_largest_read(self.disk)) end

local Log = {}
Log.__index = Log

--- Opens the log without its thread. Look at `code`, `text`, `records` and `tail_cut`. An open log must be
-- closed by the spec; the collector does not do it.
local function log_open(disk, dir, options)
  options = options or {}
  local driver = C.driver_open(disk and disk.disk, dir, options.database or 1, options.segment_size or 4096)
  return setmetatable({
    driver = ffi.gc(driver, C.driver_free),
    disk = disk, -- lives as long as the log
    code = C.driver_code(driver),
    text = ffi.string(C.driver_text(driver)),
    tail_cut = C.driver_tail_cut(driver),
    tail_text = ffi.string(C.driver_tail_text(driver)),
    records = wal.split(ffi.string(C.driver_replayed(driver), C.driver_replayed_size(driver))),
  }, Log)
end

function Disk:open(options) return log_open(self, "log", options) end

--- The same on the disk of this machine.
function wal.open_real(dir, options) return log_open(nil, dir, options) end

--- u32 sizes and bytes to a list.
function wal.split(text)
  local records, at = {}, 1
  while at <= #text do
    local a, b, c, d = text:byte(at, at + 3)
    local size = a + b * 256 + c * 65536 + d * 16777216
    records[#records + 1] = text:sub(at + 4, at + 3 + size)
    at = at + 4 + size
  end
  return records
end

function Log:start() C.driver_start(self.driver) return self end
function Log:append(record) return tonumber(C.driver_append(self.driver, record, #record)) end
function Log:flush() C.driver_flush(self.driver) end
function Log:sync() return C.driver_sync(self.driver) end
function Log:durable() return tonumber(C.driver_durable(self.driver)) end
function Log:durable_told() return tonumber(C.driver_durable_told(self.driver)) end
function Log:failures_told() return C.driver_failures_told(self.driver) end
function Log:close() C.driver_close(self.driver) end

return wal
