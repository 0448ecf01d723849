--- A database that is stopped or killed and started again, and one that somebody meets for the first time.
local cjson = require "cjson"
local bsatn = require "spec.support.bsatn"
local client = require "spec.support.client"
local program = require "spec.support.program"
local server = require "spec.support.server"

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types

stdb.table("person", { public = true, { "id", t.u32, primary_key = true, auto_inc = true },
  { "name", t.string, index = true } })
stdb.table("friend", { public = true, { "id", t.u32, primary_key = true, auto_inc = true },
  { "left", t.u32 }, { "right", t.u32 } })

stdb.reducer("add", { { "name", t.string } }, function(ctx, name) ctx.db.person:insert { name = name } end)
stdb.reducer("greet", {}, function(ctx)
  for person in ctx.db.person:iter() do print("Hello, " .. person.name .. "!") end
  print "Hello, World!"
end)
-- Reads one table while it writes another, and the one it reads.
stdb.reducer("befriend", {}, function(ctx)
  for left in ctx.db.person:iter() do
    for right in ctx.db.person.name:filter "Ann" do
      if left.id ~= right.id then ctx.db.friend:insert { left = left.id, right = right.id } end
    end
    if left.name == "Bob" then ctx.db.person:insert { name = "Ann" } end
  end
end)
]]

describe("a database", function()
  local world

  before_each(function() world = server.start { module = MODULE } end)
  after_each(function() world:remove() end)

  local function rows(text) return cjson.decode(world:sql(text, world:owner_token()).body)[1].rows end

  it("has after a restart, orderly or not, all that was answered, finds it by SQL, and goes on", function()
    assert.equal(200, world:call("add", '["Ann"]').status)
    for _, leave in ipairs { world.kill, world.stop } do
      leave(world)
      world:restart()
      assert.same({ { "Ann" } }, rows "SELECT name FROM person WHERE id = 1")
      assert.equal(200, world:call("add", '["Bob"]').status)
      assert.equal(200, world:call("greet").status)
    end
    assert.same({ { 3 } }, rows "SELECT COUNT(*) AS n FROM person")
    local log = world:request({ path = "/v1/database/%s/logs", token = world:owner_token() }).body
    assert.truthy(log:find("Hello, Bob!", 1, true), log)
  end)

  it("serves a newcomer: a new identity, calls with and without arguments, the log to its owner, SQL", function()
    local newcomer = cjson.decode(world:request({ method = "POST", path = "/v1/identity" }).body)
    assert.equal(200, world:call("add", '["Tyler"]', newcomer.token).status)
    assert.equal(200, world:call("greet", "[]", newcomer.token).status)
    local stdb = program.for_server(world)
    local _, log = stdb("logs", "world", "--num-lines", "2")
    assert.truthy(log:find "Hello, Tyler!\n.*Hello, World!\n$", log)
    local _, shown = stdb("sql", "world", "SELECT * FROM person")
    assert.equal(' id | name\n----+---------\n 1  | "Tyler"\n', shown)
    assert.equal(newcomer.identity, world:request({ path = "/v1/database/%s", token = newcomer.token })
      .headers["spacetime-identity"])
  end)

  it("runs reducers that read a table while they write it and another", function()
    for _, name in ipairs { "Ann", "Bob", "Cid" } do assert.equal(200, world:call("add", cjson.encode { name }).status) end
    assert.equal(200, world:call("befriend").status)
    assert.same({ { 2, 1 }, { 3, 1 }, { 3, 4 } }, rows 'SELECT "left", "right" FROM friend ORDER BY "left", "right"')
  end)

  it("runs neither init nor connect for a new version, whose disconnect hook hears of those it lets go", function()
    local hooks = [[
stdb.table("event", { public = true, { "id", t.u32, primary_key = true, auto_inc = true }, { "what", t.string }%s })
stdb.on.init(function(ctx) ctx.db.event:insert { what = "init" } end)
stdb.on.connect(function(ctx) ctx.db.event:insert { what = "connect" } end)
stdb.on.disconnect(function(ctx) ctx.db.event:insert { what = "disconnect of version %d" } end)
]]
    world:remove()
    world = server.start { module = MODULE .. hooks:format("", 1) }
    local ann = client.connect(world)
    world:reload(MODULE .. hooks:format("", 2))
    assert.is_true(ann:has_nothing())
    world:reload(MODULE .. hooks:format(', { "n", t.u32, default = 0 }', 3))
    assert.equal("close", (ann:ending()))
    local seen = server.wait("the disconnect", function()
      local events = world:sql("SELECT what FROM event ORDER BY id").body
      return events:find "disconnect of" and events
    end)
    assert.truthy(seen:find('"rows":[["init"],["connect"],["disconnect of version 3"]', 1, true), seen)
  end)

  it("keeps a live join only while both sides have the index that it needs", function()
    local indexed = MODULE:gsub('{ "left", t.u32 }', '{ "left", t.u32, index = true }')
    local query = 'SELECT friend.* FROM friend JOIN person ON friend."left" = person.id'
    local ann = client.connect(world, { rows = bsatn.schema "friend = { id: u32, left: u32, right: u32 }" })
    local refusal = ann:subscribe_in_vain(1, { query })
    assert.truthy(refusal:find("index", 1, true), refusal)
    world:reload(indexed)
    ann:subscribe(1, { query })
    for _, name in ipairs { "Ann", "Bob" } do ann:call("add", client.arguments("{ name: string }", { name = name })) end
    assert.equal(1, #ann:call_changes("befriend")[1].inserts)
    world:reload(MODULE)
    assert.truthy(ann:expect("SubscriptionError").error:find("index", 1, true))
    assert.truthy(ann:subscribe_in_vain(1, { query }):find("index", 1, true))
    ann:drop()
  end)
end)
