local wal = require "spec.support.wal"

local HEADER, FRAME = 64, 32

local options = { segment_size = 1024 }
local records = { ("a"):rep(300), ("b"):rep(300), ("c"):rep(600), "", ("e"):rep(2000), "f" }

local function written() return wal.written(records, options) end

local function part(from, to)
  local list = {}
  for idx = from + 1, to or #records do list[#list + 1] = records[idx] end
  return list
end

describe("wal reader", function()
  it("gives the records from any offset on", function()
    local disk = written()
    for from = 0, #records do
      local reader = assert(disk:read(from))
      assert.same(part(from), (reader:rest()))
    end
  end)

  it("tells the offset of each", function()
    local reader = written():read(2)
    for offset = 2, #records - 1 do
      local record, found = reader:next()
      assert.equal(records[offset + 1], record)
      assert.equal(offset, found)
    end
    assert.is_nil((reader:next()))
    assert.is_nil((reader:next()))
  end)

  it("stops at the limit, also in the middle of a group", function()
    local disk = wal.disk()
    local log = disk:open()
    for _, record in ipairs { "a", "b", "c", "d" } do log:append(record) end
    log:close()
    for limit = 0, 4 do
      local reader = assert(disk:read(0, limit))
      assert.equal(limit, #reader:rest())
    end
  end)

  it("goes on when the limit is raised, over segments that were made meanwhile", function()
    local disk = wal.disk()
    local log = disk:open(options)
    local reader = assert(disk:read(0, 0))
    for count, record in ipairs(records) do
      log:append(record)
      log:flush()
      assert.is_nil((reader:next()))
      assert.is_true(log:step())
      assert.is_nil((reader:next()))
      reader:set_limit(log:durable())
      assert.equal(record, (reader:next()))
      assert.equal(count, log:durable())
    end
    log:close()
  end)

  it("follows a log without a limit, while a thread writes it", function()
    local disk = wal.disk()
    local log = disk:open(options):start()
    local reader, read = assert(disk:read(0)), 0
    for count = 1, 400 do
      log:append(("%d "):format(count):rep(1 + count % 50))
      log:flush()
      local list, code, text = reader:rest()
      assert.is_nil(code, text)
      for _, record in ipairs(list) do
        read = read + 1
        assert.equal(("%d "):format(read):rep(1 + read % 50), record)
      end
    end
    assert.is_true(log:sync())
    read = read + #reader:rest()
    assert.equal(400, read)
    log:close()
  end)

  it("changes nothing and holds one frame", function()
    local disk = written()
    local before = { disk:count "write", disk:count "truncate", disk:count "sync", disk:count "remove" }
    local torn = disk:get(wal.path(5))
    disk:set(wal.path(5), torn:sub(1, HEADER + FRAME + 2))
    assert.same(part(0, 5), (disk:read(0):rest()))
    assert.same(before, { disk:count "write", disk:count "truncate", disk:count "sync", disk:count "remove" })
    assert.is_true(disk:largest_read() <= 4096)
  end)
end)

describe("wal reader outside of the log", function()
  local function refused(disk, from, limit)
    local reader, code, text = disk:read(from, limit)
    assert.is_nil(reader)
    assert.equal(wal.NOT_FOUND, code)
    return text
  end

  it("says where the log begins", function()
    local disk = written()
    local log = disk:open(options)
    assert(log:retire(4))
    assert.equal("the log begins at offset 4", refused(disk, 3))
    assert.equal(4, disk:oldest())
    log:close()
  end)

  it("says where the log ends", function()
    local disk = written()
    assert.equal("the log ends at offset 6", refused(disk, 7))
    assert.equal("the log ends at offset 5", refused(disk, 6, 5))
  end)

  it("says that there is no log", function()
    assert.matches("log: No such file", refused(wal.disk(), 0))
    local disk = wal.disk()
    disk:set("log/readme.txt", "hello")
    assert.equal("there is no log in log", refused(disk, 0))
  end)

  it("says where the log begins now when segments go while it reads", function()
    local disk = written()
    local log = disk:open(options)
    local reader = assert(disk:read(0))
    assert.equal(records[1], (reader:next()))
    assert(log:retire(4))
    assert.equal(records[2], (reader:next()))
    local _, code, text = reader:rest()
    assert.equal(wal.NOT_FOUND, code)
    assert.equal("the log begins at offset 4", text)
    log:close()
  end)
end)

describe("wal reader on damage", function()
  local function read_all(disk, limit)
    local reader, code, text = disk:read(0, limit)
    if not reader then return {}, code, text end
    return reader:rest()
  end

  it("refuses every flipped bit below the limit, having handed out nothing wrong", function()
    local disk = written()
    for _, file in ipairs { { 0, 2 }, { 4, 1 } } do
      local first_offset, count = file[1], file[2]
      local size = HEADER
      for idx = first_offset + 1, first_offset + count do
        size = size + math.ceil((FRAME + 4 + #records[idx]) / 8) * 8
      end
      for bit_idx = 0, size * 8 - 1 do
        disk:flip(wal.path(first_offset), bit_idx)
        local list, code = read_all(disk, #records)
        assert.is_true(code == wal.CORRUPT, ("bit %d of %d is not refused"):format(bit_idx, first_offset))
        for idx, record in ipairs(list) do assert.equal(records[idx], record) end
        disk:flip(wal.path(first_offset), bit_idx)
      end
    end
  end)

  it("refuses without a limit what recovery refuses, and ends where recovery would cut", function()
    local disk = written()
    local content = disk:get(wal.path(5))
    for bit_idx = 0, (HEADER + 3 * FRAME) * 8 - 1 do
      disk:set(wal.path(5), content)
      disk:flip(wal.path(5), bit_idx)
      local list, code = read_all(disk)
      local log = disk:open(options)
      assert.equal(log.code == wal.OK, code == nil)
      if code == nil then assert.same(log.records, list) end
      log:close()
    end
  end)

  it("names what is missing below the limit", function()
    local disk = written()
    local content = disk:get(wal.path(5))
    disk:set(wal.path(5), content:sub(1, HEADER) .. ("\0"):rep(#content - HEADER))
    local _, code, text = read_all(disk, #records)
    assert.equal(wal.CORRUPT, code)
    assert.matches("00000000000000000005%.wal: .* %(record 5%) .* acknowledged", text)
    assert.same(part(0, 5), (read_all(disk)))
  end)

  it("names a missing segment", function()
    local disk = written()
    disk:set(wal.path(2), nil)
    local list, code, text = read_all(disk)
    assert.same(part(0, 2), list)
    assert.equal(wal.CORRUPT, code)
    assert.matches("missing", text)
  end)

  it("refuses the log of another database", function()
    local reader, code, text = written():read(0, nil, 2)
    assert.is_nil(reader)
    assert.equal(wal.CORRUPT, code)
    assert.matches("another database", text)
  end)

  it("takes no failed read for the end of the log", function()
    for nth = 1, 100 do
      local disk = written()
      disk:fail("read", nth)
      local list, code = read_all(disk)
      for idx, record in ipairs(list) do assert.equal(records[idx], record) end
      if code == nil then
        assert.is_true(nth > 10)
        assert.same(records, list)
        return
      end
      assert.equal(wal.DISK, code)
    end
    error "the log has fewer reads than that"
  end)
end)

describe("wal reader behind damage", function()
  local function assert_right(found, offsets)
    local last = -1
    for _, offset in ipairs(offsets) do
      assert.is_true(offset > last)
      assert.equal(records[offset + 1], found[offset])
      last = offset
    end
  end

  local function texts(faults) return table.concat(faults, "\n") end

  it("gives all of a whole log, and finds nothing wrong", function()
    local found, offsets, faults = written():read_everything()
    assert.equal("", texts(faults))
    assert.equal(#records, #offsets)
    assert_right(found, offsets)
  end)

  it("names every flipped bit of what was acknowledged, and loses no more than one frame to it", function()
    local disk = written()
    for _, file in ipairs { { 0, 2 }, { 2, 2 }, { 5, 1 } } do
      local first_offset, count = file[1], file[2]
      local size = HEADER
      for idx = first_offset + 1, first_offset + count do
        size = size + math.ceil((FRAME + 4 + #records[idx]) / 8) * 8
      end
      for bit_idx = 0, size * 8 - 1 do
        disk:flip(wal.path(first_offset), bit_idx)
        local found, offsets, faults = disk:read_everything()
        local place = ("bit %d of %d: %s"):format(bit_idx, first_offset, texts(faults))
        assert.is_true(#faults > 0, place)
        assert_right(found, offsets)
        -- A database id that is another one makes the whole segment a stranger, and so does a version.
        local is_stranger = bit_idx < HEADER * 8 and #offsets == #records - count
        assert.is_true(#offsets >= #records - 1 or is_stranger, place)
        disk:flip(wal.path(first_offset), bit_idx)
      end
    end
  end)

  it("goes on behind a missing segment", function()
    local disk = written()
    disk:set(wal.path(2), nil)
    local found, offsets, faults = disk:read_everything()
    assert.same({ 0, 1, 4, 5 }, offsets)
    assert_right(found, offsets)
    assert.matches("a segment before it is missing", texts(faults))
  end)

  it("says that the newest segment is missing, and gives the others", function()
    local disk = written()
    disk:set(wal.path(5), nil)
    local _, offsets, faults = disk:read_everything()
    assert.same({ 0, 1, 2, 3, 4 }, offsets)
    assert.equal(1, #faults)
    assert.matches("00000000000000000005%.wal: this segment is missing", faults[1])
  end)

  it("names each fault of several", function()
    local disk = written()
    disk:flip(wal.path(0), (HEADER + FRAME + 10) * 8)
    disk:flip(wal.path(2), 3)
    disk:set(wal.path(4), nil)
    local found, offsets, faults = disk:read_everything()
    assert.same({ 1, 2, 3, 5 }, offsets)
    assert_right(found, offsets)
    assert.equal(3, #faults, texts(faults))
    assert.matches("00000000000000000000%.wal: the frame at byte 64 %(record 0%)", faults[1])
    assert.matches("00000000000000000002%.wal: the segment header at byte 0", faults[2])
    assert.matches("00000000000000000005%.wal: .*missing", faults[3])
  end)

  it("takes nothing from another database, and nothing twice", function()
    local disk, other = written(), wal.disk()
    local log = other:open { segment_size = 1024, database = 2 }:start()
    log:append "stranger"
    log:close()
    disk:set(wal.path(2), other:get(wal.path(0)))
    local found, offsets, faults = disk:read_everything()
    assert.same({ 0, 1, 4, 5 }, offsets)
    assert_right(found, offsets)
    assert.matches("it belongs to another database", texts(faults))

    disk = written()
    disk:set(wal.path(3), disk:get(wal.path(0)))
    found, offsets, faults = disk:read_everything()
    assert_right(found, offsets)
    assert.equal(#records, #offsets)
    assert.is_true(#faults > 0)
  end)

  it("passes over what cannot be read", function()
    for nth = 1, 100 do
      local disk = written()
      disk:fail("read", nth)
      local found, offsets, faults = disk:read_everything()
      assert_right(found, offsets)
      if #faults == 0 then
        assert.is_true(nth > 10)
        return
      end
      assert.is_true(#offsets >= #records - 2, texts(faults))
    end
  end)
end)
