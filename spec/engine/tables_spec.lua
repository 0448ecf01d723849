--- Tables in a running server: how they change with the module, what restarts leave of them, and what their numbers are.
local cjson = require "cjson"
local server = require "spec.support.server"

local HEAD = 'local stdb = require "stdb"\nlocal t = stdb.types\n'

local world

local function start(text)
  world = server.start { module = HEAD .. text }
end

local function reload(text)
  return world:reload(HEAD .. text)
end

local function restart()
  world:kill()
  world:restart()
end

--- Calls a reducer; nil and its words when it is refused.
local function call(name, ...)
  local answer = world:call(name, select("#", ...) > 0 and cjson.encode { ... } or "[]")
  if answer.status ~= 200 then
    return nil, answer.body
  end
  return true
end

local function rows(query)
  local answer = world:sql(query, world:owner_token())
  assert(answer.status == 200, answer.body)
  return cjson.decode(answer.body)[1].rows
end

after_each(function()
  world:remove()
end)

describe("a table", function()
  it("that is added by a new version works beside those that are there", function()
    local OLD = [[stdb.table("person", { public = true, { "name", t.string } })
      stdb.reducer("add", { { "name", t.string } }, function(ctx, name) ctx.db.person:insert { name = name } end)
      ]]
    start(OLD)
    assert(call("add", "Ann"))
    reload(OLD .. [[stdb.table("book", { public = true, { "isbn", t.string } })
      stdb.reducer("print_book", { { "isbn", t.string } }, function(ctx, isbn) ctx.db.book:insert { isbn = isbn } end)]])
    assert(call("add", "Bob"))
    assert(call("print_book", "123"))
    assert.same({ { "Ann" }, { "Bob" } }, rows "SELECT * FROM person")
    assert.same({ { "123" } }, rows "SELECT * FROM book")
  end)

  it("gets columns with defaults time after time, and refuses one without", function()
    local ADD = 'stdb.reducer("add", { { "id", t.u8 } }, function(ctx, id) ctx.db.person:insert { id = id } end)\n'
    local function person(columns)
      return 'stdb.table("person", { public = true, { "id", t.u8, primary_key = true }, ' .. columns .. " })\n" .. ADD
    end
    start(person "")
    assert(call("add", 1))
    assert.truthy(reload(person '{ "age", t.u16 },'):find("the new column `age` needs a default value", 1, true))
    reload(person '{ "age", t.u16, default = 30 },')
    assert(call("add", 2))
    reload(person '{ "age", t.u16, default = 30 }, { "boss", t.option(t.string), default = stdb.none },')
    restart()
    assert.same({ { 1, 30, { 1, {} } }, { 2, 30, { 1, {} } } }, rows "SELECT * FROM person")
  end)

  it("gets a default of every basic type for the rows that are there", function()
    local TABLE = 'stdb.table("all", { public = true, { "id", t.u8 }, %s })\n'
      .. 'stdb.reducer("add", function(ctx) ctx.db.all:insert { id = 1 } end)\n'
    start(TABLE:format "")
    assert(call "add")
    reload(TABLE:format [[{ "a", t.bool, default = true }, { "b", t.i8, default = -8 }, { "c", t.u8, default = 8 },
      { "d", t.i16, default = -16 }, { "e", t.u16, default = 16 }, { "f", t.i32, default = -32 }, { "g", t.u32, default = 32 },
      { "h", t.i64, default = -64 }, { "i", t.u64, default = 64 }, { "j", t.i128, default = -128 },
      { "k", t.u128, default = 128 }, { "l", t.f32, default = 1.5 }, { "m", t.f64, default = 2.5 },
      { "n", t.string, default = "text" }, { "o", t.bytes, default = "\1\255" }, { "p", t.array(t.u8), default = { 7 } },
      { "q", t.timestamp, default = stdb.timestamp(5) }, { "r", t.enum("Color", { "Red", "Green" }), default = "Green" }]])
    assert.same({ { 1, true, -8, 8, -16, 16, -32, 32, -64, 64, -128, 128, 1.5, 2.5, "text", "01ff", "07", { 5 }, { 1, {} } } },
      rows "SELECT * FROM all")
  end)

  it("may lose its primary key, and then take another small change", function()
    local TABLE = 'stdb.table("person", { public = true, { "id", t.u8%s } })\n'
    start(TABLE:format ", primary_key = true")
    assert.truthy(reload(TABLE:format ""):find("new version in force", 1, true))
    assert.truthy(reload(TABLE:format "" .. "print 'hello'\n"):find("new version in force", 1, true))
  end)

  it("keeps the rows that its indexes find when they come, get another name and go, with a restart after each", function()
    local function versions(index, name)
      return [[stdb.table("p", { public = true, { "id", t.u8, primary_key = true }, { "x", t.u8 },
          indexes = { ]] .. index .. [[ } })
        stdb.reducer("add", { { "id", t.u8 } }, function(ctx, id) ctx.db.p:insert { id = id, x = id % 2 } end)
        stdb.reducer("count", function(ctx) stdb.reject(tostring(ctx.db.p.]] .. name .. [[:count(1))) end)]]
    end
    start(versions("", "id"))
    for id = 1, 5 do assert(call("add", id)) end
    restart()
    for count, version in ipairs { { '{ "x" }', "x" }, { '{ name = "by_x", "x" }', "by_x" }, { "", "id" },
      { '{ name = "again", kind = "hash", "x" }', "again" } } do
      reload(versions(version[1], version[2]))
      local expected = version[2] == "id" and "1" or tostring(2 + count)
      assert.equal(expected, select(2, call "count"))
      assert(call("add", 5 + 2 * count))
      restart()
      assert.equal(version[2] == "id" and "1" or tostring(3 + count), select(2, call "count"))
    end
  end)

  it("is filtered by unique, by other and by no index, and they agree", function()
    start [[
      stdb.table("p", { { "id", t.u32, primary_key = true, auto_inc = true }, { "name", t.string },
        { "nick", t.string, unique = true } })
      stdb.table("friend", { { "who", t.identity, primary_key = true }, { "n", t.u8 } })
      local function expect(expected, got)
        if expected ~= got then error(tostring(expected) .. " ~= " .. tostring(got), 2) end
      end
      stdb.reducer("go", function(ctx)
        local p, friend = ctx.db.p, ctx.db.friend
        for _, name in ipairs { "Alice", "Bob", "Alice" } do p:insert { name = name, nick = name .. p:count() } end
        expect("Alice", p.nick:find("Alice2").name) expect(nil, p.nick:find("Alice9"))
        expect(true, p.nick:delete("Alice2")) expect(false, p.nick:delete("Alice2")) expect(2, p:count())
        local ok, message = pcall(p.insert, p, { name = "Eve", nick = "Bob1" })
        expect(false, ok) expect("Unique constraint violation 'p_nick_idx_btree' in table 'p'", message:match "Unique.-'p'")
        friend:insert { who = ctx.sender, n = 1 }
        expect(1, friend.who:get(ctx.sender).n)
      end)]]
    assert(call "go")
  end)
end)

