--- Random schedules on a simulated clock and disk: points in time, intervals that leave out and intervals that catch up,
--- over kills, power cuts, restarts, updates, snapshots and a clock that is set.
local bsatn = require "spec.support.bsatn"
local messages = require "spec.support.messages"
local server_sim = require "spec.support.server_sim"
local sim = require "spec.support.sim"

local HISTORIES, STEPS = 10, 80
local OPTIONS = { segment_size = 16384, log_bytes = 1e9, interval_us = 1e15, keep_us = 0, keep_bytes = 1 }
local START_US = 1700000000000000

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types

local function timer(name, schedule)
  return stdb.table(name, { schedule = schedule, { "id", t.u64, primary_key = true }, { "at", t.schedule_at } })
end

local rows = { once = timer("once", "run_once"), beat = timer("beat", "run_beat"),
  tally = timer("tally", { reducer = "run_tally", missed = "catch_up" }) }
stdb.table("note", { { "id", t.u64, primary_key = true, auto_inc = true }, { "kind", t.string }, { "timer", t.u64 },
  { "time", t.timestamp } })

for kind, row in pairs(rows) do
  stdb.reducer("run_" .. kind, { { "row", row } }, function(ctx, row)
    ctx.db.note:insert { kind = kind, timer = row.id, time = ctx.timestamp }
    if kind == "once" and row.id % 5 == 0 then error "as its number has it" end
  end)
  stdb.reducer("set_" .. kind, { { "id", t.u64 }, { "at", t.schedule_at } }, function(ctx, id, at)
    ctx.db[kind].id:upsert { id = id, at = at }
  end)
  stdb.reducer("stop_" .. kind, { { "id", t.u64 } }, function(ctx, id) ctx.db[kind].id:delete(id) end)
end
]]

local types = bsatn.schema [[
  At = < 0 Interval: i64 | 1 Time: i64 >
  Setting = { id: u64, at: < 0 Interval: i64 | 1 Time: i64 > }
  Note = { id: u64, kind: string, timer: u64, time: i64 }
]]

