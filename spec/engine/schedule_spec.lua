--- Rows that run a reducer when their time has come: once, again and again, over rollbacks, saves, kills and restarts.
local client = require "spec.support.client"
local program = require "spec.support.program"
local server = require "spec.support.server"
local ws_client = require "spec.support.ws_client"

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types

local function timer(name, options)
  options[1] = { "id", t.u64, primary_key = true, auto_inc = true }
  options[2] = { "at", t.schedule_at }
  options[3] = { "text", t.string }
  options.public = true
  return stdb.table(name, options)
end

local Once = timer("once", { schedule = "run_once" })
stdb.view("waiting", { returns = t.array(Once), anonymous = true, primary_key = "id" }, function(ctx)
  local list = {}
  for row in ctx.db.once:iter() do list[#list + 1] = row end
  return list
end)
local Beat = timer("beat", { schedule = "run_beat" })
local Count = timer("count", { schedule = { reducer = "run_count", missed = "catch_up" } })

stdb.table("note", { public = true, { "id", t.u64, primary_key = true, auto_inc = true }, { "text", t.string },
  { "sender", t.identity }, { "alone", t.bool } })

local function note(ctx, text)
  ctx.db.note:insert { text = text, sender = ctx.sender, alone = ctx.connection_id == nil }
end

stdb.reducer("run_once", { { "row", Once } }, function(ctx, row)
  note(ctx, row.text)
  if row.text == "fail" then error "as told" end
  if row.text == "spin" then while true do end end
  if row.text == "again" then
    row.text, row.at = "at last", stdb.after { milliseconds = 20 }
    ctx.db.once.id:update(row)
  elseif row.text == "rewrite" then
    row.text = "rewritten"
    ctx.db.once.id:update(row)
  elseif row.text == "gone" then
    ctx.db.once.id:delete(row.id)
  end
end)

stdb.reducer("run_beat", { { "row", Beat } }, function(ctx, row)
  note(ctx, row.text)
  if row.text == "fail" then error "as told" end
end)

stdb.reducer("run_count", { { "row", Count } }, function(ctx, row) note(ctx, row.text) end)

stdb.reducer("after", { { "ms", t.u32 }, { "text", t.string } }, function(ctx, ms, text)
  ctx.db.once:insert { at = stdb.after { milliseconds = ms }, text = text }
end)
stdb.reducer("past", { { "text", t.string } }, function(ctx, text)
  ctx.db.once:insert { at = stdb.timestamp(1), text = text }
end)
stdb.reducer("every", { { "ms", t.u32 }, { "text", t.string } }, function(ctx, ms, text)
  ctx.db.beat:insert { at = stdb.every { milliseconds = ms }, text = text }
end)
stdb.reducer("counting", { { "ms", t.u32 }, { "text", t.string } }, function(ctx, ms, text)
  ctx.db.count:insert { at = stdb.every { milliseconds = ms }, text = text }
end)
stdb.reducer("never", {}, function(ctx)
  ctx.db.once:insert { at = stdb.timestamp(1), text = "never" }
  error "not so"
end)
stdb.reducer("call_off", {}, function(ctx)
  for row in ctx.db.once:iter() do ctx.db.once.id:delete(row.id) end
  for row in ctx.db.beat:iter() do ctx.db.beat.id:delete(row.id) end
  for row in ctx.db.count:iter() do ctx.db.count.id:delete(row.id) end
  for row in ctx.db.note:iter() do ctx.db.note.id:delete(row.id) end
end)
]]

local TIMER = "{ id: u64, at: < 0 Interval: i64 | 1 Time: i64 >, text: string }"
local rows = require("spec.support.bsatn").schema(([[
  once = %s
  waiting = %s
  beat = %s
  count = %s
  note = { id: u64, text: string, sender: Identity, alone: bool }
]]):format(TIMER, TIMER, TIMER, TIMER))

