--- Tables and indexes as a module uses them, on the real store.
local lua_host = require "spec.support.lua_host"

local HEAD = [[
local stdb = require "stdb"
local t = stdb.types
stdb.table("player", { public = true,
  { "id", t.u32, primary_key = true, auto_inc = true },
  { "name", t.string, unique = true },
  { "nick", t.option(t.string) },
  { "level", t.i32, default = 1, index = true },
  { "zone", t.string, default = "home", index = "hash" },
  indexes = { { name = "by_zone_level", "zone", "level" } },
})
stdb.table("seat", { { "row", t.u8 }, { "place", t.u8 }, { "who", t.option(t.string) },
  indexes = { { name = "at", "row", "place", unique = true } } })
stdb.table("account", { { "id", t.u32, primary_key = "hash" }, { "balance", t.i64 } })
stdb.table("point", { { "x", t.i32 }, { "y", t.i32 } })
stdb.table("said", { event = true, { "text", t.string } })
local function names(...)
  local found = {}
  for player in ... do found[#found + 1] = player.name end
  return table.concat(found, " ")
end
local function same(expected, got)
  if expected ~= got then error(("expected %s, got %s"):format(tostring(expected), tostring(got)), 2) end
end
local function fails(pattern, action, ...)
  local ok, message = pcall(action, ...)
  if ok then error("did not fail", 2) end
  if not message:find(pattern, 1, true) then error(("%s is not in: %s"):format(pattern, message), 2) end
end
local function five(db)
  for number, name in ipairs { "ann", "bob", "cid", "dan", "eve" } do
    db.player:insert { name = name, level = number, zone = number % 2 == 1 and "odd" or "even" }
  end
end
]]

--- Runs `body` as a reducer of its own world with `ctx`, `db` and the helpers above. The body checks for itself.
local function run(body)
  local world = lua_host.world(HEAD .. 'stdb.reducer("go", function(ctx) local db = ctx.db ' .. body .. "\nend)")
  local ok, _, text = world:call "go"
  world:free()
  assert(ok, text)
end

--- The message of a failing body, without the log's surroundings.
local function failure(body)
  local world = lua_host.world(HEAD .. 'stdb.reducer("go", function(ctx) local db = ctx.db ' .. body .. "\nend)")
  local ok, _, text = world:call "go"
  world:free()
  assert.is_nil(ok)
  return (text:match("^[^\n]*"):gsub("module%.lua:%d+: ", ""):gsub(" %(error %x+%)$", ""))
end

describe("insert", function()
  it("returns the row as stored: generated numbers, defaults, none", function()
    run [[
      local row = db.player:insert { name = "ann" }
      same(1, row.id) same("ann", row.name) same(nil, row.nick) same(1, row.level) same("home", row.zone)
      same(2, db.player:insert { id = 0, name = "bob" }.id)
      same(7, db.player:insert { id = 7, name = "cid" }.id)
      same(3, db.player:count())]]
  end)

  it("leaves an equal row as it is", function()
    run [[
      db.point:insert { x = 1, y = 2 }
      db.point:insert { x = 1, y = 2 }
      same(1, db.point:count())]]
  end)

  it("refuses a key that is taken, and the reducer may go on", function()
    run [[
      db.player:insert { name = "ann" }
      local ok, message = pcall(db.player.insert, db.player, { name = "ann" })
      same(false, ok)
      same("string", type(message))
      db.player:insert { name = "bob" }
      same(2, db.player:count())]]
  end)

  it("says which column does not fit", function()
    assert.equal("player.name: expected string, got 3", failure "db.player:insert { name = 3 }")
    assert.equal("player.name: expected string, got nil", failure "db.player:insert { level = 3 }")
    assert.equal('player.level: expected i32, got string "x"', failure 'db.player:insert { name = "a", level = "x" }')
    assert.equal("player.nick: expected string, got 5", failure 'db.player:insert { name = "a", nick = 5 }')
    assert.equal("player has no column `nmae`; did you mean `name`?", failure 'db.player:insert { nmae = "a" }')
    assert.equal("player has no column `levl`; did you mean `level`?", failure 'db.player:insert { name = "a", levl = 3 }')
    local no_row = "player: expected a row { column = value, ... }, got nil; with a colon: player:insert { ... }"
    assert.equal(no_row, failure "db.player:insert()")
    assert.equal(no_row, failure 'db.player.insert { name = "a" }')
  end)

  it("takes text that is UTF-8 only", function()
    run [[fails("UTF-8", db.player.insert, db.player, { name = "\255" })]]
  end)

  it("shows rows of event tables without keeping them", function()
    local world = lua_host.world(HEAD .. [[
      stdb.reducer("say", function(ctx) same("hi", ctx.db.said:insert { text = "hi" }.text) end)
      stdb.reducer("check", function(ctx) same(0, ctx.db.said:count()) end)]])
    assert.is_true(world:call "say")
    assert.is_true(world:call "check")
    world:free()
  end)
end)

describe("a row", function()
  it("is a copy until it is written back", function()
    run [[
      five(db)
      local ann = db.player.id:get(1)
      ann.level = 50
      same(1, db.player.id:get(1).level)
      db.player.id:update(ann)
      same(50, db.player.id:get(1).level)]]
  end)

  it("knows its columns", function()
    local get = "five(db) local ann = db.player.id:get(1) "
    assert.equal("player has no column `nmae`; did you mean `name`?", failure(get .. "local x = ann.nmae"))
    assert.equal("player has no column `nmae`; did you mean `name`?", failure(get .. "ann.nmae = 'x'"))
    assert.equal("player has no column 1", failure(get .. "ann[1] = 'x'"))
    assert.equal('rawset: this table is locked', failure(get .. "rawset(ann, 'nmae', 1)"))
    run(get .. "same(nil, ann.nick) ann.nick = 'a' same('a', ann.nick) ann.nick = nil same(nil, ann.nick)")
  end)

  it("works as a plain table with pairs", function()
    run [[
      five(db)
      local count = 0
      for name, value in pairs(db.player.id:get(1)) do count = count + 1 end
      same(4, count)]]
  end)
end)

describe("find and get", function()
  it("answer with a row or nil, and with a row or an error", function()
    run [[
      five(db)
      same("bob", db.player.id:find(2).name)
      same(nil, db.player.id:find(99))
      same(3, db.player.name:get("cid").id)
      fails("player.id: no row with 99", db.player.id.get, db.player.id, 99)
      fails('player.name: no row with string "zoe"', db.player.name.get, db.player.name, "zoe")]]
  end)

  it("take all the values of an index over several columns", function()
    run [[
      db.seat:insert { row = 1, place = 2, who = "ann" }
      same("ann", db.seat.at:find(1, 2).who)
      same(nil, db.seat.at:find(2, 1))
      fails("seat.place: expected u8, got nil", db.seat.at.find, db.seat.at, 1)
      fails("seat.at: no row with 3, 4", db.seat.at.get, db.seat.at, 3, 4)]]
  end)

  it("refuse values of another type", function()
    assert.equal('player.id: expected u32, got string "2"', failure 'db.player.id:find("2")')
    assert.equal("player.id: expected u32, got nil", failure "db.player.id:find(nil)")
    assert.equal("player.name: expected string, got 2", failure "db.player.name:find(2)")
  end)

  it("belong to unique indexes", function()
    assert.truthy(failure("db.player.level:find(2)"):find("player.level:find is for unique indexes", 1, true))
  end)
end)

describe("update", function()
  it("writes a row that came from the database whole", function()
    run [[
      five(db)
      local bob = db.player.id:get(2)
      bob.nick, bob.level = "b", 20
      same(20, db.player.id:update(bob).level)
      bob.nick = nil
      db.player.id:update(bob)
      same(nil, db.player.id:get(2).nick)]]
  end)

  it("changes the columns that a plain table names", function()
    run [[
      five(db)
      db.player.id:update { id = 2, nick = "b" }
      local bob = db.player.id:get(2)
      same("b", bob.nick) same("bob", bob.name) same(2, bob.level)
      db.player.name:update { name = "bob", level = 9 }
      same(9, db.player.id:get(2).level) same("b", db.player.id:get(2).nick)]]
  end)

  it("refuses a key that is not there and one that is taken", function()
    run [[
      five(db)
      fails("no row with 99", db.player.id.update, db.player.id, { id = 99, level = 1 })
      fails("expected u32, got nil", db.player.id.update, db.player.id, { level = 1 })
      local bob = db.player.id:get(2)
      bob.name = "ann"
      same(false, (pcall(db.player.id.update, db.player.id, bob)))
      same("bob", db.player.id:get(2).name)]]
  end)

  it("says which column does not fit", function()
    assert.equal('player.level: expected i32, got string "x"',
      failure 'five(db) local bob = db.player.id:get(2) bob.level = "x" db.player.id:update(bob)')
    assert.equal("player.name: expected string, got nil",
      failure 'five(db) local bob = db.player.id:get(2) bob.name = nil db.player.id:update(bob)')
  end)
end)

describe("upsert", function()
  it("inserts what is not there and changes what is", function()
    run [[
      db.player.name:upsert { name = "ann", nick = "a" }
      same(1, db.player.name:get("ann").level)
      db.player.name:upsert { name = "ann", level = 4 }
      local ann = db.player.name:get("ann")
      same(4, ann.level) same("a", ann.nick) same(1, ann.id)
      same(1, db.player:count())
      ann.nick = nil
      db.player.name:upsert(ann)
      same(nil, db.player.name:get("ann").nick)]]
  end)
end)

describe("delete", function()
  it("tells how many rows it took, or for a unique key whether there was one", function()
    run [[
      five(db)
      same(true, db.player.id:delete(1)) same(false, db.player.id:delete(1))
      same(2, db.player.id:delete { from = 4 }) same(0, db.player.id:delete { from = 4 })
      for number = 1, 5 do db.player:delete(db.player.id:find(number) or { name = "x" }) end
      five(db)
      db.seat:insert { row = 1, place = 2 } db.seat:insert { row = 1, place = 3 }
      same(true, db.seat.at:delete(1, 2)) same(1, db.seat.at:delete(1))
      same(true, db.player.name:delete("ann"))
      same(2, db.player.zone:delete("odd"))
      same(2, db.player.level:delete { from = 2, to = 4 })
      same(0, db.player:count())]]
  end)

  it("takes the row that equals a given one", function()
    run [[
      db.point:insert { x = 1, y = 2 }
      same(false, db.point:delete { x = 1, y = 3 })
      same(true, db.point:delete { x = 1, y = 2 })
      five(db)
      same(true, db.player:delete(db.player.id:get(3)))
      same(nil, db.player.id:find(3))]]
  end)

  it("needs a value, so that a nil by mistake deletes nothing", function()
    assert.equal("player.id: expected u32, got nil", failure "five(db) db.player.id:delete(nil)")
  end)
end)

describe("filter", function()
  it("walks equal values, ranges and prefixes in order", function()
    run [[
      five(db)
      same("cid", names(db.player.level:filter(3)))
      same("", names(db.player.level:filter(9)))
      same("ann bob cid dan eve", names(db.player.level:filter {}))
      same("eve dan cid bob ann", names(db.player.level:filter { reverse = true }))
      same("bob cid", names(db.player.level:filter { from = 2, to = 3 }))
      same("cid dan", names(db.player.level:filter { above = 2, below = 5 }))
      same("dan eve", names(db.player.level:filter { from = 4 }))
      same("ann", names(db.player.level:filter { below = 2 }))
      same("ann cid eve", names(db.player.by_zone_level:filter("odd")))
      same("cid", names(db.player.by_zone_level:filter("odd", 3)))
      same("eve cid", names(db.player.by_zone_level:filter("odd", { from = 2, reverse = true })))
      same("ann cid", names(db.player.by_zone_level:filter("odd", { below = 5 })))
      same("bob dan ann", names(db.player.by_zone_level:filter { to = "odd", reverse = false }):sub(1, 11))
      same(2, db.player.by_zone_level:count("even"))
      same("ann", names(db.player.id:filter(1)))]]
  end)

  it("finds equal values in a hash index, and no more", function()
    run [[
      five(db)
      same(3, db.player.zone:count("odd"))
      fails("a hash index finds equal values", db.player.zone.filter, db.player.zone, { from = "a" })]]
  end)

  it("says what is wrong with a range", function()
    assert.truthy(failure("db.player.level:filter { form = 1 }"):find "a range has no `form`; did you mean `from`?")
    assert.truthy(failure("db.player.level:filter { from = 1, above = 2 }"):find "`from` or `above`, not both")
    assert.truthy(failure("db.player.level:filter { to = 1, below = 2 }"):find "`to` or `below`, not both")
    assert.truthy(failure("db.player.level:filter(1, 2)"):find "takes 1 value at most")
    assert.truthy(failure("db.player.by_zone_level:filter('a', 1, {})"):find "takes 2 values at most")
    assert.equal('player.level: expected i32, got string "a"', failure 'db.player.level:filter { from = "a" }')
    assert.equal("player.level: expected i32, got nil", failure "db.player.level:filter()")
  end)

  it("sees the rows that were there when it began, less those deleted since", function()
    run [[
      five(db)
      local seen = {}
      for player in db.player.level:filter {} do
        seen[#seen + 1] = player.name
        db.player:insert { name = player.name .. "2", level = 99 }
        if player.name == "ann" then db.player.name:delete("bob") end
      end
      same("ann cid dan eve", table.concat(seen, " "))]]
  end)

  it("does not read one table's rows as another's", function()
    assert.equal("this loop is over: write `for row in table:iter() do` for each walk", failure [[
      five(db)
      db.point:insert { x = 1, y = 2 }
      local step = db.player:iter()
      local _, walk = db.point:iter()
      step(walk)]])
    assert.truthy(failure("db.player:iter()()"):find "loop is over")
  end)

  it("can be left early, in any number of calls", function()
    local world = lua_host.world(HEAD .. [[
      stdb.on.init(function(ctx) five(ctx.db) end)
      stdb.reducer("look", function(ctx)
        for _ = 1, 20 do
          for player in ctx.db.player:iter() do
            if player.name == "bob" then break end
          end
        end
      end)]])
    assert.is_true(world:call "init")
    for _ = 1, 500 do
      assert.is_true(world:call "look")
    end
    world:free()
  end)
end)

describe("tables", function()
  it("are found by name, with a hint for a wrong one", function()
    assert.equal("db has no table `playr`; did you mean `player`?", failure "db.playr:count()")
    assert.equal("player has no index `idd`; did you mean `id`?", failure "db.player.idd:find(1)")
    assert.truthy(failure("db.player.nick:find(1)"):find "player.nick: the column has no index")
    assert.equal("player:update is a function of an index: player.id:update", failure "db.player:update { id = 1 }")
    assert.equal("player:filter is a function of an index: player.id:filter", failure "db.player:filter { id = 1 }")
    assert.truthy(failure("db.player = nil"):find "cannot be changed")
    assert.truthy(failure("db.player.id = nil"):find "cannot be changed")
    assert.truthy(failure("db.player.id.find = nil"):find "cannot be changed")
  end)

  it("are not functions, and say how they are walked", function()
    assert.equal("player is no function; to walk its rows write `for row in player:iter() do`",
      failure "for row in db.player do end")
    assert.equal("player.id is no function; to walk its rows write `for row in player.id:filter(...) do`",
      failure "for row in db.player.id do end")
  end)

  it("can be used only inside a reducer", function()
    local module = HEAD .. [[
      local kept
      stdb.reducer("keep", function(ctx) kept = ctx end)
      stdb.reducer("use", function() return kept.sender end)
      stdb.reducer("tables", function() return kept.db end)]]
    local world = lua_host.world(module)
    assert.is_true(world:call "keep")
    for _, reducer in ipairs { "use", "tables" } do
      local ok, _, text = world:call(reducer)
      assert.is_nil(ok)
      assert.truthy(text:find("this context belongs to an earlier call", 1, true))
    end
    world:free()
  end)

  it("change nothing when the call fails", function()
    local world = lua_host.world(HEAD .. [[
      stdb.reducer("half", function(ctx) five(ctx.db) error "no" end)
      stdb.reducer("check", function(ctx) same(0, ctx.db.player:count()) end)]])
    assert.is_nil(world:call "half")
    assert.is_true(world:call "check")
    world:free()
  end)

  it("keep the sum of a bank, compiled and not", function()
    local world = lua_host.world(HEAD .. [[
      stdb.on.init(function(ctx)
        for id = 0, 99 do ctx.db.account:insert { id = id, balance = 1000 } end
      end)
      stdb.reducer("transfer", { { "from", t.u32 }, { "to", t.u32 }, { "amount", t.i64 } }, function(ctx, from, to, amount)
        if from == to or amount <= 0 then stdb.reject "no" end
        local accounts = ctx.db.account.id
        local giver, taker = accounts:get(from), accounts:get(to)
        if giver.balance < amount then stdb.reject "too poor" end
        giver.balance, taker.balance = giver.balance - amount, taker.balance + amount
        accounts:update(giver)
        accounts:update(taker)
      end)
      stdb.reducer("check", function(ctx)
        local sum = 0
        for account in ctx.db.account:iter() do
          if account.balance < 0 then error "negative" end
          sum = sum + account.balance
        end
        same(100000, sum)
      end)]])
    assert.is_true(world:call "init")
    local bsatn = require "spec.support.bsatn"
    local args = bsatn.type "{ from: u32, to: u32, amount: i64 }"
    for _ = 1, 5000 do
      world:call("transfer", bsatn.encode(args, {
        from = math.random(0, 101), to = math.random(0, 99), amount = math.random(-5, 300),
      }))
    end
    local ok, _, text = world:call "check"
    world:free()
    assert(ok, text)
  end)
end)

describe("large declarations", function()
  it("work with hundreds of columns, whatever they are called", function()
    local world = lua_host.world [[
      local stdb = require "stdb"
      local t = stdb.types
      local kinds = { t.u8, t.string, t.i64, t.option(t.f64), t.bool, t.identity, t.array(t.u8), t.timestamp }
      local mixed, fixed = {}, {}
      for place = 1, 300 do
        mixed[place] = { "end" .. place, kinds[place % #kinds + 1] }
        fixed[place] = { "c" .. place, place % 3 == 0 and t.u8 or t.i64 }
      end
      mixed[301], mixed[302] = { "end", t.u32, primary_key = true }, { "while", t.string, index = true }
      fixed[301] = { "id", t.u64, primary_key = "hash" }
      stdb.table("mixed", mixed)
      stdb.table("fixed", fixed)
      stdb.reducer("go", function(ctx)
        local row = { ["end"] = 7, ["while"] = "x" }
        local values = { 1, "a", 5, nil, true, ctx.sender, { 1 }, ctx.timestamp }
        for place = 1, 300 do row["end" .. place] = values[place % 8 + 1] end
        local stored = ctx.db.mixed:insert(row)
        for name, value in pairs(row) do assert(type(value) == "table" or stored[name] == value, name) end
        ctx.db.mixed["end"]:update { ["end"] = 7, ["while"] = "yy" }
        assert(ctx.db.mixed["while"]:count "yy" == 1)
        row = { id = 2^60 }
        for place = 1, 300 do row["c" .. place] = place % 256 end
        stored = ctx.db.fixed:insert(row)
        for place = 1, 300 do assert(stored["c" .. place] == place % 256) end
        assert(ctx.db.fixed.id:get(2^60).c300 == 44)
        row.extra = 1
        assert(not pcall(ctx.db.fixed.insert, ctx.db.fixed, row))
      end)]]
    local ok, _, text = world:call "go"
    world:free()
    assert(ok, text)
  end)

  it("work with indexes over many columns and enums of many variants", function()
    local world = lua_host.world [[
      local stdb = require "stdb"
      local t = stdb.types
      local columns, names, variants = { indexes = {} }, {}, {}
      for place = 1, 16 do
        columns[place] = { "k" .. place, place % 2 == 0 and t.string or t.u16 }
        names[place] = "k" .. place
        columns.indexes[place] = { name = "i" .. place, unpack(names) }
      end
      for place = 1, 256 do variants[place] = place % 2 == 0 and { "V" .. place, t.array(t.u8) } or "V" .. place end
      local Many = t.enum("Many", variants)
      stdb.table("deep", columns)
      stdb.table("one", { { "v", Many } })
      stdb.reducer("go", function(ctx)
        local row = {}
        for place = 1, 16 do row["k" .. place] = place % 2 == 0 and "s" or place end
        ctx.db.deep:insert(row)
        local all = ctx.db.deep.i16
        assert(all:count(1, "s", 3, "s", 5, "s", 7, "s", 9, "s", 11, "s", 13, "s", 15, { from = "a" }) == 1)
        assert(all:count(1, "s", 3, "s", 5, "s", 7, "s", 9, "s", 11, "s", 13, "s", 15, { above = "s" }) == 0)
        assert(all:count(1) == 1 and all:count(2) == 0)
        for _, value in ipairs { Many.V256 { 1, 2 }, Many.V255, "V253" } do
          local stored = ctx.db.one:insert { v = value }.v
          assert(stored.tag == (value.tag or value) and (stored.value == nil or #stored.value == 2))
        end
      end)]]
    local ok, _, text = world:call "go"
    world:free()
    assert(ok, text)
  end)

  it("take NaN for a default, and no payload for a variant that has none", function()
    local world = lua_host.world [[
      local stdb = require "stdb"
      local t = stdb.types
      stdb.table("odd", { { "a", t.f64, default = 0 / 0 }, { "b", t.f32, default = 0 / 0 },
        { "color", t.enum("Color", { "Red", "Green" }) } })
      stdb.reducer("go", function(ctx)
        local row = ctx.db.odd:insert { color = { tag = "Green" } }
        assert(row.a ~= row.a and row.b ~= row.b and row.color == "Green")
        local ok, why = pcall(ctx.db.odd.insert, ctx.db.odd, { color = { tag = "Red", value = 1 } })
        assert(not ok and why:find("odd.color.Red: expected no value, got 1", 1, true), why)
      end)]]
    local ok, _, text = world:call "go"
    world:free()
    assert(ok, text)
  end)
end)
