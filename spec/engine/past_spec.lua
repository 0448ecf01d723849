--- Questions about the past, beside a server that goes on: nothing waits for them, and a stop does not either.
local cjson = require "cjson"
local program = require "spec.support.program"
local server = require "spec.support.server"

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types

local Alarm = stdb.table("alarm", { schedule = "ring",
  { "id", t.u64, primary_key = true, auto_inc = true },
  { "at", t.schedule_at },
})
stdb.table("thing", { public = true, { "name", t.string } })

stdb.reducer("ring", { { "alarm", Alarm } }, function(ctx, alarm) ctx.db.thing:insert { name = "rung" } end)
stdb.reducer("add", { { "name", t.string } }, function(ctx, name) ctx.db.thing:insert { name = name } end)
stdb.reducer("set", {}, function(ctx) ctx.db.alarm:insert { at = stdb.after { milliseconds = 1000000 } } end)
]]

describe("the past of a running database", function()
  local world

  local function ask(offset)
    return world:request { method = "POST", path = "/v1/database/%s/sql?as_of=" .. offset, body = "SELECT * FROM thing",
      token = world:owner_token() }
  end

  local function log(...)
    return program.run("log", "--data-dir", world.data_dir, ...)
  end

  --- A question in a process of its own; its output when it is read.
  local function begin_asking(offset)
    local words = { "curl -s -m 60 -X POST -d 'SELECT * FROM thing'",
      "-H 'Authorization: Bearer " .. world:owner_token() .. "'",
      ("'http://127.0.0.1:%d/v1/database/world/sql?as_of=%d'"):format(world.port, offset) }
    return io.popen(table.concat(words, " "))
  end

  before_each(function()
    world = server.start { module = MODULE }
    world:must_call("add", '["lamp"]')
  end)

  after_each(function()
    world:remove()
  end)

  it("is read beside calls and questions about now, many at once and all right", function()
    local asking = {}
    for idx = 1, 12 do
      asking[idx] = begin_asking(idx % 2 == 0 and 0 or 3)
      world:must_call("add", ('["%d"]'):format(idx))
      assert.equal(idx + 1, #cjson.decode(world:sql("SELECT * FROM thing").body)[1].rows)
    end
    for idx = 1, 12 do
      assert.equal(idx % 2 == 0 and 0 or 1, #cjson.decode(asking[idx]:read "*a")[1].rows)
      asking[idx]:close()
    end
  end)

  it("knows a database with schedules, from its snapshots too", function()
    world:must_call("set", "[]")
    local offset = world:take_snapshot()
    world:must_call("add", '["bed"]')
    assert.same({ { "lamp" } }, cjson.decode(ask(offset).body)[1].rows)
    local code, output = log("--from", tostring(offset), "--reducer", "add")
    assert.equal(0, code)
    assert.truthy(output:find 'add {"name":"bed"}')
  end)

  it("is kept of tables: a view is refused by its name", function()
    world:reload(MODULE .. "stdb.view('alarms', t.array(Alarm), function(ctx) return ctx.db.alarm:iter() end)")
    world:must_call("add", '["bed"]')
    local _, output = log("--reducer", "add")
    local answer = world:sql("SELECT * FROM alarms AS OF " .. output:match ".*\n%s*(%d+)", world:owner_token())
    assert.same({ 400, "`alarms` is a view, and the past is kept of tables: ask those that it looks at" },
      { answer.status, answer.body })
  end)

  it("is refused in one sentence where the folder is another program's", function()
    world:stop()
    server.write_file(world.data_dir .. "/databases/world/identity", "hello\n")
    for _, words in ipairs { { "log" }, { "replay", "1" }, { "sql", "world", "SELECT * FROM thing" } } do
      local command = table.remove(words, 1)
      local code, output, complaint = program.run(command, "--data-dir", world.data_dir, unpack(words))
      assert.equal(1, code)
      assert.equal("", output)
      assert.truthy(complaint:find "/identity does not hold a database's identity .*\n$", complaint)
    end
  end)
end)
