--- stdb-lua replay: a logged call run again does the same, and what does not is shown.
local client = require "spec.support.client"
local program = require "spec.support.program"
local server = require "spec.support.server"

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types

stdb.table("thing", {
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "name", t.string },
  { "luck", t.f64 },
  { "made", t.timestamp },
  { "by", t.identity },
})
stdb.table("visit", { { "who", t.identity }, { "luck", t.u32 } })
stdb.table("sound", { event = true, public = true, { "name", t.string } })

local calls = 0

local function make(ctx, name)
  ctx.db.thing:insert { name = name, luck = ctx.random(), made = ctx.timestamp, by = ctx.sender }
end

stdb.on.init(function(ctx)
  make(ctx, "world")
end)

stdb.on.connect(function(ctx)
  ctx.db.visit:insert { who = ctx.sender, luck = ctx.random(1000000) }
end)

stdb.on.disconnect(function(ctx)
  if ctx.db.thing:count() > 100 then error "too many" end
end)

stdb.reducer("add", { { "name", t.string } }, function(ctx, name)
  make(ctx, name)
  ctx.db.sound:insert { name = name }
end)

stdb.reducer("renew", { { "id", t.u64 } }, function(ctx, id)
  ctx.db.thing.id:update { id = id, name = "renewed", luck = 0, made = ctx.timestamp, by = ctx.sender }
  make(ctx, "beside it")
end)

stdb.reducer("fill", { { "count", t.u32 } }, function(ctx, count)
  for _ = 1, count do make(ctx, "many") end
end)

-- What it does depends on how often the module was called since it was loaded: that is in no table.
stdb.reducer("remember", {}, function(ctx)
  calls = calls + 1
  make(ctx, "call " .. calls)
end)
]]

local LATER = MODULE:gsub("luck = ctx%.random%(%), made", "luck = 7, made")

describe("replay", function()
  local world

  local function events(...)
    return program.events(world.data_dir, ...)
  end

  local function replay(offset)
    local code, output, complaint = program.run("replay", "--data-dir", world.data_dir, tostring(offset))
    return code, output .. complaint
  end

  local function replays_the_same(offset)
    local code, output = replay(offset)
    assert.equal(0, code, output)
    assert.truthy(output:find "The same: %d+ rows? changed as the log says", output)
    return output
  end

  before_each(function()
    world = server.start { module = MODULE }
  end)

  after_each(function()
    world:remove()
  end)

  it("finds that every call does the same: time, chance, caller, sequences, init, clients coming and going", function()
    world:must_call("add", '["lamp"]')
    world:must_call("add", '["bed"]')
    world:must_call("renew", "[1]")
    world:must_call("fill", "[5000]")
    world:must_call("add", '["door"]')
    world:must_call("renew", "[2]")
    assert.truthy(world:reload(LATER):find "in force")
    world:must_call("add", '["chair"]')
    local _, output = program.run("log", "--data-dir", world.data_dir, "--format", "json")
    local kinds = {}
    for _, event in ipairs(events()) do
      kinds[event.kind] = (kinds[event.kind] or 0) + 1
      if event.kind == "reserve" or (event.kind == "publish" and event.offset > 0) then
        local code, complaint = replay(event.offset)
        assert.equal(1, code, complaint)
        assert.truthy(complaint:find "it ran no code", complaint)
      else
        replays_the_same(event.offset)
      end
    end
    assert.equal(7, kinds.call)
    assert.equal(2, kinds.publish)
    assert.truthy(kinds.reserve >= 2, output)
  end)

  it("says what was run, with which version, and leaves the directory as it was", function()
    world:must_call("add", '["lamp"]')
    world:stop()
    local before = #events()
    local event = events("--reducer", "add")[1]
    local output = replays_the_same(event.offset)
    assert.truthy(output:find(("offset %d, %s, by %s, module %s@0\nadd {\"name\":\"lamp\"}\n"):format(event.offset, event.time,
      event.caller, event.module:sub(1, 8)), 1, true), output)
    assert.equal(before, #events())
    assert.equal(0, (program.run("check", "--data-dir", world.data_dir)))
  end)

  it("shows row by row what a call does differently", function()
    world:must_call("remember", "[]")
    world:must_call("remember", "[]")
    local found = events("--reducer", "remember")
    replays_the_same(found[1].offset)
    local code, output = replay(found[2].offset)
    assert.equal(3, code, output)
    assert.truthy(output:find 'logged   %+ thing {"id":3,"name":"call 2"', output)
    assert.truthy(output:find 'replayed %+ thing {"id":3,"name":"call 1"', output)
    assert.truthy(output:find "Different", output)
  end)

  it("finds that a disconnect whose reducer failed fails again", function()
    local ann = client.connect(world)
    world:must_call("fill", "[100]")
    ann:close()
    local failed = server.wait("the disconnect", function()
      return events("--kind", "disconnect", "--caller", ann.identity)[1]
    end)
    local output = replays_the_same(failed.offset)
    assert.truthy(output:find "The call fails now: .*too many", output)
  end)

  it("refuses what is no offset, what is outside of the log, and what is no database", function()
    local code, output = replay "1x"
    assert.equal(2, code)
    assert.truthy(output:find "an offset is a whole number", output)
    code, output = replay(4711)
    assert.equal(1, code)
    assert.truthy(output:find "the log ends at offset %d+", output)
    code, output = program.run("replay", "--data-dir", world.folder, "1")
    assert.equal(1, code, output)
  end)
end)