describe("a schedule", function()
  local world, ann

  local function connect()
    if ann then ann:drop() end
    ann = client.connect(world, { rows = rows })
  end
  local function start_again()
    world:restart()
    connect()
  end
  setup(function()
    world = server.start { module = MODULE }
    connect()
  end)
  teardown(function()
    ann:drop()
    world:remove()
  end)
  before_each(function() assert.equal("Ok", ann:call("call_off").tag) end)

  local function call(reducer, kind, values)
    local result = ann:call(reducer, kind and client.arguments(kind, values) or "")
    assert.equal("Ok", result.tag, tostring(result.value))
  end
  local function after(ms, text) call("after", "{ ms: u32, text: string }", { ms = ms, text = text }) end
  local function every(ms, text) call("every", "{ ms: u32, text: string }", { ms = ms, text = text }) end

  local function count(query) return #assert(ann:ask(query)) end
  local function notes(text) return count(("SELECT * FROM note WHERE text = '%s'"):format(text)) end

  --- Waits until a query has at least so many rows.
  local function await(query, wanted)
    local deadline = ws_client.now() + server.patience
    while count(query) < (wanted or 1) do
      assert(ws_client.now() < deadline, "waited in vain for " .. query)
      ws_client.sleep(0.005)
    end
  end
  local function await_note(text, wanted) await(("SELECT * FROM note WHERE text = '%s'"):format(text), wanted) end

  it("runs its reducer once at a point in time, as the database itself, and the row goes with it", function()
    local before = ws_client.now()
    after(60, "tea")
    assert.equal(1, count "SELECT * FROM once")
    await_note "tea"
    assert.is_true(ws_client.now() - before >= 0.06)
    assert.equal(0, count "SELECT * FROM once")
    local note = ann:ask("SELECT * FROM note")[1]
    assert.is_true(note.alone)
    assert.are_not.equal(ann.identity, note.sender)
  end)

  it("tells subscribers what it did and that the row has gone, in one update", function()
    ann:subscribe(1, { "SELECT * FROM once", "SELECT * FROM note" })
    ann:call_changes("after", client.arguments("{ ms: u32, text: string }", { ms = 1, text = "one" }))
    local changes = ann:next_changes()
    assert.same({ "note", "once" }, { changes[1].table, changes[2].table })
    assert.equal(1, #changes[1].inserts)
    assert.equal(1, #changes[2].deletes)
    connect()
  end)

  it("shows its row's coming and going to who looks at the table or at a view of it, also when the reducer fails", function()
    ann:subscribe(1, { "SELECT * FROM once" })
    ann:subscribe(2, { "SELECT * FROM waiting" })
    for _, text in ipairs { "fine", "fail" } do
      local came = ann:call_changes("after", client.arguments("{ ms: u32, text: string }", { ms = 1, text = text }))
      local went = ann:next_changes()
      for place, name in ipairs { "once", "waiting" } do
        assert.same({ name, 1, 0 }, { came[place].table, #came[place].inserts, #came[place].deletes })
        assert.same({ name, 0, text }, { went[place].table, #went[place].inserts, went[place].deletes[1].text })
      end
    end
    connect()
  end)

  it("runs at once when the time is past", function()
    call("past", "{ text: string }", { text = "late" })
    await_note "late"
  end)

  it("is called off by deleting the row, and is not there after a rollback", function()
    after(30, "off")
    call "call_off"
    assert.equal("InternalError", ann:call("never").tag)
    after(60, "on")
    await_note "on"
    assert.equal(0, notes "off")
    assert.equal(0, notes "never")
  end)

  it("goes on after a reducer that fails or never ends, whose row is deleted and which is not tried again", function()
    after(1, "fail")
    after(1, "spin")
    after(150, "fine")
    await_note "fine"
    assert.equal(0, notes "fail")
    assert.equal(0, notes "spin")
    assert.equal(0, count "SELECT * FROM once")
  end)

  it("is set anew by a reducer that gives its row another time, and by nothing less", function()
    after(1, "again")
    await_note "at last"
    after(1, "rewrite")
    after(1, "gone")
    await_note "gone"
    await_note "rewrite"
    assert.equal(0, notes "rewritten")
    assert.equal(0, count "SELECT * FROM once")
  end)

  it("runs again and again at an interval, also when it fails, until the row is deleted", function()
    every(2, "tick")
    every(2, "fail")
    await_note("tick", 5)
    assert.equal(2, count "SELECT * FROM beat")
    call "call_off"
    local seen = notes "tick"
    after(30, "later")
    await_note "later"
    assert.equal(seen, notes "tick")
  end)

  it("takes an interval below zero for one above it, and none for all the time there is", function()
    local owner = world:owner_token()
    for text, micros in pairs { back = -2000, at_once = 0 } do
      local statement = [[INSERT INTO beat (at, text) VALUES ('{"Interval":{"__time_duration_micros__":%d}}', '%s')]]
      assert.equal(200, world:sql(statement:format(micros, text), owner).status)
      await_note(text, 3)
    end
    assert.equal(2, count "SELECT * FROM beat")
  end)

  it("keeps its reducer for itself and the owner: to others it is not there", function()
    local row = [=[[{"id":1,"at":{"Time":[1]},"text":"mine"}]]=]
    local answer = world:call("run_once", row)
    assert.same({ 404, "no such reducer: run_once" }, { answer.status, answer.body })
    assert.equal(200, world:call("run_once", row, world:owner_token()).status)
    assert.equal(1, notes "mine")
    local values = { row = { id = 1, at = { tag = "Time", value = 1 }, text = "x" } }
    assert.equal("InternalError", ann:call("run_once", client.arguments("{ row: " .. TIMER .. " }", values)).tag)
  end)

  it("leaves clients their share when there is more due than it can run", function()
    for number = 1, 30 do every(1, "storm " .. number) end
    for _ = 1, 50 do assert.equal(0, count "SELECT * FROM once") end
    await_note "storm 30"
  end)

  it("leaves missed ticks out, or catches up, as it says", function()
    every(20, "leaves out")
    call("counting", "{ ms: u32, text: string }", { ms = 20, text = "catches up" })
    local started = ws_client.now()
    after(5, "spin") -- 100 ms in which nothing else runs
    await_note("leaves out", 3)
    local ticks = math.floor((ws_client.now() - started) / 0.02)
    await_note("catches up", ticks)
    assert.is_true(notes "catches up" > notes "leaves out")
  end)

  it("is there again after a kill: once, however often it starts; at intervals from then on", function()
    after(150, "survivor")
    every(40, "pulse")
    call("counting", "{ ms: u32, text: string }", { ms = 1000, text = "slow" })
    world:kill()
    start_again()
    await_note "survivor"
    await_note("pulse", 2)
    world:kill()
    start_again()
    assert.equal(1, notes "survivor")
    assert.equal(0, count "SELECT * FROM once")
    local pulses = notes "pulse"
    await_note("pulse", pulses + 1)
  end)

  it("catches up after a kill with what was due meanwhile, from the log and from a snapshot", function()
    call("counting", "{ ms: u32, text: string }", { ms = 50, text = "catches up" })
    await_note("catches up", 2)
    for _, with_snapshot in ipairs { false, true } do
      if with_snapshot then
        world:take_snapshot()
      end
      world:kill()
      local seen_at = ws_client.now()
      ws_client.sleep(0.5)
      start_again()
      local due = math.floor((ws_client.now() - seen_at) / 0.05)
      local before = notes "catches up"
      await_note("catches up", due)
      assert.is_true(before >= 2)
    end
  end)

  it("keeps its time when the module is saved", function()
    every(30, "steady")
    after(80, "still")
    await_note "steady"
    server.write_file(world.module_path, MODULE .. "\n-- saved\n")
    await_note "still"
    local seen = notes "steady"
    await_note("steady", seen + 2)
  end)

  it("shows in the log, and can be replayed", function()
    after(1, "logged")
    await_note "logged"
    local offset, line
    local where = { "--data-dir", world.data_dir, "--database", world.database }
    local _, log = program.run("log", where[1], where[2], where[3], where[4], "--format", "json", "--kind", "tick")
    for text in log:gmatch "[^\n]+" do
      if text:find('"kind":"tick"', 1, true) then
        offset, line = text:match '"offset":(%d+)', text
      end
    end
    assert.truthy(line:find('"reducer":"run_once"', 1, true))
    local code, said = program.run("replay", where[1], where[2], where[3], where[4], offset)
    assert.equal(0, code, said)
  end)
end)
