--- Every fault of a disk that concerns the log, and its answer.
local base = require "spec.support.base"
local sim = require "spec.support.sim"
local wal = require "spec.support.wal"

local function reopened(disk, options)
  local log = disk:open(options)
  log:close()
  return log
end

--- Appends records one by one until the log fails. Returns those that were acknowledged.
local function fill(log, record, count)
  local acknowledged = {}
  for idx = 1, count do
    local text = ("%d "):format(idx) .. record
    log:append(text)
    if not log:sync() then break end
    acknowledged[idx] = text
  end
  return acknowledged
end

--- Turns two bits of a record: not one, which the log would know to be no torn write (W6).
local function spoil(disk, record)
  for _, path in ipairs(disk:names()) do
    local at = disk:get(path):find(record, 1, true)
    if at then
      assert.is_true(disk:flip(path, at * 8) and disk:flip(path, (at + 5) * 8 + 3))
      return
    end
  end
  error "no such record"
end

describe("wal on a full disk", function()
  local options = { segment_size = 64 * 1048576 }

  it("acknowledges what fits and nothing else, and says that the disk is full", function()
    for _, case in ipairs { { segment_size = 4096, capacity = 20000, size = 600 },
                            { segment_size = 64 * 1048576, capacity = 5 * 1048576, size = 300000 } } do
      local disk = wal.disk()
      disk:set_capacity(case.capacity)
      local log = disk:open(case):start()
      local acknowledged = fill(log, ("x"):rep(case.size), 1000)
      assert.is_true(#acknowledged > 5 and #acknowledged < 1000)
      log:append "small"
      assert.is_false(log:sync())
      assert.equal(#acknowledged, log:durable())
      log:close()
      assert.equal(1, log:failures_told())
      assert.matches("00%d+%.wal: .*the disk is full", log:failure_text())

      disk:restart()
      log = reopened(disk, case)
      assert.is_true(log.code == wal.OK or log.text:find "disk is full" ~= nil, log.text)
      disk:set_capacity(0)
      log = reopened(disk, case)
      assert.equal(wal.OK, log.code, log.text)
      assert.is_false(log.tail_cut)
      assert.same(acknowledged, log.records)
    end
  end)

  it("ends whole and marked, so that the last record is vouched for", function()
    local disk = wal.disk()
    disk:set_capacity(4 * 1048576 + 1000)
    local log = disk:open(options)
    log:start()
    log:append "the last one"
    assert.is_true(log:sync())
    log:append(("x"):rep(8 * 1048576))
    assert.is_false(log:sync())
    log:close()
    spoil(disk, "the last one")
    assert.equal(wal.CORRUPT, disk:open(options).code)
  end)

  it("ends so, too, when it is a new segment that finds no room", function()
    for capacity = 4096 + 12, 4 * 4096, 100 do
      local disk = wal.disk(capacity)
      disk:set_capacity(capacity)
      local log = disk:open { segment_size = 4096 }
      log:start()
      local acknowledged = fill(log, ("x"):rep(600), 100)
      log:close()
      disk:set_capacity(0)
      spoil(disk, acknowledged[#acknowledged])
      assert.equal(wal.CORRUPT, disk:open({ segment_size = 4096 }).code, "a disk of " .. capacity .. " bytes")
    end
  end)

  it("goes on where it was when there is room again", function()
    local disk = wal.disk()
    disk:set_capacity(20000)
    local log = disk:open():start()
    local acknowledged = fill(log, ("x"):rep(600), 1000)
    log:close()
    disk:set_capacity(0)
    log = disk:open():start()
    assert.same(acknowledged, log.records)
    log:append "more"
    assert.is_true(log:sync())
    log:close()
    acknowledged[#acknowledged + 1] = "more"
    assert.same(acknowledged, reopened(disk).records)
  end)
end)

describe("wal on a disk with errors", function()
  local options = { segment_size = 1024 }
  local record = ("y"):rep(150)

  it("acknowledges nothing behind an error in any call, and loses nothing before it", function()
    for _, call in ipairs { "write", "sync", "reserve", "open", "dir_sync", "rename", "truncate" } do
      local struck = 0
      for nth = 1, 20 do
        for _, fault in ipairs { "EIO", "ENOSPC" } do
          local disk = wal.disk(nth)
          local log = disk:open(options):start()
          disk:fail(call, nth, fault)
          local acknowledged = fill(log, record, 24)
          local durable = log:durable()
          log:close()
          struck = struck + log:failures_told()
          assert.equal(#acknowledged < 24 and 1 or log:failures_told(), log:failures_told())
          assert.equal(#acknowledged, durable)
          disk:restart()
          log = reopened(disk, options)
          assert.equal(wal.OK, log.code, log.text)
          for idx, text in ipairs(acknowledged) do
            assert.equal(text, log.records[idx], ("%s %d %s"):format(call, nth, fault))
          end
          assert.is_true(#log.records <= #acknowledged + 1)
        end
      end
      assert.is_true(struck > 0, "no error in " .. call)
    end
  end)

  it("takes no failed read for the end of the log, and changes nothing then", function()
    local disk = wal.disk()
    local log = disk:open(options):start()
    local acknowledged = fill(log, record, 12)
    log:close()
    local writes = disk:count "write"
    for nth = 1, 1000 do
      disk:fail("read", nth)
      log = disk:open(options)
      log:close()
      if log.code == wal.OK then
        assert.is_true(nth > 20)
        assert.same(acknowledged, log.records)
        return
      end
      assert.equal(wal.DISK, log.code)
      assert.matches("cannot read .*Input/output error", log.text)
      assert.equal(writes, disk:count "write")
    end
    error "opening never ends"
  end)

  it("opens or is refused, whatever call fails while it opens, and keeps everything", function()
    local disk = wal.disk()
    local log = disk:open(options):start()
    local acknowledged = fill(log, record, 12)
    log:close()
    for _, call in ipairs { "open", "size", "read", "write", "sync", "list", "dir_sync", "make_dir", "any" } do
      for nth = 1, 40 do
        disk:fail(call, nth)
        log = disk:open(options)
        assert.is_true(log.code == wal.OK or log.code == wal.DISK, log.text)
        log:close()
        disk:restart()
        log = reopened(disk, options)
        assert.equal(wal.OK, log.code, log.text)
        assert.same(acknowledged, log.records)
      end
    end
  end)
end)

--- One history of a log from a seed: appending, syncing, retiring behind snapshots, reading back, errors, power
-- cuts and kills at any call, also while it opens. What must be there is kept beside it in a plain list.
local History = {}
History.__index = History

local options = { segment_size = 2048 }

local function forge()
  local frame = "FRAM" .. base.u32_bytes(0) .. ("\255"):rep(4) .. ("\0"):rep(16)
  return (frame .. base.u32_bytes(base.crc32c(frame))):rep(20)
end
local forged_frames = forge()

function History.new(seed)
  return setmetatable({
    seed = seed,
    disk = wal.disk(seed),
    records = {}, -- all that were appended since the last opening, or found by it
    durable = 0,  -- acknowledged
    snapshot = 0, -- no further than that
    acknowledged = 0,
    lives = 0,
    opened = 0,
  }, History)
end

function History:draw(limit) return self.disk:random(limit) end

function History:expect(condition, what)
  if not condition then
    error(("seed %d, life %d: %s (STDB_SEED=%d runs it again)"):format(self.seed, self.lives, what, self.seed), 0)
  end
end

--- What was found must be what was appended, up to somewhere at or behind what was acknowledged.
function History:verify(log)
  local found = self.snapshot + #log.records
  self:expect(found >= self.durable, ("%d of %d acknowledged records are there"):format(found, self.durable))
  self:expect(found <= #self.records, "there are more records than were appended")
  for idx, record in ipairs(log.records) do
    self:expect(record == self.records[self.snapshot + idx], ("record %d is another one"):format(self.snapshot + idx))
  end
  for idx = #self.records, found + 1, -1 do self.records[idx] = nil end
  self.durable = found
end

--- What looks like a frame inside of a record must not be taken for one; nobody who writes records knows the salt.
function History:make_record()
  local size = self:draw(10) == 1 and self:draw(3000) or self:draw(200)
  local record = ("%d.%d "):format(self.lives, #self.records):rep(math.ceil(size / 4)):sub(1, size)
  if self:draw(8) == 1 then
    record = forged_frames:sub(1 + self:draw(8)) .. record
  end
  return record
end

function History:append(log)
  for _ = 1, self:draw(4) do
    local record = self:make_record()
    self.records[#self.records + 1] = record
    log:append(record)
  end
  log:flush()
end

function History:read_back()
  if self.disk:has_crashed() then return end
  local oldest = self.disk:oldest()
  self:expect(oldest <= self.snapshot, "retired what no snapshot has")
  local reader, _, why = self.disk:read(oldest, self.durable)
  self:expect(reader, why)
  local offset = oldest
  while true do
    local record, at, refusal = reader:next()
    self:expect(not refusal, refusal)
    if not record then break end
    self:expect(at == offset, "the reader counts wrong")
    offset = offset + 1
    self:expect(record == self.records[offset], ("the reader gives another record %d"):format(offset))
  end
  self:expect(offset == self.durable, "the reader ends early")
end

function History:step(log)
  local what = self:draw(24)
  if what <= 12 then
    self:append(log)
  elseif what <= 21 then
    log:step()
  elseif what == 22 then
    self.snapshot = self.durable
  elseif what == 23 then
    log:retire(self.snapshot)
  elseif not self.troubled then
    self:read_back()
  end
  self.durable = math.max(self.durable, log:durable())
end

function History:trouble()
  self.troubled = self:draw(6) == 1
  if self:draw(4) > 1 then self.disk:cut_power_at(self:draw(40)) end
  if not self.troubled then return end
  local calls = { "write", "sync", "reserve", "dir_sync", "rename", "remove", "read", "changes" }
  self.disk:fail(calls[self:draw(#calls)], self:draw(12), self:draw(2) == 1 and "EIO" or "ENOSPC", self:draw(2) == 1)
end

--- From an opening to the next end of the process.
function History:live()
  self.lives = self.lives + 1
  self:trouble()
  local log = self.disk:open { segment_size = options.segment_size, from = self.snapshot }
  if log.code == wal.OK then
    self.opened = self.opened + 1
    local before = self.durable
    self:verify(log)
    for _ = 1, self:draw(30) do self:step(log) end
    self.acknowledged = self.acknowledged + self.durable - before
  else
    self:expect(self.troubled or self.disk:has_crashed(), log.text)
    self:expect(log.code == wal.DISK, log.text)
  end
  if self:draw(3) == 1 then -- not killed, but closed
    log:close()
    self.durable = math.max(self.durable, log:durable_told())
  end
  if self:draw(3) == 1 and not self.disk:has_crashed() then
    self.disk:kill()
    log:close()
  else
    self.disk:restart_after(function() log:close() end)
  end
end

describe("wal in a simulated world", function()
  it("keeps what it acknowledged, whole and in order, through thousands of crashes", function()
    local first = sim.seed()
    local lives, opened, acknowledged = 0, 0, 0
    local rounds = tonumber(os.getenv "STDB_ROUNDS") or 300
    print(("wal/fault_spec: seed %d, %d histories"):format(first, rounds))
    for seed = first, first + rounds - 1 do
      local history = History.new(seed)
      for _ = 1, 40 do history:live() end
      lives, opened = lives + history.lives, opened + history.opened
      acknowledged = acknowledged + history.acknowledged
    end
    assert.is_true(opened > lives / 2)
    assert.is_true(acknowledged > lives)
  end)

  it("does the same for the same seed", function()
    local function run(seed)
      local history = History.new(seed)
      for _ = 1, 20 do history:live() end
      return table.concat(history.records, "\n") .. history.durable .. history.disk:random(1e9)
    end
    assert.equal(run(5), run(5))
    assert.not_equal(run(5), run(6))
  end)
end)
