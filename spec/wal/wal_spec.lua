local bit = require "bit"
local memory = require "spec.support.memory"
local socket = require "socket"
local wal = require "spec.support.wal"

local HEADER, FRAME = 64, 32

local written = wal.written

local function padded(size) return math.ceil(size / 8) * 8 end
local function frame_size(record) return padded(FRAME + 4 + #record) end

--- Where the frames of such a log begin, and where the mark does.
local function frame_places(records)
  local places, at = {}, HEADER
  for idx, record in ipairs(records) do
    places[idx] = at
    at = at + frame_size(record)
  end
  return places, at
end

--- Opens the log, closes it again, and returns what it found.
local function reopened(disk, options)
  local log = disk:open(options)
  log:close()
  return log
end

local function flipped(text, bit_idx)
  local at = math.floor(bit_idx / 8) + 1
  local byte = bit.bxor(text:byte(at), bit.lshift(1, bit_idx % 8))
  return text:sub(1, at - 1) .. string.char(byte) .. text:sub(at + 1)
end

local function with_zeros(text, size) return text .. ("\0"):rep(size - #text) end

local function u32(text, at)
  local a, b, c, d = text:byte(at + 1, at + 4)
  return a + b * 256 + c * 65536 + d * 16777216
end

describe("wal", function()
  it("begins empty", function()
    local log = reopened(wal.disk())
    assert.equal(wal.OK, log.code)
    assert.same({}, log.records)
  end)

  it("gives back what was appended, in order", function()
    local records = { "one", "", ("long"):rep(500), "\0\255", "five" }
    local log = reopened(written(records))
    assert.equal(wal.OK, log.code)
    assert.same(records, log.records)
    assert.is_false(log.tail_cut)
  end)

  it("counts records from 0 and says which are durable", function()
    local disk = wal.disk()
    local log = disk:open():start()
    assert.equal(0, log:append "a")
    assert.equal(1, log:append "b")
    assert.equal(0, log:durable())
    assert.is_true(log:sync())
    assert.equal(2, log:durable())
    log:close()
    assert.equal(2, log:durable_told())

    log = disk:open():start()
    assert.equal(2, log:append "c")
    assert.is_true(log:sync())
    log:close()
    assert.same({ "a", "b", "c" }, reopened(disk).records)
  end)

  it("makes everything that was flushed durable before it closes, even without its thread", function()
    local disk = wal.disk()
    local log = disk:open()
    log:append "a"
    log:flush()
    log:append "b"
    log:close()
    assert.same({ "a", "b" }, reopened(disk).records)
  end)

  it("joins what gathers into one frame", function()
    local disk = wal.disk()
    local log = disk:open()
    log:append "a"
    log:append "b"
    log:flush()
    log:append "c"
    log:flush()
    log:close()
    assert.equal(3, u32(disk:get(wal.path()), HEADER + 16))
  end)

  it("hands over by itself what one turn appends beyond measure", function()
    local log = wal.disk():open()
    assert.is_false(log:step())
    for idx = 1, 20 do log:append(idx .. ("x"):rep(1048576)) end
    assert.is_true(log:step())
    assert.is_true(log:durable() > 10 and log:durable() < 20)
    assert.is_true(log:sync())
    assert.equal(20, log:durable())
    log:close()
  end)

  it("goes on in a new segment when one is full, also for a record larger than a segment", function()
    local records = {}
    for idx = 1, 40 do records[idx] = ("%d "):format(idx):rep(100) end
    records[20] = ("x"):rep(10000)
    local disk = written(records, { segment_size = 1024 })
    assert.is_string(disk:get(wal.path(20)))
    local log = reopened(disk, { segment_size = 1024 })
    assert.equal(wal.OK, log.code)
    assert.same(records, log.records)
  end)

  it("reads with memory for one frame, not for all of them", function()
    local records = {}
    for idx = 1, 50 do records[idx] = ("y"):rep(1000) end
    local disk = written(records, { segment_size = 8192 })
    assert.same(records, reopened(disk, { segment_size = 8192 }).records)
    assert.is_true(disk:largest_read() <= 8192)
  end)

  it("gives back the memory of its thread, too, when it has been idle for a while", function()
    local MIB = 2 ^ 20
    local dir = os.tmpname()
    os.remove(dir)
    local log = wal.open_real(dir .. "/log", { segment_size = 128 * MIB }):start()
    local record = ("x"):rep(40 * MIB)
    local before = memory.settled()
    log:append(record)
    assert.is_true(memory.allocated() > before + 40 * MIB)
    assert.is_true(log:sync())
    local give_up = os.time() + 30
    repeat
      socket.sleep(0.01)
    until memory.allocated() < before + MIB or os.time() > give_up
    assert.is_true(memory.allocated() < before + MIB)
    log:append "and it goes on"
    assert.is_true(log:sync())
    assert.equal(2, log:durable())
    log:close()
    os.execute("rm -r " .. dir)
  end)

  it("keeps the memory of a large group for the next one, and gives it back when none is as large", function()
    local MIB = 2 ^ 20
    local log = wal.disk():open { segment_size = 128 * MIB }
    log:append(("x"):rep(40 * MIB))
    log:flush()
    log:step()
    log:append "small" -- brings the large buffer back from the log's side
    log:flush()
    log:step()
    local before = memory.settled()
    log:trim()
    assert.is_true(memory.allocated() > before - MIB)
    log:trim()
    assert.is_true(memory.allocated() < before - 40 * MIB)
    log:append "and it goes on"
    log:flush()
    log:step()
    assert.equal(3, log:durable())
    log:close()
  end)
end)

describe("wal on the disk of this machine", function()
  it("gives back what was appended, over several segments", function()
    local dir = os.tmpname()
    os.remove(dir)
    local records = {}
    for life = 1, 3 do
      local log = wal.open_real(dir .. "/log")
      assert.equal(wal.OK, log.code, log.text)
      assert.same(records, log.records)
      log:start()
      for idx = 1, 30 do
        records[#records + 1] = ("%d/%d "):format(life, idx):rep(50)
        log:append(records[#records])
        log:flush()
      end
      assert.is_true(log:sync())
      log:close()
    end
    os.execute("rm -rf '" .. dir .. "'")
  end)
end)

describe("wal after the power was cut", function()
  it("recovers all records before the last when the last frame is cut at any byte", function()
    local records = { "first", "second", "the last one" }
    local disk = written(records)
    local places, marked_at = frame_places(records)
    local content = disk:get(wal.path())
    for size = places[3], marked_at - 1 do
      for _, torn in ipairs { content:sub(1, size), with_zeros(content:sub(1, size), #content) } do
        disk:set(wal.path(), torn)
        local log = reopened(disk)
        assert.equal(wal.OK, log.code, log.text)
        local is_whole = size >= places[3] + FRAME + 4 + #records[3]
        assert.same(is_whole and records or { "first", "second" }, log.records)
        assert.equal(not is_whole and torn:sub(places[3] + 1):find "[^%z]" ~= nil, log.tail_cut)
        assert.same(log.records, reopened(disk).records)
      end
    end
  end)

  it("accepts a last frame that is whole though nobody confirmed it", function()
    local records = { "a", "b" }
    local disk = written(records)
    local _, marked_at = frame_places(records)
    disk:set(wal.path(), with_zeros(disk:get(wal.path()):sub(1, marked_at), 4096))
    local log = reopened(disk)
    assert.same(records, log.records)
    assert.is_false(log.tail_cut)
  end)

  it("makes an accepted last frame durable before it returns", function()
    local records = { "a", "b" }
    local disk = written(records)
    local _, marked_at = frame_places(records)
    disk:set_unsynced(wal.path(), with_zeros(disk:get(wal.path()):sub(1, marked_at), 4096))
    local log = disk:open()
    assert.same(records, log.records)
    disk:cut_power_at(1)
    log:close()
    disk:restart()
    assert.same(records, reopened(disk).records)
  end)

  it("says where it cut, once", function()
    local records = { "a", "b" }
    local disk = written(records)
    local places = frame_places(records)
    disk:set(wal.path(), disk:get(wal.path()):sub(1, places[2] + 20))
    local log = reopened(disk)
    assert.is_true(log.tail_cut)
    local where = ("^00000000000000000000%%.wal: .* 20 bytes from byte %d, where record 1"):format(places[2])
    assert.matches(where, log.tail_text)
    assert.is_false(reopened(disk).tail_cut)
  end)

  it("goes on behind a cut tail as if it never was", function()
    local records = { "a", "b" }
    local disk = written(records)
    local places = frame_places(records)
    disk:set(wal.path(), disk:get(wal.path()):sub(1, places[2] + 33))
    local log = disk:open():start()
    assert.same({ "a" }, log.records)
    log:append "c"
    assert.is_true(log:sync())
    log:close()
    assert.same({ "a", "c" }, reopened(disk).records)
  end)

  it("uses a last segment again that has no header, half a header, or nothing but one", function()
    local records = { ("a"):rep(600), ("b"):rep(600) }
    local options = { segment_size = 1024 }
    local disk = written(records, options)
    local header = disk:get(wal.path(1)):sub(1, HEADER)
    local first = disk:get(wal.path())
    for _, content in ipairs { "", header:sub(1, 20), with_zeros(header:sub(1, 20), 1024), header,
                               with_zeros(header, 1024), ("\0"):rep(1024) } do
      disk:set(wal.path(), first)
      disk:set(wal.path(1), content)
      local log = disk:open(options):start()
      assert.equal(wal.OK, log.code, log.text)
      assert.same({ records[1] }, log.records)
      log:append "c"
      assert.is_true(log:sync())
      log:close()
      assert.same({ records[1], "c" }, reopened(disk, options).records)
    end
  end)

  it("loses nothing durable at any moment of a power cut, and keeps the order", function()
    local seed = os.time()
    math.randomseed(seed)
    local options = { segment_size = 512 }
    for round = 1, 400 do
      local disk = wal.disk(seed * 1000 + round)
      local appended, durable = {}, 0
      for life = 1, 3 do
        local log = disk:open(options)
        assert.equal(wal.OK, log.code, ("seed %d, round %d: %s"):format(seed, round, log.text))
        assert.is_true(#log.records >= durable, ("seed %d, round %d: records lost"):format(seed, round))
        for idx, record in ipairs(log.records) do
          assert.equal(appended[idx], record, ("seed %d, round %d"):format(seed, round))
        end
        for idx = #log.records + 1, #appended do appended[idx] = nil end
        log:start()
        disk:cut_power_at(math.random(25))
        for _ = 1, math.random(12) do
          local record = ("%d/%d/%d "):format(round, life, #appended):rep(math.random(20))
          appended[#appended + 1] = record
          log:append(record)
          if math.random(2) == 1 and not log:sync() then break end
        end
        durable = math.max(#log.records, log:durable())
        log:close()
        disk:restart()
      end
    end
  end)
end)

describe("wal with damage in it", function()
  local records = { "first", "second", "third" }

  it("refuses every single flipped bit in what was acknowledged, naming file and byte", function()
    local disk = written(records)
    local content = disk:get(wal.path())
    local _, marked_at = frame_places(records)
    for bit_idx = 0, marked_at * 8 - 1 do
      disk:set(wal.path(), flipped(content, bit_idx))
      local log = disk:open()
      assert.is_true(log.code == wal.CORRUPT, "bit " .. bit_idx .. " is not refused")
      assert.matches("00000000000000000000%.wal: .* at byte %d+", log.text)
      assert.equal(flipped(content, bit_idx), disk:get(wal.path()), "a refused log is changed")
    end
  end)

  it("names the record and the place of the proof", function()
    local disk = written(records)
    local places = frame_places(records)
    disk:set(wal.path(), flipped(disk:get(wal.path()), (places[2] + FRAME + 5) * 8))
    local text = disk:open().text
    assert.matches(("the frame at byte %d %%(record 1%%)"):format(places[2]), text)
    assert.matches(("a later frame stands at byte %d"):format(places[3]), text)
  end)

  it("loses no record to a flipped bit in the mark or in the zeros behind it", function()
    local disk = written(records)
    local content = disk:get(wal.path())
    local _, marked_at = frame_places(records)
    for bit_idx = marked_at * 8, (marked_at + FRAME + 64) * 8 do
      disk:set(wal.path(), flipped(content, bit_idx))
      local log = reopened(disk)
      assert.equal(wal.OK, log.code, log.text)
      assert.is_true(log.tail_cut)
      assert.same(records, log.records)
    end
  end)

  it("refuses a flipped bit in a last frame that has no mark, unless it looks as if a byte was never written", function()
    local disk = written(records)
    local places, marked_at = frame_places(records)
    local content = with_zeros(disk:get(wal.path()):sub(1, marked_at), 4096)
    for bit_idx = places[3] * 8, marked_at * 8 - 1 do
      disk:set(wal.path(), flipped(content, bit_idx))
      local log = reopened(disk)
      if flipped(content, bit_idx):byte(math.floor(bit_idx / 8) + 1) == 0 then
        assert.is_true(log.tail_cut)
        assert.same({ "first", "second" }, log.records)
      else
        assert.equal(wal.CORRUPT, log.code, ("bit %d"):format(bit_idx - places[3] * 8))
        assert.matches(("byte %d "):format(places[3]), log.text)
      end
    end
  end)

  it("refuses a frame whose header is gone while others stand behind it", function()
    local disk = written(records)
    local content, places = disk:get(wal.path()), frame_places(records)
    disk:set(wal.path(), content:sub(1, places[2]) .. ("\0"):rep(frame_size "second") .. content:sub(places[3] + 1))
    assert.equal(wal.CORRUPT, disk:open().code)
  end)

  it("refuses a frame of another history, though it fits in place and number", function()
    local disk, places = written(records), frame_places(records)
    local other = written { "FIRST", "second", "third" }
    disk:set(wal.path(), disk:get(wal.path()):sub(1, places[2]) .. other:get(wal.path()):sub(places[2] + 1))
    local log = disk:open()
    assert.equal(wal.CORRUPT, log.code)
    assert.matches("belongs to another log", log.text)
  end)

  it("takes no record for a frame, whatever a client puts into it", function()
    local base = require "spec.support.base"
    local forged = "FRAM" .. base.u32_bytes(0) .. ("\255"):rep(4) .. ("\0"):rep(16)
    forged = forged .. base.u32_bytes(base.crc32c(forged))
    local evil = ("\0"):rep(4) .. forged:rep(40)
    local disk = written { "first", evil }
    local places, marked_at = frame_places { "first", evil }
    local content = disk:get(wal.path())
    for lost = 8, FRAME do
      local torn = content:sub(1, places[2]) .. ("\0"):rep(lost) .. content:sub(places[2] + lost + 1, marked_at)
      disk:set(wal.path(), with_zeros(torn, #content))
      local log = reopened(disk)
      assert.equal(wal.OK, log.code, log.text)
      assert.is_true(log.tail_cut)
      assert.same({ "first" }, log.records)
    end
  end)

  it("refuses a flipped bit in a last frame that an opening without any appending found whole", function()
    local disk = written(records)
    local places, marked_at = frame_places(records)
    disk:set(wal.path(), with_zeros(disk:get(wal.path()):sub(1, marked_at), 4096))
    reopened(disk)
    disk:set(wal.path(), flipped(disk:get(wal.path()), (places[3] + FRAME + 5) * 8))
    assert.equal(wal.CORRUPT, disk:open().code)
  end)

  it("refuses a frame that stands there twice", function()
    local disk = written(records)
    local content, places = disk:get(wal.path()), frame_places(records)
    disk:set(wal.path(), content:sub(1, places[3]) .. content:sub(places[2] + 1))
    local log = disk:open()
    assert.equal(wal.CORRUPT, log.code)
    assert.matches("does not continue", log.text)
  end)
end)

describe("wal in several segments", function()
  local records = { ("a"):rep(600), ("b"):rep(600), ("c"):rep(600), ("d"):rep(600) }
  local options = { segment_size = 1024 }
  local disk

  before_each(function() disk = written(records, options) end)

  local function refused(first_offset)
    local log = disk:open(options)
    assert.equal(wal.CORRUPT, log.code)
    assert.matches(("%020d%%.wal"):format(first_offset), log.text)
    return log.text
  end

  it("is what the specs below start from", function()
    assert.same(records, reopened(disk, options).records)
    assert.is_string(disk:get(wal.path(3)))
  end)

  it("refuses a missing one", function()
    disk:set(wal.path(1), nil)
    assert.matches("missing", refused(2))
  end)

  it("refuses a missing first one", function()
    disk:set(wal.path(0), nil)
    assert.matches("missing", refused(1))
  end)

  it("refuses two that changed places", function()
    local one, two = disk:get(wal.path(1)), disk:get(wal.path(2))
    disk:set(wal.path(1), two)
    disk:set(wal.path(2), one)
    refused(1)
  end)

  it("refuses one that stands there twice", function()
    disk:set(wal.path(4), disk:get(wal.path(3)))
    assert.matches("name", refused(4))
  end)

  it("refuses one of another database", function()
    local other = written(records, { segment_size = 1024, database = 2 })
    disk:set(wal.path(1), other:get(wal.path(1)))
    assert.matches("another database", refused(1))
  end)

  it("refuses one of another history of the same database", function()
    local other = written({ ("z"):rep(600), ("b"):rep(600), "" }, options)
    disk:set(wal.path(1), other:get(wal.path(1)))
    assert.matches("does not continue", refused(1))
  end)

  it("refuses an empty last one of another history of the same database", function()
    local other = written({ records[1], records[2], ("z"):rep(600), records[4] }, options)
    disk:set(wal.path(3), other:get(wal.path(3)):sub(1, HEADER))
    assert.matches("does not continue", refused(3))
  end)

  it("refuses a bad frame at the end of one that has a successor, even an empty one", function()
    disk:set(wal.path(3), "")
    disk:set(wal.path(2), flipped(disk:get(wal.path(2)), (HEADER + FRAME + 100) * 8))
    assert.matches("later segment", refused(2))
  end)

  it("refuses a flipped bit in the header of any that has records", function()
    for first_offset = 0, 3 do
      local content = disk:get(wal.path(first_offset))
      for bit_idx = 0, HEADER * 8 - 1 do
        disk:set(wal.path(first_offset), flipped(content, bit_idx))
        refused(first_offset)
      end
      disk:set(wal.path(first_offset), content)
    end
  end)

  it("leaves files of other names alone", function()
    disk:set("log/readme.txt", "hello")
    disk:set("log/123.wal", "hello")
    assert.same(records, reopened(disk, options).records)
    assert.equal("hello", disk:get "log/readme.txt")
  end)
end)

describe("wal from another world", function()
  local base = require "spec.support.base"

  it("names the version it would need", function()
    local disk = written { "a" }
    local content = disk:get(wal.path())
    local header = content:sub(1, 8) .. "\2" .. content:sub(10, 60)
    disk:set(wal.path(), header .. base.u32_bytes(base.crc32c(header)) .. content:sub(65))
    local log = disk:open()
    assert.equal(wal.NEWER_FORMAT, log.code)
    assert.matches("format 2", log.text)
  end)

  it("refuses the log of another database", function()
    local log = written({ "a" }, { database = 2 }):open()
    assert.equal(wal.CORRUPT, log.code)
    assert.matches("another database", log.text)
  end)
end)

describe("wal on a failing disk", function()
  it("acknowledges nothing after a failed sync, and says so once", function()
    local disk = wal.disk()
    local log = disk:open():start()
    log:append "a"
    assert.is_true(log:sync())
    disk:fail("sync", 1)
    log:append "b"
    assert.is_false(log:sync())
    log:append "c"
    assert.is_false(log:sync())
    assert.equal(1, log:durable())
    log:close()
    assert.equal(1, log:failures_told())
    assert.equal(1, log:durable_told())
  end)

  it("stores again what it finds after a failed sync, before anything counts on it", function()
    local disk = wal.disk(os.time())
    local log = disk:open():start()
    log:append "a"
    assert.is_true(log:sync())
    disk:fail("sync", 1)
    log:append(("b"):rep(200))
    assert.is_false(log:sync())
    log:close()

    log = disk:open()
    local found = log.records
    disk:cut_power_at(1)
    log:close()
    disk:restart()
    assert.same({ "a", ("b"):rep(200) }, found)
    assert.same(found, reopened(disk).records)
  end)

  it("marks a log that falls idle, without being closed", function()
    local disk = wal.disk()
    local log = disk:open():start()
    log:append "a"
    assert.is_true(log:sync())
    local mark_at, magic = HEADER + frame_size "a", nil
    for _ = 1, 250 do
      magic = disk:get(wal.path()):sub(mark_at + 1, mark_at + 4)
      if magic ~= "\0\0\0\0" then break end
      os.execute "sleep 0.02"
    end
    assert.not_equal("\0\0\0\0", magic)
    log:close()
  end)

  it("fails in whatever call the disk fails, and opens again afterwards", function()
    for call = 1, 30 do
      local disk = wal.disk(call)
      local log = disk:open { segment_size = 256 }
      log:start()
      disk:cut_power_at(call)
      local failed = false
      for idx = 1, 12 do
        log:append(("record %d"):format(idx):rep(8))
        failed = not log:sync()
        if failed then break end
      end
      local durable = log:durable()
      log:close()
      assert.is_true(log:failures_told() <= 1)
      assert.equal(failed, failed and log:failures_told() == 1)
      disk:restart()
      log = reopened(disk, { segment_size = 256 })
      assert.equal(wal.OK, log.code, log.text)
      assert.is_true(#log.records >= durable)
    end
  end)

  it("refuses to open when the first segment cannot be made", function()
    for call = 1, 5 do
      local disk = wal.disk()
      disk:cut_power_at(call)
      assert.equal(wal.DISK, disk:open().code)
    end
  end)
end)
