--- Views: functions that only read, and what the host gets of them: rows, and what they depend on.
local bsatn = require "spec.support.bsatn"
local lua_host = require "spec.support.lua_host"

local PLAYER = [[
local stdb = require "stdb"
local t = stdb.types
local player = stdb.table("player", { public = true,
  { "id", t.u32, primary_key = true }, { "name", t.string }, { "level", t.u32, index = true },
})
stdb.table("hit", { event = true, { "id", t.u32, primary_key = true } })
local function put(ctx, id, name, level) ctx.db.player:insert { id = id, name = name, level = level } end
stdb.reducer("fill", function(ctx) put(ctx, 1, "Ann", 5) put(ctx, 2, "Bob", 9) put(ctx, 3, "Cid", 5) end)
]]

local ERR_MODULE = 205
local ROWS = bsatn.type "[{ id: u32, name: string, level: u32 }]"

local opened = {}
local function world(text, call_us)
  local made = lua_host.world(PLAYER .. text, call_us)
  opened[#opened + 1] = made
  assert(made:call "fill")
  return made
end

after_each(function()
  for place, made in ipairs(opened) do
    made:free()
    opened[place] = nil
  end
end)

local function names(rows)
  local list = {}
  for place, row in ipairs(bsatn.decode(ROWS, rows)) do
    list[place] = row.name
  end
  return list
end

--- The rows of a view with this body, and what it looked at.
local function view(returns, body)
  local reads = {}
  local made = world(('stdb.view("v", %s, function(ctx) %s end)'):format(returns, body))
  local rows, code, text = made:view(0, reads)
  return rows and names(rows), reads, code, text
end

describe("a view", function()
  it("returns a row or none, a list, or a walk", function()
    assert.same({ "Bob" }, view("t.option(player)", "return ctx.db.player.id:find(2)"))
    assert.same({}, view("t.option(player)", "return ctx.db.player.id:find(7)"))
    assert.same({ "Cid", "Ann" }, view("t.array(player)", "local p = ctx.db.player.id return { p:get(3), p:get(1) }"))
    assert.same({}, view("t.array(player)", "return {}"))
    assert.same({ "Ann", "Cid" }, view("t.array(player)", "return ctx.db.player.level:filter(5)"))
    assert.same({ "made" }, view("t.array(player)", "return { { id = 1, name = 'made', level = 1 } }"))
  end)

  it("may return rows of a struct that no table has", function()
    local made = world [[
      local Rank = t.struct("Rank", { { "name", t.string }, { "place", t.u8 } })
      stdb.view("ranks", { returns = t.array(Rank), anonymous = true, primary_key = "name" }, function(ctx)
        local list = {}
        for row in ctx.db.player.level:filter { reverse = true } do
          list[#list + 1] = { name = row.name, place = #list + 1 }
        end
        return list
      end)]]
    assert.same({ { name = "Bob", place = 1 }, { name = "Cid", place = 2 }, { name = "Ann", place = 3 } },
      bsatn.decode(bsatn.type "[{ name: string, place: u8 }]", (made:view(0))))
  end)

  it("returns the text of a query", function()
    local made = world [[stdb.view("v", t.query(player), function() return "SELECT * FROM player" end)]]
    assert.equal("SELECT * FROM player", (made:view(0)))
  end)

  it("knows who looks, unless it is anonymous, and neither time nor chance", function()
    local made = world [[
      stdb.view("own", t.array(player), function(ctx)
        return { { id = 1, name = tostring(ctx.sender), level = 1 } }
      end)
      stdb.view("all", { returns = t.array(player), anonymous = true }, function(ctx) return ctx.sender end)
      stdb.view("late", t.array(player), function(ctx) return ctx.timestamp end)
      stdb.view("luck", t.array(player), function(ctx) return { math.random(6) } end)]]
    assert.same({ ("07"):rep(32) }, names((made:view(0))))
    local function fails(place, message)
      local _, _, text = made:view(place)
      assert.truthy(text:find(message, 1, true), text)
    end
    fails(1, "module.lua:12: the context of an anonymous view has no field `sender`")
    fails(2, "module.lua:13: the context of a view has no field `timestamp`")
    fails(3, "module.lua:14: a view has no chance: as long as the tables stay as they are, it returns the same")
  end)

  it("tells what it depends on: keys, ranges, prefixes and whole tables", function()
    local function reads(body)
      return (select(2, view("t.array(player)", body)))
    end
    assert.same({ "table 0 index 0: [02000000, 02000000]" }, reads "ctx.db.player.id:find(2) return {}")
    assert.same({ "table 0 index 1: [05000000, 05000000]" }, reads "return ctx.db.player.level:filter(5)")
    assert.same({ "table 0 index 1: [05000000, 09000000)" }, reads "return ctx.db.player.level:filter { from = 5, below = 9 }")
    assert.same({ "table 0 index 1: (05000000, )" }, reads "ctx.db.player.level:count { above = 5 } return {}")
    assert.same({ "table 0" }, reads "ctx.db.player:count() return {}")
    assert.same({ "table 0" }, reads "return ctx.db.player:iter()")
    assert.same({}, reads "return {}")
  end)

  it("is refused to change anything, and to look at event tables", function()
    local function refused(body)
      local _, _, code, text = view("t.array(player)", body)
      assert.equal(ERR_MODULE, code)
      return text
    end
    local change = "a view reads tables and cannot change `player`"
    assert.truthy(refused "ctx.db.player:insert { id = 9, name = '', level = 1 }":find(change, 1, true))
    assert.truthy(refused "local p = ctx.db.player p.id:update(p.id:get(1))":find(change, 1, true))
    assert.truthy(refused "ctx.db.player:delete(ctx.db.player.id:get(1))":find(change, 1, true))
    assert.truthy(refused "ctx.db.player.level:delete(5)":find(change, 1, true))
    assert.truthy(refused "return ctx.db.hit.id:find(1)":find("a view cannot look at `hit`", 1, true))
  end)

  it("that returns something else fails, naming the place", function()
    local function why(returns, body)
      local _, _, _, text = view(returns, body)
      return text:match "^[^\n]*"
    end
    assert.truthy(why("t.array(player)", "return 5"):find("module.lua:9: view v: expected array(player), got 5", 1, true))
    assert.truthy(why("t.array(player)", "return { { id = 1, name = 2, level = 3 } }"):find(
      "module.lua:9: view v[1].name: expected string, got 2", 1, true))
    assert.truthy(why("t.option(player)", "return 'x'"):find('view v: expected player, got string "x"', 1, true))
    assert.truthy(why("t.option(player)", "return { id = 1 }"):find("view v[1].name: expected string, got nil", 1, true))
    assert.truthy(why("t.query(player)", "return nil"):find("view v: expected the text of a query, got nil", 1, true))
  end)

  it("that raises or does not end has the line, a budget, and a VM that works after it", function()
    local made = world([[
      stdb.view("bad", t.array(player), function(ctx) return ctx.db.player.nmae:find(1) end)
      stdb.view("no", t.array(player), function() stdb.reject "not you" end)
      stdb.view("endless", t.array(player), function() while true do end end)
      stdb.view("good", t.array(player), function(ctx) return ctx.db.player:iter() end)]], 500000)
    local _, code, text = made:view(0)
    assert.equal(ERR_MODULE, code)
    assert.truthy(text:find("module.lua:9: player has no index `nmae`", 1, true), text)
    _, code, text = made:view(1)
    assert.truthy(code ~= 0 and text:find("refused: not you", 1, true), text)
    _, code, text = made:view(2)
    assert.truthy(code ~= 0 and text:find("view was stopped after 500 ms", 1, true), text)
    assert.equal(3, #names((made:view(3))))
  end)
end)

describe("stdb.query", function()
  --- What the expression is, as a reducer prints it.
  local function printed(expression)
    local made = world(('stdb.reducer("go", function(ctx) print(%s) end)'):format(expression))
    local ok, _, text = made:call "go"
    return ok and made.log[1]:match ": (.*)" or text:match "^[^\n]*"
  end

  it("puts each value in place as a literal", function()
    assert.equal("SELECT * FROM player WHERE name = 'O''Hara; --' AND level > 5",
      printed [[stdb.query("SELECT * FROM player WHERE name = ? AND level > ?", "O'Hara; --", 5)]])
    local literals = {
      ["-1.5"] = "-1.5", ["2 ^ 60"] = "1.152921504606847e+18", ["9007199254740993ULL"] = "9007199254740993", ["true"] = "TRUE",
      ["'?'"] = "'?'", ['stdb.u128("5")'] = "5", ["stdb.timestamp(0)"] = "'1970-01-01T00:00:00.000000Z'",
      ['stdb.connection_id(("0"):rep(31) .. "1")'] = "0x" .. ("0"):rep(31) .. "1",
      ['stdb.uuid("00000000-0000-0000-0000-000000000001")'] = "'00000000-0000-0000-0000-000000000001'",
    }
    for value, expected in pairs(literals) do
      assert.equal(expected, printed(('stdb.query("?", %s)'):format(value)))
    end
  end)

  it("leaves question marks in quotes alone", function()
    assert.equal([[a = '?''?' AND "b?" = 1]], printed [==[stdb.query([[a = '?''?' AND "b?" = ?]], 1)]==])
  end)

  it("refuses too many values, too few, those without a literal, and open quotes", function()
    local function refused(expected, expression)
      assert.truthy(printed(expression):find(expected, 1, true), printed(expression))
    end
    refused("the text has 1 question mark, and there are 2 values", 'stdb.query("?", 1, 2)')
    refused("the text has 2 question marks, and there is 1 value", 'stdb.query("? ?", 1)')
    refused("value 1 has no literal in SQL: nil", 'stdb.query("?", nil)')
    refused("value 1 has no literal in SQL: stdb.none", 'stdb.query("?", stdb.none)')
    refused("value 1 has no literal in SQL: a table", 'stdb.query("?", {})')
    refused("value 1 has no literal in SQL: duration 5s", 'stdb.query("?", stdb.every { seconds = 5 })')
    refused("value 1 has no literal in SQL: nan", 'stdb.query("?", 0 / 0)')
    refused("a quote is opened and not closed", [[stdb.query("name = 'a")]])
    refused("stdb.query: expected a text, got nil", "stdb.query(nil)")
  end)
end)

describe("declaring", function()
  local function refused(text, expected)
    local made, message = lua_host.load(PLAYER .. text)
    if made then
      made:free()
    end
    assert.is_nil(made)
    assert.truthy(message:find(expected, 1, true), message)
  end

  it("a view is refused with anything but rows, with strange options, and twice", function()
    refused('stdb.view("v", player, function() end)', "module.lua:9: v: expected what it returns: t.option(row), t.array(row)")
    refused('stdb.view("v", t.array(t.u8), function() end)', "v: expected what it returns")
    refused('stdb.view("v", { returns = t.array(t.product {}) }, function() end)', "where a row is that of a table or a struct")
    refused('stdb.view("v", { retruns = 1 }, function() end)', "v has no option `retruns`; did you mean `returns`?")
    refused('stdb.view("v", { returns = t.array(player), primary_key = "di" }, function() end)',
      "v: the primary key is a column of its rows, got `di`; did you mean `id`?")
    refused('stdb.view("v", t.array(player))', "v: expected a function, got nil")
    refused('stdb.view("v", t.array(player), print) stdb.view("v", t.array(player), print)', "the view `v` is declared twice")
    refused('stdb.table("x", { { "q", t.query(player) } })', "x.q: a query is what a view returns")
  end)

  it("a filter is refused when it is no text", function()
    refused("stdb.filter(5)", "module.lua:9: stdb.filter: expected a query like")
  end)

  it("a schedule is refused without its time, its key or with options that are none", function()
    local function job(schedule, columns)
      return ('stdb.table("job", { schedule = %s, %s })'):format(schedule, columns
        or '{ "id", t.u64, primary_key = true }, { "at", t.schedule_at }')
    end
    refused(job("5"), "module.lua:9: job: schedule: expected the name of a reducer, got 5")
    refused(job('{ reducer = "run", mised = "skip" }'), "job: schedule has no option `mised`; did you mean `missed`?")
    refused(job('{ reducer = "run", missed = "later" }'), 'job: schedule: `missed` is "skip" or "catch_up"')
    refused(job('{ reducer = "run", at = "id" }'), "job: schedule: `at` names a column of type schedule_at, got `id`")
    refused(job('"run"', '{ "id", t.u64, primary_key = true }'), "job: schedule: a column of type schedule_at has to say when")
    refused(job('"run"', '{ "id", t.u32, primary_key = true }, { "at", t.schedule_at }'),
      "job: schedule: needs a primary key of type u64")
    refused(job('"run"', '{ "id", t.u64, primary_key = true }, { "a", t.schedule_at }, { "b", t.schedule_at }'),
      'job: schedule: which column says when? { reducer = ..., at = "a" }')
    refused(job('"run", event = true'), "job: schedule: the rows of an event table do not stay until their time")
  end)
end)

describe("what is declared", function()
  local schema = require "spec.support.schema"

  it("of schedules, views and filters is what the core understands", function()
    local made = assert(lua_host.load(PLAYER .. [[
      local job = stdb.table("job", { schedule = { reducer = "run", missed = "catch_up" },
        { "id", t.u64, primary_key = true, auto_inc = true }, { "at", t.schedule_at } })
      stdb.reducer("run", { { "job", job } }, function() end)
      stdb.view("own", t.option(player), print)
      stdb.view("all", { returns = t.array(player), anonymous = true, primary_key = "id" }, print)
      stdb.view("asked", t.query(player), print)
      stdb.filter "SELECT * FROM player"]]))
    local built = assert(schema.build_bytes(made.def))
    assert.is_true(built.schema.schedules[0].catches_up)
    assert.same({ 0, 1, 2 }, { built:view("own").kind, built:view("all").kind, built:view("asked").kind })
    assert.same({ -1, 0, 0 }, { built:view("own").rows.primary_key, built:view("all").rows.primary_key,
      built:view("asked").rows.primary_key })
    assert.same({ false, true, false }, { built:view("own").is_anonymous, built:view("all").is_anonymous,
      built:view("asked").is_anonymous })
    assert.equal("SELECT * FROM player", schema.text_of(built.schema.filters[0]))
    assert.equal(1, built.schema.filter_count)
    made:free()
  end)

  it("of times is a duration for every, and the call's time and more for after", function()
    local made = lua_host.world [[
      local stdb = require "stdb"
      local t = stdb.types
      local job = stdb.table("job", { schedule = "run",
        { "id", t.u64, primary_key = true, auto_inc = true }, { "at", t.schedule_at } })
      stdb.reducer("run", { { "job", job } }, function(ctx, row) print(row.at) end)
      stdb.reducer("go", function(ctx)
        print(ctx.db.job:insert { at = stdb.every { seconds = 5 } }.at)
        print(ctx.db.job:insert { at = stdb.after { minutes = 1 } }.at)
        print(pcall(stdb.every, 0))
      end)]]
    assert(made:call "go")
    assert.same({ "module.lua:7: 5s", "module.lua:8: 2023-11-14T22:14:20.000000Z",
      "module.lua:9: false\tmodule.lua:9: stdb.every: expected a duration above zero, got 0s" }, made.log)
    made:free()
  end)
end)
