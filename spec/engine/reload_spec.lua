local bsatn = require "spec.support.bsatn"
local client = require "spec.support.client"
local server = require "spec.support.server"
local v1_client = require "spec.support.v1_client"

local HEAD = 'local stdb = require "stdb"\nlocal t = stdb.types\n'

-- The first version; the others differ by what they replace in it.
local FIRST = HEAD .. [[
stdb.table("player", { public = true,
  { "id", t.u32, primary_key = true },
  { "name", t.string },
})
stdb.table("tick", { public = true, { "id", t.u64, primary_key = true, auto_inc = true }, { "version", t.string } })
local VERSION = "first"
stdb.reducer("add", { { "id", t.u32 }, { "name", t.string } }, function(ctx, id, name)
  ctx.db.player:insert { id = id, name = name }
end)
stdb.reducer("tick", function(ctx)
  ctx.db.tick:insert { version = VERSION }
end)
]]

local SECOND = FIRST:gsub('"first"', '"second"')

local rows = bsatn.schema [[
    player = { id: u32, name: string }
    tick = { id: u64, version: string }
    coin = { id: u32 }
]]

local wide_rows = bsatn.schema [[
    player = { id: u32, name: string, level: u8, title: option(string) }
]]

local function add(id, name)
  return "add", client.arguments("{ id: u32, name: string }", { id = id, name = name })
end

