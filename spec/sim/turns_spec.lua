--- Schedules on a simulated clock, one moment at a time: who runs first, and what time a tick is for.
local bsatn = require "spec.support.bsatn"
local server_sim = require "spec.support.server_sim"
local sim = require "spec.support.sim"

local OPTIONS = { segment_size = 65536, log_bytes = 1e9, interval_us = 1e15, keep_us = 0, keep_bytes = 1 }
local START_US = 1700000000000000

--- A tick leaves a note; the first tick of `parent` sets a timer in `child`.
local MODULE = [[
local stdb = require "stdb"
local t = stdb.types

local function timer(name, missed)
  return stdb.table(name, { schedule = { reducer = "run_" .. name, missed = missed },
    { "id", t.u64, primary_key = true }, { "at", t.schedule_at } })
end

stdb.table("note", { { "id", t.u64, primary_key = true, auto_inc = true }, { "text", t.string }, { "time", t.timestamp } })
for name, missed in pairs { slow = "catch_up", slower = "catch_up", beat = "skip", once = "skip", parent = "catch_up",
  child = "catch_up" } do
  stdb.reducer("run_" .. name, { { "row", timer(name, missed) } }, function(ctx)
    ctx.db.note:insert { text = name, time = ctx.timestamp }
    if name == "parent" and ctx.db.child:count() == 0 then
      ctx.db.child:insert { id = 1, at = stdb.every { milliseconds = 2 } }
    end
  end)
end

stdb.on.init(function(ctx)
  local db = ctx.db
  SETUP
end)
]]

describe("schedules on a simulated clock", function()
  local note_type = bsatn.type "{ id: u64, text: string, time: i64 }"
  local server, disk, path, wall, monotonic

  local function pass(us, wall_us)
    wall, monotonic = wall + (wall_us or us), monotonic + us
    server:set_clock(wall, monotonic)
    server:step "turn"
  end

  local function open() assert.equal(server_sim.OK, server:open(path, OPTIONS), server:text()) end

  --- Serves a module whose init does this.
  local function serve(setup)
    local file = assert(io.open(path, "w"))
    file:write((MODULE:gsub("SETUP", setup)))
    file:close()
    wall, monotonic = START_US, 1
    server:set_clock(wall, monotonic)
    open()
  end

  local function start_again()
    while server:step "log" do end
    disk:kill_after(function() server:close() end)
    open()
  end

  --- In the order in which they were made.
  local function notes()
    local list = {}
    for place, row in ipairs(server:rows "note") do list[place] = bsatn.decode(note_type, row) end
    table.sort(list, function(left, right) return left.id < right.id end)
    return list
  end

  local function order()
    local names = {}
    for place, note in ipairs(notes()) do names[place] = note.text end
    return table.concat(names, " ")
  end

  before_each(function()
    disk = sim.disk(7)
    server = server_sim.new(disk, 7)
    path = os.tmpname() .. ".lua"
  end)
  after_each(function()
    server:free()
    os.remove(path)
  end)

  it("take turns: who catches up goes behind all that is due by then", function()
    serve [[
      db.slow:insert { id = 1, at = stdb.every { milliseconds = 1 } }
      db.beat:insert { id = 1, at = stdb.every { milliseconds = 5 } }
      db.beat:insert { id = 2, at = stdb.every { milliseconds = 4 } }
    ]]
    pass(6000)
    assert.equal("slow beat beat slow slow slow slow slow", order())
  end)

  it("take turns also when several catch up", function()
    serve [[
      db.slow:insert { id = 1, at = stdb.every { milliseconds = 1 } }
      db.slower:insert { id = 1, at = stdb.every { milliseconds = 2 } }
    ]]
    pass(6000)
    assert.equal("slow slower slow slower slow slower slow slow slow", order())
  end)

  it("let points in time and intervals alternate", function()
    serve [[
      for id = 1, 3 do db.once:insert { id = id, at = stdb.timestamp(4 - id) } end
      db.slow:insert { id = 1, at = stdb.every { milliseconds = 1 } }
    ]]
    pass(3000)
    assert.equal("slow once slow once slow once", order())
  end)

  it("count what a tick has set from the time of that tick, live and from the log alike", function()
    for _, restarts in ipairs { false, true } do
      serve [[ db.parent:insert { id = 1, at = stdb.every { milliseconds = 1 } } ]]
      pass(1000, -1000000)
      if restarts then start_again() end
      pass(2000)
      local list = notes()
      assert.equal("parent", list[1].text)
      assert.equal(START_US + 1000, tonumber(list[1].time))
      local child
      for _, note in ipairs(list) do child = child or note.text == "child" and note end
      assert.equal(START_US + 3000, tonumber(child.time), restarts and "after a restart" or "live")
      server:close()
      disk:kill()
      server:free()
      disk = sim.disk(8)
      server = server_sim.new(disk, 8)
    end
  end)
end)
