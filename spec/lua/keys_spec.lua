--- Keys of unusual types, sequences with limits, and what updates and inserts make of them.
local lua_host = require "spec.support.lua_host"

local HEAD = [[
local stdb = require "stdb"
local t = stdb.types
local Color = t.enum("Color", { "Red", "Green" })
local function same(expected, got)
  if expected ~= got then error(("expected %s, got %s"):format(tostring(expected), tostring(got)), 2) end
end
local function fails(pattern, action, ...)
  local ok, message = pcall(action, ...)
  if ok then error("did not fail", 2) end
  if not message:find(pattern, 1, true) then error(("%s is not in: %s"):format(pattern, message), 2) end
end
local function ids(...)
  local found = {}
  for row in ... do found[#found + 1] = row.id end
  return table.concat(found, " ")
end
]]

--- Runs `body` as a reducer over these tables. The body checks for itself.
local function run(tables, body)
  local world = lua_host.world(HEAD .. tables .. '\nstdb.reducer("go", function(ctx) local db = ctx.db ' .. body .. "\nend)")
  local ok, _, text = world:call "go"
  world:free()
  assert(ok, text)
end

--- The refusal of a module.
local function refusal(tables)
  local world, message = lua_host.load(HEAD .. tables)
  if world then
    message = select(2, pcall(lua_host.world, HEAD .. tables))
    world:free()
  end
  return message
end

describe("a float as a key", function()
  local TABLES = [[stdb.table("p", { { "id", t.u8, primary_key = true },
    { "x", t.f64, index = true }, { "y", t.f32, index = "hash" }, { "z", t.option(t.f32), index = true } })]]

  it("is found by value and by range, below zero too", function()
    run(TABLES, [[
      for id, x in ipairs { 1.5, -2, 0, 1e300, -1 / 0, 1 / 0 } do
        db.p:insert { id = id, x = x, y = id / 4, z = id > 2 and x or nil }
      end
      same("1", ids(db.p.x:filter(1.5)))
      same("5 2 3 1 4 6", ids(db.p.x:filter {}))
      same("2 3", ids(db.p.x:filter { from = -2, below = 1 }))
      same("2", ids(db.p.y:filter(0.5)))
      same(0, db.p.y:count(0.3))]])
  end)

  it("knows one zero, however it is written and looked for", function()
    run(TABLES, [[
      db.p:insert { id = 1, x = -0, y = -0, z = -0 }
      db.p:insert { id = 2, x = 0, y = 0, z = 0 }
      local minus = -1 / 1e308 / 1e308
      same(1 / 0, 1 / db.p.id:get(1).x) same(1 / 0, 1 / db.p.id:get(1).z)
      for _, zero in ipairs { 0, -0, minus, -1e-60 * 0 } do
        same("1 2", ids(db.p.x:filter(zero))) same(2, db.p.y:count(zero)) same(2, db.p.z:count(zero))
        same(2, db.p.x:count { from = zero }) same(2, db.p.x:count { to = zero })
        same(0, db.p.x:count { above = zero }) same(0, db.p.x:count { below = zero })
      end
      same(2, db.p.y:count(-1e-60))]])
  end)

  it("cannot be NaN, in a row or in what is looked for", function()
    run(TABLES, [[
      local nan = 0 / 0
      fails("a row of table `p`: column `x` is a key, and NaN cannot be one", db.p.insert, db.p, { id = 1, x = nan, y = 0 })
      fails("column `y` is a key, and NaN", db.p.insert, db.p, { id = 1, x = 0, y = nan })
      fails("column `z` is a key, and NaN", db.p.insert, db.p, { id = 1, x = 0, y = 0, z = nan })
      db.p:insert { id = 1, x = 0, y = 0 }
      fails("column `x` is a key, and NaN", db.p.id.update, db.p.id, { id = 1, x = nan })
      fails("the key for index `x` of table `p`: NaN cannot be one", db.p.x.filter, db.p.x, nan)
      fails("NaN cannot be one", db.p.x.filter, db.p.x, { from = nan })
      fails("NaN cannot be one", db.p.y.count, db.p.y, nan)
      fails("NaN cannot be one", db.p.z.count, db.p.z, nan)]])
  end)

  it("may be NaN where it is none", function()
    run('stdb.table("p", { { "id", t.u8, primary_key = true }, { "x", t.f64 } })', [[
      local x = db.p:insert { id = 1, x = 0 / 0 }.x
      same(true, x ~= x)]])
  end)
end)

describe("an option as a key", function()
  local TABLES = [[stdb.table("p", { { "id", t.u8, primary_key = true }, { "boss", t.option(t.u32), index = true },
    { "nick", t.option(t.string), unique = true }, { "color", t.option(Color) },
    indexes = { { name = "by_color", "color", "id" } } })]]

  it("is found by its value, and without one by stdb.none", function()
    run(TABLES, [[
      db.p:insert { id = 1, nick = "a" } db.p:insert { id = 2, boss = 1, nick = "b" } db.p:insert { id = 3, boss = 1 }
      same("2 3", ids(db.p.boss:filter(1)))
      same("1", ids(db.p.boss:filter(stdb.none)))
      same("3", ids(db.p.nick:filter(stdb.none)))
      same(3, db.p.nick:find(nil).id) same(3, db.p.nick:get(stdb.none).id) same(1, db.p.nick:find("a").id)
      same(3, db.p.by_color:count(stdb.none)) same("2", ids(db.p.by_color:filter(stdb.none, 2)))]])
  end)

  it("has ranges that leave out rows without a value", function()
    run(TABLES, [[
      for id = 1, 4 do db.p:insert { id = id, boss = id < 4 and id * 10 or nil, nick = "n" .. id } end
      same("2 3", ids(db.p.boss:filter { from = 20 })) same("1 2 3", ids(db.p.boss:filter {}))
      same("1", ids(db.p.boss:filter { below = 20 })) same("3 2", ids(db.p.boss:filter { above = 10, reverse = true }))]])
  end)

  it("is unique with the rows that have none counted as equal", function()
    run(TABLES, [[
      db.p:insert { id = 1 }
      fails("Unique constraint violation 'p_nick_idx_btree' in table 'p'", db.p.insert, db.p, { id = 2 })]])
  end)

  it("may be empty by default, so that an option can be added to a table with rows", function()
    run('stdb.table("p", { { "id", t.u8, primary_key = true }, { "boss", t.option(t.u32), default = stdb.none } })', [[
      same(nil, db.p:insert({ id = 1 }).boss)]])
    local built = assert(require("spec.support.schema").build_bytes(assert(lua_host.load(HEAD ..
      'stdb.table("p", { { "boss", t.option(t.u32), default = stdb.none } })')).def))
    assert.is_true(built:table("p").columns[0].has_default)
  end)

  it("is not taken for nil by mistake", function()
    run(TABLES, [[
      db.p:insert { id = 1 }
      fails("p.boss: nil says nothing here; stdb.none finds the rows without a value", db.p.boss.delete, db.p.boss, nil)
      fails("p.nick: nil says nothing here", db.p.nick.delete, db.p.nick)]])
  end)

  it("is cleared by stdb.none in an update", function()
    run(TABLES, [[
      db.p:insert { id = 1, boss = 7, nick = "a", color = "Red" }
      local row = db.p.id:update { id = 1, boss = stdb.none }
      same(nil, row.boss) same("a", row.nick) same("Red", row.color)
      row = db.p.id:upsert { id = 1, nick = stdb.none }
      same(nil, row.nick) same("none", tostring(stdb.none))
      fails("stdb.none cannot be changed", function() stdb.none.x = 1 end)
      fails("p.id: expected u8, got stdb.none", db.p.insert, db.p, { id = stdb.none })]])
  end)
end)

describe("a key of any other type that can be one", function()
  it("is found, in a B-tree in order, and by its hash", function()
    run([[
      local values = {
        u8 = { 1, 2 }, i8 = { -1, 2 }, u64 = { 1, 2 ^ 60 }, i64 = { -2 ^ 60, 0 }, u128 = { 1, 2 }, i256 = { -5, 3 },
        bool = { false, true }, string = { "a", "b" }, bytes = { "\0", "\255" },
        timestamp = { stdb.timestamp(-5), stdb.timestamp(5) }, duration = { stdb.duration(-5), stdb.duration(5) },
        identity = { stdb.identity(("0"):rep(64)), stdb.identity(("0"):rep(63) .. "1") },
        connection_id = { stdb.connection_id(("0"):rep(32)), stdb.connection_id(("0"):rep(31) .. "1") },
        uuid = { stdb.uuid("00000000-0000-0000-0000-000000000000"), stdb.uuid("00000000-0000-0000-0000-000000000001") },
        color = { "Red", "Green" },
      }
      for name in pairs(values) do
        local type_ = name == "color" and Color or t[name]
        stdb.table("b_" .. name, { { "id", t.u8 }, { "k", type_, primary_key = true } })
        stdb.table("h_" .. name, { { "id", t.u8 }, { "k", type_, primary_key = "hash" },
          { "o", t.option(type_), index = true } })
      end]], [[
      for name, pair in pairs(values) do
        for kind, prefix in pairs { b = "b_", h = "h_" } do
          local of = db[prefix .. name]
          of:insert { id = 1, k = pair[1] } of:insert { id = 2, k = pair[2] }
          same(2, of.k:get(pair[2]).id)
          if kind == "b" then same("2 1", ids(of.k:filter { from = pair[1], reverse = true })) end
          of.k:update { id = 3, k = pair[1] }
          same(3, of.k:get(pair[1]).id) same(true, of.k:delete(pair[1])) same(nil, of.k:find(pair[1]))
        end
      end]])
  end)
end)

describe("a sequence", function()
  it("begins, steps and ends as declared, and an end is an error", function()
    run([[stdb.table("s", { { "id", t.u8, primary_key = true, auto_inc = { start = 10, min = 5, max = 30, step = 10 } } })]], [[
      same(10, db.s:insert({}).id) same(20, db.s:insert({}).id) same(30, db.s:insert({}).id)
      fails("the sequence `s_id_seq` of table `s` has no value left", db.s.insert, db.s, {})]])
  end)

  it("counts downwards", function()
    run([[stdb.table("s", { { "id", t.i16, primary_key = true, auto_inc = { step = -2 } } })]], [[
      same(-1, db.s:insert({}).id) same(-3, db.s:insert({}).id)]])
  end)

  it("ends with what its column holds, and a given value does not move it", function()
    run([[stdb.table("s", { { "id", t.u8, auto_inc = { start = 254 } }, { "n", t.u8, primary_key = true } })]], [[
      same(254, db.s:insert({ n = 1 }).id) same(7, db.s:insert({ id = 7, n = 2 }).id)
      same(255, db.s:insert({ id = 0, n = 3 }).id)
      fails("has no value left", db.s.insert, db.s, { n = 4 })]])
  end)

  it("counts in 256 bits", function()
    run([[local start = stdb.i128("170141183460469231731687303715884105000")
      stdb.table("s", { { "id", t.u256, primary_key = true, auto_inc = { start = start } } })]],
      [[same("170141183460469231731687303715884105000", tostring(db.s:insert({}).id))]])
  end)

  it("is refused where it cannot start or does not step", function()
    assert.truthy(refusal([[stdb.table("s", { { "id", t.u8, auto_inc = { start = 300 } } })]]):find(
      "does not start between its limits", 1, true))
    assert.truthy(refusal([[stdb.table("s", { { "id", t.u8, auto_inc = { step = 0 } } })]]):find(
      "has the increment 0", 1, true))
  end)
end)

describe("upsert and insert_or_get", function()
  local TABLES = [[stdb.table("p", { { "id", t.u32, primary_key = true, auto_inc = true }, { "name", t.string, unique = true },
    { "level", t.u8, default = 1 } })
    stdb.table("seat", { { "row", t.u8 }, { "place", t.u8 }, { "who", t.string },
      indexes = { { "row", "place", unique = true } } })]]

  it("insert a row whose key the sequence is to give", function()
    run(TABLES, [[
      same(1, db.p.id:upsert({ name = "a" }).id)
      local row, inserted = db.p.id:insert_or_get { name = "b" }
      same(2, row.id) same(true, inserted) same(1, row.level)]])
  end)

  it("find the row by one key or by several columns, and say which it was", function()
    run(TABLES, [[
      local row, inserted = db.p.name:insert_or_get { name = "a", level = 3 }
      same(true, inserted)
      row, inserted = db.p.name:insert_or_get { name = "a", level = 9 }
      same(false, inserted) same(3, row.level) same(1, db.p:count())
      same(true, select(2, db.seat.row_place:insert_or_get { row = 1, place = 1, who = "ann" }))
      same("ann", db.seat.row_place:insert_or_get({ row = 1, place = 1, who = "bob" }).who)
      same("bob", db.seat.row_place:upsert({ row = 1, place = 1, who = "bob" }).who)
      same(1, db.seat:count())
      fails("Unique constraint violation 'seat_row_place_idx_btree' in table 'seat': column(s): 'row, place' value: [1,1]",
        db.seat.insert, db.seat, { row = 1, place = 1, who = "eve" })]])
  end)

  it("are told what is missing or no row", function()
    run(TABLES, [[
      fails("p.name: expected string, got nil", db.p.name.insert_or_get, db.p.name, { level = 1 })
      fails("p has no column `nmae`; did you mean `name`?", db.p.id.insert_or_get, db.p.id, { nmae = "x", name = "a" })
      fails("p: expected a row { column = value, ... }, got 5", db.p.id.insert_or_get, db.p.id, 5)]])
  end)
end)

describe("an event table", function()
  local EVENTS = [[stdb.table("hit", { public = true, event = true, { "id", t.u32, primary_key = true, auto_inc = true },
    { "who", t.string, index = true } })
    stdb.reducer("look", function(ctx)
      same(0, ctx.db.hit:count()) same(nil, ctx.db.hit.id:find(1)) same("", ids(ctx.db.hit:iter()))
      same(3, ctx.db.hit:insert({ who = "x" }).id)
    end)]]

  it("has its rows, keys and numbers for one call, and is empty in the next", function()
    local world = lua_host.world(HEAD .. EVENTS .. [[
      stdb.reducer("go", function(ctx)
        local hit = ctx.db.hit
        same(1, hit:insert({ who = "a" }).id) same(2, hit:insert({ who = "b" }).id)
        same("a", hit.id:get(1).who) same("2", ids(hit.who:filter("b"))) same(2, hit:count())
        fails("Unique constraint violation", hit.insert, hit, { id = 1, who = "c" })
        same("z", hit.id:update({ id = 1, who = "z" }).who)
      end)]])
    for _, name in ipairs { "go", "look" } do
      local ok, _, text = world:call(name)
      assert(ok, text)
    end
    world:free()
  end)
end)