local function chance(of) return math.random(of) == 1 end
local function pick(list) return list[math.random(#list)] end

-- A history and its model. A timer is { kind, id, due, interval, set, ticks }: of a point in time `due` is by the wall
-- clock, of an interval by the monotonic one; `set` is the wall clock's time when it was set, `ticks` is how often an
-- interval that catches up has run since. -------------------------------------------------------------------------

local History = {}
History.__index = History

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function history_new(seed)
  local self = setmetatable({ wall = START_US, monotonic = 1000000, next_id = 1, timers = {}, told = {}, lives = 0,
    path = os.tmpname() .. ".lua", updates = 0 }, History)
  write(self.path, MODULE)
  self.disk = sim.disk(seed)
  self.server = server_sim.new(self.disk, seed)
  self:open()
  return self
end

function History:free()
  self.server:free()
  os.remove(self.path)
end

function History:open()
  self.server:set_clock(self.wall, self.monotonic)
  assert(self.server:open(self.path, OPTIONS) == server_sim.OK, self.server:text())
  self.lives = self.lives + 1
  self.server:connect(0, ("\0"):rep(32), ("%016d"):format(self.lives), { protocol = "v3", confirmed = false })
end

function History:pass(us)
  self.wall, self.monotonic = self.wall + us, self.monotonic + us
  self.server:set_clock(self.wall, self.monotonic)
end

function History:post(reducer, arguments)
  self.server:post(0, messages.client("CallReducer", { request_id = 1, flags = 0, reducer = reducer, args = arguments }))
end

--- Either kind of row, and now and then a new time for one that is there.
function History:set()
  local kind = pick { "once", "beat", "tally" }
  local id, at = self.next_id, { tag = "Time", value = self.wall + math.random(-5000, 100000) }
  local other = chance(4) and self.timers[math.random(self.next_id)]
  if other then kind, id = other.kind, other.id end
  self.next_id = self.next_id + (other and 0 or 1)
  if kind ~= "once" then
    at = { tag = "Interval", value = pick { 0, -20000, math.random(1000, 200000), math.random(20000, 200000) } }
  end
  self:post("set_" .. kind, bsatn.encode(types.Setting, { id = id, at = at }))
  local interval = kind ~= "once" and math.max(1000, math.abs(at.value)) or nil
  if other and other.value == at.value then return end
  self.timers[id] = { kind = kind, id = id, value = at.value, interval = interval, set = self.wall, ticks = 0,
    due = interval and self.monotonic + interval or at.value }
end

function History:stop()
  local timer = self.timers[math.random(self.next_id)]
  if not timer then return end
  self:post("stop_" .. timer.kind, bsatn.encode(bsatn.type "{ id: u64 }", { id = timer.id }))
  self.timers[timer.id] = nil
end

--- What runs in a turn now: kind, timer and time of each call. That is the time it is for, or now if that is later.
function History:ticks_due()
  local lines = {}
  local function run(timer, time)
    lines[#lines + 1] = ("%s %d at %d"):format(timer.kind, timer.id, math.max(self.wall, time or 0))
  end
  for id, timer in pairs(self.timers) do
    if timer.kind == "once" and timer.due <= self.wall then
      if id % 5 ~= 0 then run(timer) end
      self.timers[id] = nil
    elseif timer.kind == "beat" and timer.due <= self.monotonic then
      run(timer)
      timer.due = timer.due + (math.floor((self.monotonic - timer.due) / timer.interval) + 1) * timer.interval
    end
    while timer.kind == "tally" and timer.due <= self.monotonic do
      timer.due, timer.ticks = timer.due + timer.interval, timer.ticks + 1
      run(timer, timer.set + timer.ticks * timer.interval)
    end
  end
  table.sort(lines)
  return lines
end

local function number(value) return tonumber((tostring(value):gsub("[UL]", ""))) end

--- The notes that nobody has looked at yet, likewise.
function History:new_notes()
  local lines = {}
  for _, row in ipairs(self.server:rows "note") do
    local note = bsatn.decode(types.Note, row)
    local id = tostring(note.id)
    if not self.told[id] then
      self.told[id] = true
      lines[#lines + 1] = ("%s %d at %d"):format(note.kind, number(note.timer), number(note.time))
    end
  end
  table.sort(lines)
  return lines
end

--- A turn, or something else with a turn in it.
function History:turn(step)
  local due = self:ticks_due()
  if step then step() else self.server:step "turn" end
  local came = self:new_notes()
  for place = 1, math.max(#due, #came) do
    if due[place] ~= came[place] then
      error(("life %d: due was %s, and what came is %s"):format(self.lives, tostring(due[place]), tostring(came[place])))
    end
  end
end

-- What is there after a restart: the log may have lost its end, but never half of a tick. -------------------------------

function History:count_notes()
  local counts = {}
  self.told = {}
  for _, row in ipairs(self.server:rows "note") do
    local note = bsatn.decode(types.Note, row)
    local key = note.kind .. number(note.timer)
    self.told[tostring(note.id)] = true
    counts[key] = (counts[key] or 0) + 1
  end
  return counts
end

--- The model that goes with the rows. `known` has all timers that have ever been, with the times they were set to.
function History:recover()
  local counts, timers = self:count_notes(), {}
  for _, kind in ipairs { "once", "beat", "tally" } do
    for _, row in ipairs(self.server:rows(kind)) do
      local setting = bsatn.decode(types.Setting, row)
      local id, value = number(setting.id), number(setting.at.value)
      local interval = kind ~= "once" and math.max(1000, math.abs(value)) or nil
      local ticks = counts[kind .. id] or 0
      local due = value
      if kind == "beat" then
        due = self.monotonic + interval
      elseif kind == "tally" then
        local before = assert(self.known[id .. ":" .. value], "an interval that nobody has set")
        ticks = ticks - before.noted
        due = self.monotonic + math.min(interval, before.set + (ticks + 1) * interval - self.wall)
        timers[id] = before
      else
        assert(ticks == 0, "a row is there, and its effect, too")
      end
      timers[id] = { kind = kind, id = id, value = value, interval = interval, due = due, ticks = ticks,
        set = timers[id] and timers[id].set }
    end
  end
  for key, count in pairs(counts) do
    assert(not key:find "^once" or count == 1, "a point in time has come twice: " .. key)
  end
  self.timers = timers
end

--- Before a turn runs anything new: since when an interval that catches up is set, and how many notes it had then.
function History:remember()
  local counts = {}
  for _, row in ipairs(self.server:rows "note") do
    local note = bsatn.decode(types.Note, row)
    if note.kind == "tally" then counts[number(note.timer)] = (counts[number(note.timer)] or 0) + 1 end
  end
  self.known = self.known or {}
  for id, timer in pairs(self.timers) do
    local key = id .. ":" .. timer.value
    if timer.kind == "tally" and timer.ticks == 0 and (not self.known[key] or self.known[key].set ~= timer.set) then
      self.known[key] = { set = timer.set, noted = counts[id] or 0 }
    end
  end
end

function History:restart()
  local how = pick { "close", "kill", "cut" }
  local function close() self.server:close() end
  if how == "close" then
    close()
    self.disk:kill()
  elseif how == "kill" then
    self.disk:kill_after(close)
  else
    self.disk:restart_after(close)
  end
  self.wall = self.wall + pick { 0, 0, 20000, 300000, -2000000 }
  self.monotonic = math.random(1, 1000000000)
  self:open()
  self:recover()
  self.server:check_tables()
end

function History:update()
  self.updates = self.updates + 1
  write(self.path, MODULE .. "-- " .. self.updates)
  self:turn(function() assert(self.server:publish(self.path) == server_sim.OK, self.server:text()) end)
end

function History:take_snapshot()
  self.server:ask_snapshot()
  self:turn()
  while self.server:step "log" do end
  while self.server:step "snapshot" do end
  self:turn()
  assert.equal(200, self.server:asked_status())
end

--- One beat: what clients want, the turn, and perhaps the log's thread.
function History:beat()
  for _ = 1, math.random(0, 2) do
    if chance(4) then self:stop() else self:set() end
    self:remember()
    self:turn()
  end
  self:turn()
  if not chance(3) then
    while self.server:step "log" do end
  end
end

function History:run()
  for _ = 1, STEPS do
    self:pass(pick { 0, 1, 999, 1000, math.random(20000), math.random(60000) })
    if chance(40) then
      self.wall = self.wall + pick { -1, 1 } * math.random(2000000)
      self:pass(0)
    end
    self:beat()
    if chance(15) then self:restart() end
    if chance(25) then self:update() end
    if chance(30) then self:take_snapshot() end
  end
end

for _, method in pairs(History) do
  if type(method) == "function" then jit.off(method) end
end

describe("schedules on a simulated clock", function()
  local first_seed = sim.seed()

  for seed = first_seed, first_seed + HISTORIES - 1 do
    it(("run what is due, once and in time (seed %d)"):format(seed), function()
      math.randomseed(seed)
      local history = history_new(seed)
      local ok, why = xpcall(history.run, debug.traceback, history)
      history:free()
      local said = type(why) == "table" and why.message or why
      assert(ok, ("seed %d (STDB_SEED=%d runs it again): %s"):format(seed, seed, tostring(said)))
    end)
  end
end)