describe("saving the module", function()
  local world, ann

  before_each(function()
    world = server.start { module = FIRST }
    ann = client.connect(world, { rows = rows })
  end)
  after_each(function()
    ann:drop()
    world:remove()
  end)

  --- The version whose code runs.
  local function version()
    local changes = ann:call_changes "tick"
    return changes[1].inserts[1].version
  end

  describe("with new code", function()
    before_each(function() ann:subscribe(9, { "SELECT * FROM tick" }) end)

    it("puts it in force, keeps the clients and their subscriptions, and says so", function()
      assert.equal("first", version())
      local said = world:reload(SECOND)
      assert.truthy(said:find "world: new version in force after [%d.]+ ms")
      assert.equal("second", version())
    end)

    it("is noticed within a moment", function()
      local socket = require "socket"
      local start = socket.gettime()
      world:reload(SECOND)
      assert.is_true(socket.gettime() - start < 2)
    end)

    it("is noticed when the editor writes beside it and renames", function()
      for _, text in ipairs { SECOND, FIRST, SECOND } do
        local from = #world:output() + 1
        server.replace_file(world.module_path, text)
        world:reloaded(from)
        assert.equal(text == SECOND and "second" or "first", version())
      end
    end)

    it("is noticed when the editor moves the old file away first", function()
      local from = #world:output() + 1
      assert(os.rename(world.module_path, world.module_path .. "~"))
      server.write_file(world.module_path, SECOND)
      world:reloaded(from)
      assert.equal("second", version())
    end)

    it("is noticed time and again", function()
      for count = 1, 20 do
        world:reload((FIRST:gsub('"first"', '"version ' .. count .. '"')))
        assert.equal("version " .. count, version())
      end
    end)

    it("survives a kill", function()
      world:reload(SECOND)
      world:kill()
      world:restart()
      ann = client.connect(world, { rows = rows })
      ann:subscribe(9, { "SELECT * FROM tick" })
      assert.equal("second", version())
    end)

    it("that is the old one again changes nothing and disconnects nobody", function()
      local from = #world:output() + 1
      world:save(FIRST)
      require("socket").sleep(0.2)
      assert.is_nil(world:output():find("ERROR", from, true))
      assert.equal("first", version())
    end)

    it("brings new reducers and takes old ones away", function()
      assert.equal("InternalError", ann:call("jump").tag)
      world:reload(FIRST:gsub('stdb.reducer%("tick".-end%)', "") .. 'stdb.reducer("jump", function() end)\n')
      assert.equal("Ok", ann:call("jump").tag)
      assert.equal("InternalError", ann:call("tick").tag)
    end)
  end)

  describe("with a required file", function()
    local MAIN = FIRST:gsub('local VERSION = "first"', 'local VERSION = require "parts.version"')

    before_each(function()
      os.execute("mkdir -p " .. world.folder .. "/parts")
      server.write_file(world.folder .. "/parts/version.lua", 'return "first part"\n')
      world:reload(MAIN)
      ann:subscribe(9, { "SELECT * FROM tick" })
    end)

    it("takes its new text, too", function()
      assert.equal("first part", version())
      world:reload('return "second part"\n', "parts/version.lua")
      assert.equal("second part", version())
    end)

    it("names it when it is broken, and takes it up again when it is repaired", function()
      local said = world:reload('return "second part\n', "parts/version.lua")
      assert.truthy(said:find("parts/version.lua:1: ", 1, true), said)
      assert.equal("first part", version())
      world:reload('return "third part"\n', "parts/version.lua")
      assert.equal("third part", version())
    end)

    it("that was missing takes it up when it comes, even with its folder", function()
      local said = world:reload(MAIN .. 'require "more.parts.late"\n')
      assert.truthy(said:find("more.parts.late", 1, true), said)
      assert.equal("first part", version())
      local from = #world:output() + 1
      os.execute("mkdir -p " .. world.folder .. "/more/parts")
      require("socket").sleep(0.1)
      server.write_file(world.folder .. "/more/parts/late.lua", "return 1\n")
      assert.truthy(world:reloaded(from):find "new version in force")
    end)
  end)

  describe("with a broken file", function()
    it("leaves the old code serving and prints file, line, message and the lines around", function()
      local broken = {
        ["module.lua:15: "] = FIRST .. "local function (\n",
        ["module.lua:15: out of coffee"] = FIRST .. 'error "out of coffee"\n-- behind\n',
        ["module.lua:15: .*`player`"] = FIRST .. 'stdb.table("player", { { "id", t.u32 } })\n',
        ["module.lua:15: .*u33"] = FIRST .. 'stdb.table("other", { { "id", t.u33 } })\n',
      }
      for expected, text in pairs(broken) do
        local said = world:reload(text)
        assert.truthy(said:find("the old version serves on: " .. expected), said)
        assert.truthy(said:find("14 | ", 1, true) and said:find(">   15 | ", 1, true), said)
        assert.equal("Ok", ann:call("tick").tag)
      end
      assert.truthy(world:reload(SECOND):find "new version in force")
    end)

    it("that never finishes loading keeps nobody waiting", function()
      world:save(FIRST .. "while true do end\n")
      local socket = require "socket"
      local deadline = socket.gettime() + 1
      while socket.gettime() < deadline do assert.equal("Ok", ann:call("tick").tag) end
      assert.is_nil(world:output():find "loading was stopped", "calls have waited for the end of it")
      world:save(SECOND)
      server.wait("the second version", function() return world:output():find "new version in force" end)
    end)

    it("that is gone leaves the old code serving, and the next one is taken", function()
      local from = #world:output() + 1
      os.remove(world.module_path)
      world:reloaded(from)
      assert.equal("Ok", ann:call("tick").tag)
      assert.truthy(world:reload(SECOND):find "new version in force")
    end)

    it("that is empty for a moment while it is written is not believed", function()
      for _ = 1, 5 do
        local from = #world:output() + 1
        local file = assert(io.open(world.module_path, "wb"))
        require("socket").sleep(0.02)
        file:write(SECOND)
        file:close()
        assert.is_nil(world:reloaded(from):find "serves on")
        world:reload(FIRST)
      end
    end)
  end)

  describe("with an addition to the schema", function()
    before_each(function()
      ann:call(add(1, "ann"))
      ann:call(add(2, "ben"))
    end)

    it("makes a new table, and clients and data stay", function()
      ann:subscribe(1, { "SELECT * FROM player" })
      world:reload(FIRST .. [[
        stdb.table("coin", { public = true, { "id", t.u32 } })
        stdb.reducer("mint", function(ctx) ctx.db.coin:insert { id = 7 } end)
      ]])
      assert.same({}, ann:subscribe(2, { "SELECT * FROM coin" }))
      assert.same({ { set = 2, table = "coin", inserts = { { id = 7 } }, deletes = {} } }, ann:call_changes "mint")
      ann:call(add(3, "eve"))
      assert.equal(3, #ann:ask "SELECT * FROM player")
    end)

    it("leaves a subscription to all tables as it was", function()
      ann:subscribe(1, { "SELECT * FROM *" })
      world:reload(FIRST .. [[
        stdb.table("coin", { public = true, { "id", t.u32 } })
        stdb.reducer("mint", function(ctx) ctx.db.coin:insert { id = 7 } end)
      ]])
      assert.same({}, ann:call_changes "mint")
      assert.equal(1, #ann:call_changes(add(3, "eve")))
    end)

    it("makes a new index, which finds the old rows, and takes it away again", function()
      ann:subscribe(1, { "SELECT * FROM player" })
      local indexed = FIRST:gsub('{ "name", t.string }', '{ "name", t.string, index = true }', 1) .. [[
        stdb.reducer("find", { { "name", t.string } }, function(ctx, name)
          for player in ctx.db.player.name:filter(name) do return end
          stdb.reject "nobody"
        end)
      ]]
      world:reload(indexed)
      assert.equal("Ok", ann:call("find", client.arguments("{ name: string }", { name = "ben" })).tag)
      assert.equal("Err", ann:call("find", client.arguments("{ name: string }", { name = "eve" })).tag)
      world:kill()
      world:restart()
      assert.truthy(world:reload(FIRST):find "new version in force")
      world:kill()
      world:restart()
      ann = client.connect(world, { rows = rows })
      assert.truthy(world:reload(indexed):find "new version in force")
      assert.equal("Ok", ann:call("find", client.arguments("{ name: string }", { name = "ann" })).tag)
    end)

    local WIDER = FIRST:gsub('{ "name", t.string },', [[{ "name", t.string }, { "level", t.u8, default = 3 },
      { "title", t.option(t.string), default = "none yet" },]])

    it("gives old rows the default of a new column, and lets the clients go, whose layouts have changed", function()
      local others = {}
      for place = 1, 20 do
        others[place] = client.connect(world, { rows = rows })
        others[place]:subscribe(1, { "SELECT * FROM player" })
      end
      local said = world:reload(WIDER)
      assert.truthy(said:find "clients were disconnected", said)
      for place = 1, 20 do
        local why, code, reason = others[place]:ending()
        assert.same({ "close", 1001 }, { why, code })
        assert.is_true(#reason > 0)
      end
      ann:ending()
      for _ = 1, 2 do
        ann = client.connect(world, { rows = wide_rows })
        assert.same({
          { id = 1, name = "ann", level = 3, title = { tag = "some", value = "none yet" } },
          { id = 2, name = "ben", level = 3, title = { tag = "some", value = "none yet" } },
        }, ann:ask "SELECT * FROM player")
        world:kill()
        world:restart() -- and the same once more, from the log
      end
    end)

    it("gives old rows defaults of every type", function()
      local types = {
        { "bool", "true", true }, { "i8", "-1", -1 }, { "u8", "200", 200 }, { "i16", "-300", -300 }, { "u16", "60000", 60000 },
        { "i32", "-70000", -70000 }, { "u32", "4000000000", 4000000000 }, { "i64", "-5", -5LL }, { "u64", "5", 5ULL },
        { "u128", "7", "7" }, { "i256", "-8", "-8" }, { "f32", "0.5", 0.5 }, { "f64", "0.1", 0.1 },
        { "string", '"text"', "text" }, { "bytes", '"bytes"', "bytes" },
      }
      local columns, notation, expected = {}, { "id: u32", "name: string" }, { id = 1, name = "ann" }
      for place, column in ipairs(types) do
        columns[place] = ('{ "c%d", t.%s, default = %s },'):format(place, column[1], column[2])
        notation[#notation + 1] = ("c%d: %s"):format(place, column[1])
        expected["c" .. place] = column[3]
      end
      world:reload((FIRST:gsub('{ "name", t.string },', '{ "name", t.string },\n' .. table.concat(columns, "\n"))))
      ann:ending()
      ann = client.connect(world, { rows = { player = bsatn.type("{ " .. table.concat(notation, ", ") .. " }") } })
      assert.same(expected, ann:ask("SELECT * FROM player WHERE id = 1")[1])
    end)

    it("says in the module's log what was done", function()
      world:reload(WIDER)
      local log = world:request({ path = "/v1/database/%s/logs", token = world:owner_token() }).body
      for _, words in ipairs { "level", "title", "Disconnecting all users", "Database updated" } do
        assert.truthy(log:find(words, 1, true), words)
      end
    end)
  end)

  describe("with less than before", function()
    it("drops a table that is empty, and lets the clients go", function()
      local said = world:reload((FIRST:gsub('stdb.table%("tick".-\n', "")))
      assert.truthy(said:find "clients were disconnected", said)
      local why, code = ann:ending()
      assert.same({ "close", 1001 }, { why, code })
      ann = client.connect(world, { rows = rows })
      assert.is_nil(ann:ask "SELECT * FROM tick")
    end)

    it("keeps a table that holds rows: the old code serves on", function()
      ann:call "tick"
      local said = world:reload((FIRST:gsub('stdb.table%("tick".-\n', "")))
      assert.truthy(said:find "the old version serves on: .*tick", said)
      assert.equal(1, #ann:ask "SELECT * FROM tick")
    end)

    it("gives up a primary key, and goes on from there", function()
      ann:call(add(1, "ann"))
      ann:call(add(1, "eve"))
      local keyless = FIRST:gsub(", primary_key = true },\n  { \"name\"", " },\n  { \"name\"")
      assert.truthy(world:reload(keyless):find "new version in force")
      assert.truthy(world:reload((keyless:gsub('"first"', '"second"'))):find "new version in force")
      assert.equal("Ok", ann:call(add(1, "eve")).tag)
      assert.equal(2, #ann:ask "SELECT * FROM player")
      assert.truthy(world:reload(FIRST):find "the old version serves on: .*player")
    end)

    it("takes a table out of the public's sight: its subscribers are told, and stay", function()
      ann:subscribe(1, { "SELECT * FROM player" })
      ann:subscribe(2, { "SELECT * FROM tick" })
      world:reload((FIRST:gsub('"player", { public = true,', '"player", {')))
      local ended = ann:expect "SubscriptionError"
      assert.same({ "none", 1 }, { ended.request_id.tag, ended.query_set_id.id })
      ann:call(add(1, "ann"))
      assert.equal(1, #ann:call_changes "tick")
    end)

    for _, form in ipairs { "v1", "v1.json" } do
      it("takes it out of the sight of " .. form .. ": every subscription that named it ends, no other", function()
        local bob = v1_client.connect(world, { protocol = form, rows = rows })
        local function subscribe(id, ...)
          bob:send("SubscribeMulti", { query_strings = { ... }, request_id = id, query_id = { id = id } })
          bob:expect "SubscribeMultiApplied"
        end
        subscribe(1, "SELECT * FROM player")
        subscribe(2, "SELECT * FROM tick")
        subscribe(3, "SELECT * FROM tick WHERE id > 100", "SELECT * FROM player")
        world:reload((FIRST:gsub('"player", { public = true,', '"player", {')))
        local ended = {}
        for place = 1, 2 do
          local told = bob:expect "SubscriptionError"
          assert.truthy(told.error:find("player", 1, true), told.error)
          ended[place] = form == "v1" and told.query_id.value or told.query_id.some
        end
        table.sort(ended)
        assert.same({ 1, 3 }, ended)
        ann:call(add(1, "ann"))
        ann:call "tick"
        local update = bob:expect "TransactionUpdateLight"
        assert.same({ "tick" }, { bob:tables(update.update)[1].table, bob:tables(update.update)[2] })
        subscribe(3, "SELECT * FROM tick")
        bob:drop()
      end)
    end
  end)

  describe("with a change that cannot be", function()
    before_each(function()
      ann:call(add(1, "ann"))
      ann:call(add(2, "ann"))
    end)

    it("is refused with the reason, and the old code serves on with all its data", function()
      local changes = {
        ["a column of another type"] = { FIRST:gsub('"name", t.string', '"name", t.u32'), "player.*name" },
        ["a column gone"] = { FIRST:gsub('  { "name", t.string },\n', ""), "player" },
        ["a column without a default"] = {
          FIRST:gsub('{ "name", t.string },', '{ "name", t.string }, { "level", t.u8 },'), "player.*level",
        },
        ["a column in the middle"] = {
          FIRST:gsub('{ "name", t.string },', '{ "level", t.u8, default = 1 }, { "name", t.string },'), "player",
        },
        ["columns in another order"] = {
          FIRST:gsub('{ "id", t.u32, primary_key = true },\n  { "name", t.string }',
            '{ "name", t.string },\n  { "id", t.u32, primary_key = true }'), "player",
        },
        ["a unique column that is not unique"] = {
          FIRST:gsub('{ "name", t.string }', '{ "name", t.string, unique = true }', 1), "player.*name",
        },
      }
      for what, change in pairs(changes) do
        assert.not_equal(FIRST, change[1], what)
        local said = world:reload(change[1])
        assert.truthy(said:find "the old version serves on", what .. ": " .. said)
        assert.truthy(said:find(change[2]), what .. ": " .. said)
        assert.equal("Ok", ann:call("tick").tag)
        assert.equal(2, #ann:ask "SELECT * FROM player")
      end
      assert.truthy(world:reload(SECOND):find "new version in force")
    end)

    it("is refused at the line of the table, with the source around it", function()
      for _, change in ipairs {
        { '"name", t.string', '"name", t.u32' }, { '"name", t.string', '"name", t.string, unique = true' },
      } do
        local said = world:reload((FIRST:gsub(change[1], change[2], 1)))
        assert.truthy(said:find("the old version serves on: module%.lua:3: [^\n]*`player`[^\n]*\n"), said)
        assert.truthy(said:find('>    3 | stdb.table("player"', 1, true), said)
      end
    end)

    it("is refused with the place of each table, whatever file declares it", function()
      local file = 'local stdb = require "stdb"\n\nstdb.table("tick", { event = true, { "id", stdb.types.u64 } })\n'
      server.write_file(world.folder .. "/tick.lua", file)
      local said = world:reload((FIRST:gsub('stdb.table%("tick".-\n', 'require "tick"\n')
        :gsub('{ "name", t.string }', '{ "title", t.string, default = "" }', 1)))
      assert.truthy(said:find("serves on: module%.lua:3: table `player`: column `name` [^\n]*\n"
        .. " *tick%.lua:3: table `tick`: it may not become an event table[^\n]*\n.*>    3 | stdb.table%(\"player\""), said)
    end)

    it("is refused in the module's name for a table that is gone", function()
      local said = world:reload((FIRST:gsub('stdb.table%("player".-\n}%)\n', "")))
      assert.truthy(said:find("serves on: module.lua: table `player` cannot be removed: it holds 2 rows", 1, true), said)
    end)
  end)

  describe("while calls are in flight", function()
    it("loses and doubles none of them, and each is wholly the old code's or the new one's", function()
      local calls, versions = 0, {}
      ann:subscribe(9, { "SELECT * FROM tick" })
      for round = 1, 10 do
        for _ = 1, 200 do
          ann:send_call "tick"
        end
        world:save((FIRST:gsub('"first"', '"version ' .. round .. '"')))
        for _ = 1, 200 do
          local result = ann:expect("ReducerResult").result
          assert.equal("Ok", result.tag)
          local seen = ann:changes(result.value.transaction_update)
          assert.equal(1, #seen)
          calls = calls + #seen[1].inserts
          versions[seen[1].inserts[1].version] = true
        end
      end
      assert.equal(2000, calls)
      assert.equal(2000, #ann:ask "SELECT * FROM tick")
      assert.truthy(versions.first)
    end)
  end)
end)
