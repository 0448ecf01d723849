local wal = require "spec.support.wal"

local HEADER, FRAME = 64, 32

--- Six segments of one record each, each record in a frame of its own; the last one is marked.
local options = { segment_size = 1024 }
local records = {}
for idx = 1, 6 do records[idx] = string.char(96 + idx):rep(600) end

local function written() return wal.written(records, options) end

local function opened(disk, from) return disk:open { segment_size = options.segment_size, from = from } end

local function reopened(disk, from)
  local log = opened(disk, from)
  log:close()
  return log
end

local function from_on(from)
  local rest = {}
  for idx = from + 1, #records do rest[#rest + 1] = records[idx] end
  return rest
end

describe("wal behind a snapshot", function()
  local disk
  before_each(function() disk = written() end)

  it("replays the records from the snapshot's offset on", function()
    for from = 0, #records do
      local log = reopened(disk, from)
      assert.equal(wal.OK, log.code, log.text)
      assert.same(from_on(from), log.records)
    end
  end)

  it("begins in the middle of a group when the snapshot was taken there", function()
    disk = wal.disk()
    local log = disk:open()
    for _, record in ipairs { "a", "b", "c" } do log:append(record) end
    log:close()
    assert.same({ "b", "c" }, reopened(disk, 1).records)
    assert.same({}, reopened(disk, 3).records)
  end)

  it("needs no segment whose records are all older", function()
    for first_offset = 0, 2 do disk:set(wal.path(first_offset), nil) end
    local log = reopened(disk, 3)
    assert.equal(wal.OK, log.code, log.text)
    assert.same(from_on(3), log.records)
  end)

  it("does not read segments whose records are all older", function()
    local bytes_of_all = reopened(disk, 0).byte_count
    for first_offset = 0, 2 do disk:set(wal.path(first_offset), ("damaged"):rep(100)) end
    local log = reopened(disk, 3)
    assert.equal(wal.OK, log.code, log.text)
    assert.same(from_on(3), log.records)
    assert.is_true(log.byte_count < bytes_of_all)
  end)

  it("goes on appending where the log ends", function()
    for first_offset = 0, 3 do disk:set(wal.path(first_offset), nil) end
    local log = opened(disk, 5):start()
    assert.equal(6, log:append "more")
    assert.is_true(log:sync())
    log:close()
    assert.same({ records[6], "more" }, reopened(disk, 5).records)
  end)

  it("refuses a log that begins later than the snapshot, naming the gap", function()
    for first_offset = 0, 3 do disk:set(wal.path(first_offset), nil) end
    local log = opened(disk, 2)
    assert.equal(wal.CORRUPT, log.code)
    assert.matches("begins at offset 4, but record 2 is needed", log.text)
  end)

  it("refuses a log that ends before the snapshot", function()
    local log = opened(disk, 9)
    assert.equal(wal.CORRUPT, log.code)
    assert.matches("the log ends at offset 6, the snapshot is at 9", log.text)
  end)

  it("refuses a missing log", function()
    local log = wal.disk():open { from = 2 }
    assert.equal(wal.CORRUPT, log.code)
    assert.matches("the log ends at offset 0, the snapshot is at 2", log.text)
  end)

  it("refuses a missing segment behind the snapshot", function()
    disk:set(wal.path(4), nil)
    local log = opened(disk, 3)
    assert.equal(wal.CORRUPT, log.code)
    assert.matches("missing", log.text)
  end)

  it("refuses a torn frame below the snapshot, which proves that it was acknowledged", function()
    local content = disk:get(wal.path(5))
    disk:set(wal.path(5), content:sub(1, HEADER + FRAME + 100) .. ("\0"):rep(#content - HEADER - FRAME - 100))
    local log = opened(disk, 6)
    assert.equal(wal.CORRUPT, log.code)
    assert.matches("the snapshot is at record 6", log.text)
    log = reopened(disk, 5)
    assert.equal(wal.OK, log.code, log.text)
    assert.is_true(log.tail_cut)
  end)

  it("refuses every flipped bit in the segment that holds the snapshot's offset", function()
    local size = HEADER + math.ceil((FRAME + 4 + #records[4]) / 8) * 8
    for bit_idx = 0, size * 8 - 1 do
      disk:flip(wal.path(3), bit_idx)
      local log = opened(disk, 3)
      assert.is_true(log.code == wal.CORRUPT, "bit " .. bit_idx .. " is not refused")
      disk:flip(wal.path(3), bit_idx)
    end
    assert.same(from_on(3), reopened(disk, 3).records)
  end)

  it("reads the segment before when the last one lost its header", function()
    disk:set(wal.path(5), "")
    local log = reopened(disk, 5)
    assert.equal(wal.OK, log.code, log.text)
    assert.same({}, log.records)
    disk:set(wal.path(5), "")
    disk:set(wal.path(4), nil)
    assert.equal(wal.CORRUPT, opened(disk, 5).code)
  end)

  it("can begin anew at a snapshot's offset", function()
    disk = wal.disk()
    assert.equal(wal.OK, (disk:create(7)))
    local log = disk:open { from = 7 }:start()
    assert.equal(wal.OK, log.code, log.text)
    assert.equal(7, log:append "a")
    assert.is_true(log:sync())
    log:close()
    assert.same({ "a" }, disk:open({ from = 7 }).records)
    assert.equal(wal.IN_USE, (disk:create(9)))
    assert.equal(wal.CORRUPT, disk:open({ from = 3 }).code)
  end)
end)

describe("wal that loses its last file", function()
  it("is refused, though nothing else is missing", function()
    local disk = written()
    disk:set(wal.path(5), nil)
    local log = opened(disk, 0)
    assert.equal(wal.CORRUPT, log.code)
    assert.matches("00000000000000000005%.wal: this segment is missing", log.text)
  end)

  it("is refused when it had only that one", function()
    local disk = wal.disk()
    local log = disk:open():start()
    log:append "a"
    assert.is_true(log:sync())
    log:close()
    disk:set(wal.path(0), nil)
    assert.equal(wal.CORRUPT, disk:open().code)
  end)

  it("refuses every flipped bit in what says which file is the last", function()
    local disk = written()
    for bit_idx = 0, 12 * 8 - 1 do
      disk:flip("log/newest", bit_idx)
      local log = opened(disk, 0)
      assert.equal(wal.CORRUPT, log.code)
      assert.matches("log/newest is damaged", log.text)
      disk:flip("log/newest", bit_idx)
    end
  end)

  it("opens without what says so, and says it again", function()
    local disk = written()
    local content = disk:get "log/newest"
    disk:set("log/newest", nil)
    assert.same(records, reopened(disk, 0).records)
    assert.equal(content, disk:get "log/newest")
  end)
end)

describe("wal retention", function()
  local disk, log
  before_each(function()
    disk = written()
    log = opened(disk, 0)
  end)
  after_each(function() log:close() end)

  it("removes segments whose records are all below", function()
    local size = log:size()
    assert.equal(0, log:oldest())
    assert.equal(3 * 1024, log:retire(3))
    assert.equal(3, log:oldest())
    assert.equal(size - 3 * 1024, log:size())
    assert.is_nil(disk:get(wal.path(2)))
    assert.is_string(disk:get(wal.path(3)))
    log:close()
    assert.same(from_on(3), reopened(disk, 3).records)
  end)

  it("keeps the segment that holds the record, and the newest always", function()
    assert.equal(0, log:retire(0))
    assert.equal(5 * 1024, log:retire(1000))
    assert.equal(5, log:oldest())
    assert.is_string(disk:get(wal.path(5)))
    assert.equal(0, log:retire(1000))
  end)

  it("counts what is appended later", function()
    log:start()
    log:append(("z"):rep(600))
    assert.is_true(log:sync())
    assert.equal(0, log:oldest())
    assert.equal(7 * 1024, log:size())
    log:retire(7)
    assert.equal(6, log:oldest())
  end)

  it("leaves no gap whenever the power is cut", function()
    for call = 1, 12 do
      disk = written()
      log = opened(disk, 0)
      disk:cut_power_at(call)
      log:retire(5)
      log:close()
      disk:restart()
      local oldest = disk:oldest()
      local reader = assert(disk:read(oldest))
      assert.same(from_on(oldest), (reader:rest()))
      assert.same(from_on(5), reopened(disk, 5).records)
    end
  end)

  it("says what the disk refused, and goes on from there", function()
    disk:fail("remove", 2)
    local removed, text = log:retire(4)
    assert.is_nil(removed)
    assert.matches("cannot remove log/00000000000000000001%.wal: Input/output error", text)
    assert.equal(1, log:oldest())
    assert.equal(3 * 1024, log:retire(4))
    disk:fail("dir_sync", 1)
    assert.is_nil(log:retire(5))
    assert.equal(1024, log:retire(5))
    assert.equal(5, log:oldest())
  end)

  it("works from another thread while the log goes on", function()
    log:start()
    log:retire_always()
    for idx = 1, 300 do
      log:append(("%d "):format(idx):rep(100))
      if idx % 3 == 0 then assert.is_true(log:sync()) end
    end
    log:retire_stop()
    local next_offset = log:durable()
    assert.is_true(log:retire(next_offset) >= 0)
    assert.is_true(log:oldest() > 290)
    log:close()
    local found = reopened(disk, log:durable_told() - 1)
    assert.same({ ("300 "):rep(100) }, found.records)
  end)
end)

describe("wal copy", function()
  local function copied(disk, from)
    local log = disk:open { dir = "copy", from = from }
    log:close()
    assert.equal(wal.OK, log.code, log.text)
    return log.records
  end

  local function first_records(count)
    local list = {}
    for idx = 1, count do list[idx] = records[idx] end
    return list
  end

  it("is the log up to a record, and leaves the log as it was", function()
    for limit = 0, #records do
      local disk = written()
      local code, text = disk:copy("copy", limit)
      assert.equal(wal.OK, code, text)
      disk:restart()
      assert.same(first_records(limit), copied(disk, 0))
      assert.same(records, reopened(disk, 0).records)
    end
  end)

  it("begins where the log begins, and goes on", function()
    local disk = written()
    local log = opened(disk, 0)
    assert(log:retire(2))
    log:close()
    assert.equal(wal.OK, (disk:copy("copy", 4)))
    log = disk:open { dir = "copy", from = 2 }:start()
    assert.same({ records[3], records[4] }, log.records)
    assert.equal(4, log:append "another future")
    assert.is_true(log:sync())
    log:close()
    assert.same({ "another future" }, copied(disk, 4))
  end)

  it("refuses an end outside of the log, and a folder that has a log", function()
    local disk = written()
    local code, text = disk:copy("copy", 7)
    assert.equal(wal.NOT_FOUND, code)
    assert.equal("the log ends at offset 6", text)
    assert.equal(wal.IN_USE, (disk:copy("log", 3)))
  end)

  it("says when the disk is full", function()
    local disk = written()
    disk:set_capacity(6 * 1024 + 4096 + 100)
    local code, text = disk:copy("copy", 6)
    assert.equal(wal.DISK, code)
    assert.matches("the disk is full", text)
    disk:set_capacity(0)
    assert.same(records, reopened(disk, 0).records)
  end)
end)
