--- The world a module sees: only what is meant to be there, and nothing of it can be changed.
local lua_host = require "spec.support.lua_host"

--- Runs a module's text; its own asserts check.
local function load_ok(text)
  local module, message = lua_host.load(text)
  assert(module, message)
  return module
end

-- Walks everything reachable: globals, libraries, metatables, fields, what functions hand out when called plainly, and
-- inside a call the context, rows, iterators and values. Collects paths to be compared with the list below.
local CRAWLER = [[
local stdb = require "stdb"
local found, seen = {}, {}
local function note(path, value)
  found[#found + 1] = path .. " " .. type(value)
end
local NAMES = {}
for name in ([=[
  _G _VERSION assert collectgarbage debug dofile error ffi gcinfo getfenv getmetatable io ipairs jit load loadfile loadstring
  module newproxy next os package pairs pcall print rawequal rawget rawlen rawset require select setfenv setmetatable
  string table math bit coroutine tonumber tostring type unpack xpcall _ENV arg stdb host use
  byte char dump find format gfind gmatch gsub len lower match rep reverse sub upper pack unpack packsize
  concat foreach foreachi getn insert maxn move remove sort new clear
  abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min mod modf pi pow rad random
  randomseed sin sinh sqrt tan tanh
  arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex
  create isyieldable resume running status wrap yield close
  getinfo getlocal getupvalue sethook setupvalue setlocal getregistry traceback upvalueid upvaluejoin
  C cdef cast metatype typeof istype alignof loaded loaders preload seeall searchpath path cpath execute exit getenv clock
  __index __newindex __metatable __gc __mode __call __tostring __eq
]=]):gmatch("%S+") do NAMES[#NAMES + 1] = name end
local function crawl(path, value)
  if value == nil or seen[value] then return end
  local kind = type(value)
  if kind ~= "table" and kind ~= "function" and kind ~= "userdata" and kind ~= "cdata" and kind ~= "thread" then return end
  seen[value] = true
  note(path, value)
  local meta = getmetatable(value)
  if meta then crawl(path .. "<meta>", meta) end
  if kind == "table" then
    for key, field in next, value do crawl(path .. "." .. tostring(key), field) end
  end
  if kind == "table" or kind == "userdata" or kind == "cdata" then
    for _, name in ipairs(NAMES) do
      local ok, field = pcall(function() return value[name] end)
      if ok then crawl(path .. "." .. name, field) end
    end
  end
end
]]

local ALLOWED = [[
_G _VERSION assert error getmetatable ipairs next pairs pcall print rawequal rawget rawset require select setmetatable
tonumber tostring type unpack xpcall
string string.byte string.char string.find string.format string.gmatch string.gsub string.len string.lower string.match
string.rep string.reverse string.sub string.upper
table table.concat table.insert table.maxn table.move table.remove table.sort table.unpack
math math.abs math.acos math.asin math.atan math.atan2 math.ceil math.cos math.cosh math.deg math.exp math.floor
math.fmod math.frexp math.ldexp math.log math.log10 math.max math.min math.modf math.pow math.rad math.random
math.randomseed math.sin math.sinh math.sqrt math.tan math.tanh
coroutine coroutine.create coroutine.isyieldable coroutine.resume coroutine.running coroutine.status coroutine.wrap
coroutine.yield
bit bit.arshift bit.band bit.bnot bit.bor bit.bswap bit.bxor bit.lshift bit.rol bit.ror bit.rshift bit.tobit bit.tohex
]]

describe("the environment", function()
  it("reaches what is listed and nothing else", function()
    local module = load_ok(CRAWLER .. [[
      crawl("_G", _G)
      crawl("stringmeta", getmetatable(""))
      crawl("cdatameta", getmetatable(1LL))
      crawl("cdata", 1LL)
      crawl("complex", 1i)
      crawl("gmatch", ("x"):gmatch("."))
      crawl("thread", coroutine.create(print))
      crawl("wrap", coroutine.wrap(print))
      crawl("pairs1", (pairs({})))
      crawl("ipairs1", (ipairs({})))
      for _, line in ipairs(found) do print(line) end]])
    local allowed = {}
    for name in ALLOWED:gmatch "%S+" do
      allowed["_G." .. name] = true
    end
    -- Functions of Lua that have no environment of ours to give away.
    for _, name in ipairs { "_G", "gmatch", "thread", "wrap", "pairs1", "ipairs1", "cdata", "complex" } do
      allowed[name] = true
    end
    -- The crawler's own.
    for _, line in ipairs(module.log) do
      local path = line:match "^module%.lua:%d+: (%S+) "
      assert(allowed[path], "reachable: " .. line)
    end
    assert.is_true(#module.log > 80)
  end)

  it("lacks what compiles, inspects or touches the outside", function()
    load_ok [[
      for _, name in ipairs { "collectgarbage", "debug", "dofile", "ffi", "gcinfo", "getfenv", "io", "jit", "load", "loadfile",
          "loadstring", "module", "newproxy", "os", "package", "setfenv" } do
        assert(_G[name] == nil, name)
      end
      assert(string.dump == nil and table.foreach == nil and table.foreachi == nil)
      for _, name in ipairs { "ffi", "jit", "io", "os", "debug", "package", "string.buffer", "table.new", "jit.util" } do
        assert(not pcall(require, name), name)
      end]]
  end)

  it("has libraries that cannot be changed", function()
    load_ok [[
      for name, library in pairs { string = string, table = table, math = math, coroutine = coroutine, bit = bit } do
        local ok, why = pcall(function() library.extra = 1 end)
        assert(not ok and why:find("cannot be changed"), name)
        for key in pairs { rep = 1, insert = 1, abs = 1, wrap = 1, band = 1 } do
          assert(not pcall(function() library[key] = print end))
        end
        assert(not pcall(rawset, library, "rep", print))
        assert(not pcall(setmetatable, library, {}))
        assert(getmetatable(library) == false)
        assert(next(library) == nil)
      end
      assert(not pcall(function() ("").rep = print end))
      assert(getmetatable("") == false)
      assert(("ab"):rep(2) == "abab" and ("%d"):format(5) == "5" and #("x"):upper() == 1)]]
  end)

  it("keeps a module's globals in front of the whitelist", function()
    load_ok [[
      counter = 5
      assert(_G.counter == 5 and rawget(_G, "counter") == 5)
      print = nil
      assert(type(print) == "function")
      string = { mine = true }
      assert(string.mine and ("x"):rep(2) == "xx")]]
  end)

  it("shows no addresses", function()
    load_ok [[
      local function check(text) assert(not text:find("0x") and not text:find("%x%x%x%x%x%x"), text) end
      check(tostring({})) check(tostring(print)) check(tostring(coroutine.create(print))) check(tostring(string))
      check(("%s %s %s"):format({}, print, coroutine.create(print)))
      check(string.format("%-20s|%5s", {}, math.abs))
      check(tostring(require "stdb")) check(tostring(require("stdb").types.u8))
      assert(not pcall(string.format, "%p", {}))
      assert(not pcall(string.format, "%%%-20p", {}))
      assert(string.format("100%% plain %d", 5) == "100% plain 5")
      local _, why = pcall(error, {})
      check(tostring(why))
      local stdb = require "stdb"
      local span = stdb.duration { seconds = 1 }
      check(span .. {}) check(print .. span) check(span .. coroutine.create(print))]]
  end)

  it("names string.format where an argument is not what it takes", function()
    load_ok [[
      local _, complaint = pcall(string.format, "%d", "five")
      assert(complaint:find "bad argument #2 to 'format' %(number expected, got string%)", complaint)]]
  end)

  it("runs a table's own __tostring", function()
    load_ok [[
      local name = setmetatable({}, { __tostring = function() return "me" end })
      assert(tostring(name) == "me" and ("%s"):format(name) == "me")
      assert(not pcall(tostring))
      for _, odd in ipairs { {}, print, 5, false } do
        local object = setmetatable({}, { __tostring = function() return odd end })
        for _, shown in ipairs { tostring, print, function(value) return ("%s"):format(value) end } do
          local ok, why = pcall(shown, object)
          assert(not ok and why:find("__tostring: expected it to give a text", 1, true), why)
        end
      end
      assert(tostring(5LL) == "5" and tostring(7ULL) == "7" and tostring(nil) == "nil")]]
  end)
end)

describe("the values that a call hands out", function()
  it("reach nothing beyond themselves", function()
    local world = lua_host.world(CRAWLER .. [[
      local t = stdb.types
      stdb.table("thing", { { "id", t.u32, primary_key = true }, { "who", t.identity }, { "at", t.timestamp },
        { "big", t.u256 }, { "far", t.i64 }, { "many", t.array(t.u8) }, { "gap", t.duration } })
      stdb.reducer("go", function(ctx)
        ctx.db.thing:insert { id = 1, who = ctx.sender, at = ctx.timestamp, big = 1, far = 2^60, many = {},
          gap = stdb.duration(1) }
        crawl("ctx", ctx)
        crawl("sender", ctx.sender)
        crawl("timestamp", ctx.timestamp)
        crawl("db", ctx.db)
        crawl("table", ctx.db.thing)
        crawl("index", ctx.db.thing.id)
        crawl("row", ctx.db.thing.id:get(1))
        crawl("far", ctx.db.thing.id:get(1).far)
        crawl("step", (ctx.db.thing:iter()))
        crawl("random", ctx.random)
        crawl("log", ctx.log)
        crawl("stdb", stdb)
        crawl("types", stdb.types)
        crawl("type", stdb.types.u8)
        for _, line in ipairs(found) do print(line) end
      end)]])
    local ok, _, text = world:call "go"
    assert(ok, text)
    local expected = {}
    for path in ([[ctx ctx.sender sender timestamp db table table.insert index index.find row row.gap row.big row.many far step
      random log stdb stdb.table stdb.reject types type]]):gmatch "%S+" do
      expected[path] = true
    end
    for _, line in ipairs(world.log) do
      local path, kind = line:match "^module%.lua:%d+: (%S+) (%S+)"
      assert(not path:find "<meta>", line)
      local is_known = expected[path] or path:find "^ctx%." or path:find "^row%.%a+$"
        or path:find "^stdb%.[%a_]%w*$" or path:find "^types%.[%a_]%w*$" or path:find "^table%.%a+$" or path:find "^index%.%a+$"
      assert(is_known, "reachable: " .. line)
      assert(kind ~= "userdata" and kind ~= "thread", line)
      assert(kind ~= "cdata" or path == "far" or path == "row.far", line)
    end
    world:free()
  end)
end)

describe("callbacks through native functions", function()
  it("end in an ordinary error however they are nested", function()
    load_ok [[
      local function through_gsub(depth) return (("x"):gsub("x", function() return through_gsub(depth + 1) end)) end
      local ok, why = pcall(through_gsub, 1)
      assert(not ok and why:find("nest too deep"), why)

      local function through_sort() table.sort({ 1, 2, 3 }, function() through_sort() return false end) end
      ok, why = pcall(through_sort)
      assert(not ok, why)

      local function through_resume() local co = coroutine.create(through_resume) assert(coroutine.resume(co)) end
      ok, why = pcall(through_resume)
      assert(not ok and why:find("nest too deep"), why)

      local function through_wrap() coroutine.wrap(through_wrap)() end
      ok, why = pcall(through_wrap)
      assert(not ok and why:find("nest too deep"), why)

      local object = setmetatable({}, {})
      getmetatable(object).__tostring = function() return tostring(object) end
      assert(not pcall(tostring, object))
      assert(not pcall(string.format, "%s", object))

      local lazy = setmetatable({}, {})
      getmetatable(lazy).__index = function() return (("x"):gsub("x", lazy)) end
      assert(not pcall(function() return (("x"):gsub("x", lazy)) end))

      local function through_handler() xpcall(error, through_handler) end
      pcall(through_handler)
      local function mixed(depth)
        return (("x"):gsub("x", function() return coroutine.wrap(function() mixed(depth + 1) return "" end)() end))
      end
      assert(not pcall(mixed, 1))]]
  end)

  it("cannot lose count through coroutines that were left in a pcall", function()
    load_ok [[
      -- Each routine stops inside a pcall while little is nested, and goes on when much is.
      local routines = {}
      for place = 1, 1000 do
        routines[place] = coroutine.create(function()
          pcall(coroutine.yield)
          local next_one = routines[place + 1]
          if next_one then assert(coroutine.resume(next_one)) end
        end)
        coroutine.resume(routines[place])
      end
      local ok, why = coroutine.resume(routines[1])
      assert(not ok and tostring(why):find("nest too deep"), why)]]
  end)

  it("count anew after errors", function()
    load_ok [[
      for _ = 1, 1000 do
        pcall(string.gsub, "x", "x", function() error "no" end)
        pcall(table.sort, { 1, 2, 3 }, function() error "no" end)
        coroutine.resume(coroutine.create(function() ("x"):gsub("x", function() error "no" end) end))
        xpcall(error, function() return "handled" end)
      end
      for _ = 1, 1000 do pcall(coroutine.resume, "no coroutine") end
      local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end)
      assert(co(1) == 2 and co(5) == 10)
      assert(("abc"):gsub("%w", { a = "1" }) == "1bc")
      assert(select("#", pcall(function() return 1, nil, nil end)) == 4)
      assert(select("#", xpcall(function(...) return ... end, print, 1, nil)) == 3)]]
  end)
end)

describe("the trusted side", function()
  it("does not run metamethods of tables it is given", function()
    local world = lua_host.world [[
      local stdb = require "stdb"
      local t = stdb.types
      stdb.table("thing", { { "id", t.u32, primary_key = true }, { "name", t.string }, { "list", t.array(t.u8) } })
      local ran = 0
      local function trap() ran = ran + 1 end
      local meta = { __index = trap, __len = trap, __eq = trap, __tostring = trap, __newindex = trap, __call = trap }
      stdb.reducer("go", function(ctx)
        local things = ctx.db.thing
        pcall(things.insert, things, setmetatable({}, meta))
        pcall(things.insert, things, { id = setmetatable({}, meta), name = "x", list = {} })
        pcall(things.insert, things, { id = 1, name = "x", list = setmetatable({}, meta) })
        pcall(things.id.find, things.id, setmetatable({}, meta))
        pcall(things.id.filter, things.id, setmetatable({ from = 1 }, meta))
        pcall(things.id.update, things.id, setmetatable({}, meta))
        pcall(things.id.upsert, things.id, setmetatable({ id = 1 }, meta))
        pcall(things.delete, things, setmetatable({}, meta))
        assert(ran == 0, ran)
      end)]]
    local ok, _, text = world:call "go"
    world:free()
    assert(ok, text)
  end)
end)