describe("generated numbers", function()
  it("count from one in every width, and run into numbers that were given", function()
    start [[
      for _, name in ipairs { "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "u128", "i128" } do
        stdb.table(name, { public = true, { "id", t[name], primary_key = true, auto_inc = true }, { "n", t.u8 } })
        stdb.reducer("add_" .. name, { { "id", t.u8 }, { "n", t.u8 } }, function(ctx, id, n)
          ctx.db[name]:insert { id = id, n = n }
        end)
      end]]
    for _, name in ipairs { "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "u128", "i128" } do
      for n = 1, 3 do assert(call("add_" .. name, 0, n)) end
      assert(call("add_" .. name, 4, 9))
      assert.is_nil((call("add_" .. name, 0, 4)))
      assert(call("add_" .. name, 0, 5))
      assert.same({ { 5, 5 } }, rows("SELECT * FROM " .. name .. " WHERE id = 5"))
      assert.same({ { 3, 3 } }, rows("SELECT * FROM " .. name .. " WHERE id = 3"))
    end
  end)

  it("are given once, though the call that drew them failed and the server was killed", function()
    local SPEND = [[
      stdb.table("p", { public = true, { "id", t.u32, primary_key = true, auto_inc = true } })
      stdb.reducer("add", function(ctx) ctx.db.p:insert {} end)
      stdb.reducer("fail", function(ctx) ctx.db.p:insert {} error "no" end)]]
    start(SPEND)
    assert.is_nil((call "fail"))
    assert(call "add")
    assert.same({ { 2 } }, rows "SELECT * FROM p")
    restart()
    assert(call "add")
    assert.is_true(rows("SELECT * FROM p WHERE id > 2")[1][1] > 2)
  end)
end)

describe("an event table", function()
  local function hit(columns)
    return 'stdb.table("hit", { public = true, event = true, ' .. columns .. " })\n"
      .. 'stdb.reducer("strike", function(ctx) ctx.db.hit:insert { id = 1, text = "x", at = ctx.timestamp } end)\n'
  end

  it("may take any shape, and back, and the log is read again with each", function()
    local shapes = { '{ "id", t.u32 }, { "text", t.string }, { "at", t.timestamp }', '{ "at", t.timestamp }, { "id", t.u8 }',
      '{ "text", t.option(t.string) }' }
    local function taking(columns) -- only the columns that are there
      return (hit(columns):gsub("(%a+) = (%S+)([ ,])", function(name, value, rest)
        local is_column = name == "id" or name == "text" or name == "at"
        return is_column and not columns:find('"' .. name .. '"', 1, true) and "" or name .. " = " .. value .. rest
      end))
    end
    start(taking(shapes[1]))
    for _, shape in ipairs { 2, 3, 1, 2 } do
      assert(call "strike")
      assert.truthy(reload(taking(shapes[shape])):find("new version in force", 1, true))
      assert(call "strike")
      restart()
      assert.same({}, rows "SELECT * FROM hit")
    end
  end)

  it("may go, and the log that has its rows is read again", function()
    start(hit '{ "id", t.u32 }, { "text", t.string }, { "at", t.timestamp }')
    assert(call "strike")
    reload 'stdb.reducer("strike", function() end)\n'
    restart()
    assert(call "strike")
  end)

  it("may not become a table whose rows stay", function()
    start(hit '{ "id", t.u32 }, { "text", t.string }, { "at", t.timestamp }')
    local said = reload 'stdb.table("hit", { public = true, { "id", t.u32 }, { "text", t.string }, { "at", t.timestamp } })\n'
    assert.truthy(said:find("module.lua:3: table `hit`: it may not cease to be an event table", 1, true), said)
  end)
end)
