--- The write-ahead log on a simulated disk, as specs want to speak of it.
--
-- The C half is spec/wal/wal_driver.c and spec/sim/disk_sim.c, a library beside the core.
local ffi = require "ffi"
local sim = require "spec.support.sim"

ffi.cdef [[
struct driver;
struct driver *driver_open(struct disk_sim *disk, const char *dir, uint8_t database, uint64_t segment_size, uint64_t from);
int driver_create(struct disk_sim *disk, const char *dir, uint64_t segment_size, uint64_t first_offset,
                  struct diag *diag);
bool driver_step(struct driver *driver);
int64_t driver_retire(struct driver *driver, uint64_t below);
uint64_t driver_oldest(struct driver *driver);
uint64_t driver_size(struct driver *driver);
void driver_retire_always(struct driver *driver);
void driver_retire_stop(struct driver *driver);
const char *driver_failure_text(const struct driver *driver);
uint64_t driver_byte_count(const struct driver *driver);
void driver_start(struct driver *driver);
uint64_t driver_append(struct driver *driver, const uint8_t *data, size_t size);
bool driver_sync(struct driver *driver);
void driver_trim(struct driver *driver);
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

local core = require "spec.support.core"
local C = sim.C

local wal = {}

wal.OK, wal.NOT_FOUND, wal.DISK, wal.CORRUPT, wal.IN_USE, wal.NEWER_FORMAT = 0, 106, 401, 402, 403, 404

--- The path of the segment that begins with a record.
function wal.path(first_offset)
  return ("log/%020d.wal"):format(first_offset or 0)
end

--- A simulated disk: spec/support/sim.lua, and the log on it.
local Disk = setmetatable({}, { __index = sim.Disk })
Disk.__index = Disk

function wal.disk(seed) return setmetatable(sim.disk(seed), Disk) end

local Log = {}
Log.__index = Log

--- A log on a simulated disk goes when the disk goes, and before it: the collector keeps no order between the two.
local function driver_keep(driver, disk)
  if not disk then return ffi.gc(driver, C.driver_free) end
  disk.closers[#disk.closers + 1] = function() C.driver_free(driver) end
  return driver
end

--- Opens the log without its thread. Look at `code`, `text`, `records` and `tail_cut`.
local function log_open(disk, dir, options)
  options = options or {}
  local driver = C.driver_open(disk and disk.sim, dir, options.database or 1, options.segment_size or 4096,
                               options.from or 0)
  return setmetatable({
    driver = driver_keep(driver, disk),
    disk = disk, -- lives as long as the log
    code = C.driver_code(driver),
    text = ffi.string(C.driver_text(driver)),
    tail_cut = C.driver_tail_cut(driver),
    tail_text = ffi.string(C.driver_tail_text(driver)),
    byte_count = tonumber(C.driver_byte_count(driver)),
    records = wal.split(ffi.string(C.driver_replayed(driver), C.driver_replayed_size(driver))),
  }, Log)
end

function Disk:open(options) return log_open(self, options and options.dir or "log", options) end

--- Makes an empty log that begins at an offset. Returns the code and the sentence.
function Disk:create(first_offset, options)
  local diag = ffi.new "struct diag"
  local code = C.driver_create(self.sim, "log", (options or {}).segment_size or 4096, first_offset, diag)
  return code, ffi.string(diag.text)
end

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

--- Does on this thread what the log's thread would do next; false when there is nothing to do.
function Log:step() return C.driver_step(self.driver) end
--- The bytes that were removed, or nil and the sentence.
function Log:retire(below)
  local removed = tonumber(C.driver_retire(self.driver, below))
  if removed < 0 then return nil, ffi.string(C.driver_text(self.driver)) end
  return removed
end
function Log:oldest() return tonumber(C.driver_oldest(self.driver)) end
function Log:size() return tonumber(C.driver_size(self.driver)) end
--- Retires from a thread of its own whatever is durable, until told to stop.
function Log:retire_always() C.driver_retire_always(self.driver) end
function Log:retire_stop() C.driver_retire_stop(self.driver) end
function Log:failure_text() return ffi.string(C.driver_failure_text(self.driver)) end
function Log:start() C.driver_start(self.driver) return self end
function Log:append(record) return tonumber(C.driver_append(self.driver, record, #record)) end
function Log:flush() C.driver_flush(self.driver) end
function Log:trim() C.driver_trim(self.driver) end
function Log:sync() return C.driver_sync(self.driver) end
function Log:durable() return tonumber(C.driver_durable(self.driver)) end
function Log:durable_told() return tonumber(C.driver_durable_told(self.driver)) end
function Log:failures_told() return C.driver_failures_told(self.driver) end
function Log:close() C.driver_close(self.driver) end

--- A disk with a log of these records, each in a frame of its own, and a mark behind them.
function wal.written(records, options)
  local disk = wal.disk()
  local log = disk:open(options):start()
  for _, record in ipairs(records) do
    log:append(record)
    assert(log:sync())
  end
  log:close()
  return disk
end

--- Copies the log up to a record into another folder. Returns the code and the sentence.
function Disk:copy(to, limit)
  local copy, diag = ffi.new "struct wal_copy", ffi.new "struct diag"
  copy.disk, copy.from, copy.to = C.disk_sim_disk(self.sim), "log", to
  copy["end"] = limit
  ffi.fill(copy.database_id, 16, 1)
  local code = core.wal_copy(copy, diag)
  return code, ffi.string(diag.text)
end

local Reader = {}
Reader.__index = Reader

--- Opens the log as history. Returns a reader, which closes with the disk, or nil, the code and the sentence.
function Disk:read(from, limit, database)
  local diag, out, id = ffi.new "struct diag", ffi.new "struct wal_reader *[1]", ffi.new "uint8_t[16]"
  ffi.fill(id, 16, database or 1)
  local code = core.wal_reader_open(out, C.disk_sim_disk(self.sim), "log", id, from, limit or -1ULL, diag)
  if code ~= wal.OK then return nil, code, ffi.string(diag.text) end
  local reader = out[0]
  self.closers[#self.closers + 1] = function() core.wal_reader_close(reader) end
  return setmetatable({ reader = reader, disk = self, diag = diag }, Reader)
end

--- Where the log begins, read from the folder alone.
function Disk:oldest()
  local out, diag = ffi.new "uint64_t[1]", ffi.new "struct diag"
  assert(core.wal_reader_oldest(C.disk_sim_disk(self.sim), "log", out, diag) == wal.OK, ffi.string(diag.text))
  return tonumber(out[0])
end

--- The next record and its offset; nil at the end; nil, code and sentence when it is refused.
function Reader:next()
  local found, offset = ffi.new "bool[1]", ffi.new "uint64_t[1]"
  local record = ffi.new "bytes[1]"
  local code = core.wal_reader_next(self.reader, found, offset, record, self.diag)
  if code ~= wal.OK then return nil, code, ffi.string(self.diag.text) end
  if not found[0] then return nil end
  return ffi.string(record[0].at, record[0].size), tonumber(offset[0])
end

--- All records that are left; and code and sentence when one is refused.
function Reader:rest()
  local records = {}
  while true do
    local record, code, text = self:next()
    if not record then return records, code, text end
    records[#records + 1] = record
  end
end

--- Whether there is more behind what was refused; nil, code and sentence when that is refused, too.
function Reader:resume()
  local found = ffi.new "bool[1]"
  local code = core.wal_reader_resume(self.reader, found, self.diag)
  if code ~= wal.OK then return nil, code, ffi.string(self.diag.text) end
  return found[0]
end

--- All that can be read of a log, whatever is wrong with it: the records by their offsets, the offsets in the order
--- they came in, and the sentences of what is wrong.
function Disk:read_everything(database)
  local diag, out, id = ffi.new "struct diag", ffi.new "struct wal_reader *[1]", ffi.new "uint8_t[16]"
  ffi.fill(id, 16, database or 1)
  local code = core.wal_reader_open_oldest(out, C.disk_sim_disk(self.sim), "log", id, diag)
  local records, offsets, faults = {}, {}, {}
  if code ~= wal.OK then faults[1] = ffi.string(diag.text) end
  if out[0] == nil then return records, offsets, faults end
  local reader = setmetatable({ reader = out[0], disk = self, diag = diag }, Reader)
  local found, _, text
  repeat
    found, _, text = reader:resume()
    if found == nil then faults[#faults + 1] = text end
    while found do
      local record, offset_or_code, why = reader:next()
      if record then
        records[offset_or_code] = record
        offsets[#offsets + 1] = offset_or_code
      else
        faults[#faults + 1] = why
        if not why then found = false end
        break
      end
    end
  until found == false
  core.wal_reader_close(out[0])
  return records, offsets, faults
end

function Reader:set_limit(limit) core.wal_reader_set_limit(self.reader, limit) end

return wal
