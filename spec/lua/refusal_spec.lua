--- Calls that are refused often run otherwise than others, and nothing tells the difference.
local lua_host = require "spec.support.lua_host"

local MODULE = [[
local stdb = require "stdb"
stdb.reducer("refuse", function() stdb.reject("no %s", "way") end)
local function deep(levels) if levels == 0 then stdb.reject "deep" end deep(levels - 1) return levels end
local function hurt(player) return player.health end

stdb.reducer("fine", function() end)
stdb.reducer("empty", function() stdb.reject "" end)
stdb.reducer("below", function() deep(1000) end)
stdb.reducer("caught", function() pcall(stdb.reject, "first") xpcall(stdb.reject, print, "second") end)
stdb.reducer("caught_deep", function() pcall(deep, 5) end)
stdb.reducer("caught_before", function() pcall(error) pcall(stdb.reject, "first") stdb.reject "second" end)
stdb.reducer("raised_again", function() local _, why = pcall(stdb.reject, "first") error(why) end)
stdb.reducer("handler", function() xpcall(error, function() stdb.reject "in a handler" end) end)
stdb.reducer("callback", function() ("x"):gsub("x", function() stdb.reject "in a callback" end) end)
stdb.reducer("sorted", function() table.sort({ 2, 1 }, function() stdb.reject "in an order" end) end)
stdb.reducer("routine", function() coroutine.wrap(function() stdb.reject "in a coroutine" end)() end)
stdb.reducer("resumed", function()
  local ok, why = coroutine.resume(coroutine.create(function() stdb.reject "first" end))
  print(ok, type(why))
end)
stdb.reducer("after_routine", function()
  local co = coroutine.wrap(function() pcall(coroutine.yield, 1) return 2 end)
  print(co())
  print(pcall(function() print(co()) stdb.reject "caught" end))
  stdb.reject "not caught"
end)
stdb.reducer("loop", function() for _, word in ipairs { "a", "b" } do stdb.reject(word) end end)
stdb.reducer("wrong", function() stdb.reject("%d", "x") end)
stdb.reducer("text", function() error "a mistake" end)
stdb.reducer("table", function() error {} end)
stdb.reducer("nothing", function() error(nil) end)
stdb.reducer("index", function() local health = hurt(nil) return health end)
stdb.reducer("order", function()
  local sum = 0
  table.sort({ 2, 1 }, function(a) sum = sum + hurt(a) return false end)
  return sum
end)
stdb.reducer("wrapped", function() coroutine.wrap(function() return hurt(nil) .. "" end)() end)
stdb.reducer("endless_recursion", function() local function f() return 1 + f() end return f() end)
stdb.reducer("running", function() print(coroutine.running(), coroutine.isyieldable()) end)
stdb.reducer("yield", function() coroutine.yield(1) end)
stdb.reducer("yields", function()
  local co = coroutine.create(function()
    print(coroutine.isyieldable(), type(coroutine.running()))
    print(coroutine.yield(1))
  end)
  print(coroutine.resume(co)) print(coroutine.resume(co, 2)) print(coroutine.status(co))
end)
stdb.reducer("endless", function() while true do end end)
stdb.reducer("huge", function() return (("x"):rep(2 ^ 31)) end)
stdb.reducer("grows", function() local t = {} while true do t[#t + 1] = ("x"):rep(1000) .. #t end end)
]]

local NAMES = [[fine empty below caught caught_deep caught_before raised_again handler callback sorted routine resumed
  after_routine loop wrong text table nothing index order wrapped endless_recursion running yield yields endless huge
  grows]]

--- What calls give and log, each after `before` refused ones: a VM that had to be left begins anew.
local function outcomes(before)
  local world, seen = lua_host.world(MODULE, 100000), {}
  for name in NAMES:gmatch "%S+" do
    for _ = 1, before do
      assert.same({ nil, 204, "refused: no way" }, { world:call "refuse" })
    end
    local first = #world.log + 1
    local ok, code = world:call(name)
    local log = table.concat(world.log, "\n", first):gsub("error %x+", "error")
    seen[name] = ("%s %s\n%s"):format(ok, code, log)
  end
  world:free()
  return seen
end

describe("a refusal", function()
  it("is the same, as all other calls are, when many were refused before", function()
    local seldom, often = outcomes(0), outcomes(300)
    for name, outcome in pairs(seldom) do
      assert.equal(outcome, often[name], name)
    end
    assert.truthy(seldom.order:find("module.lua:4: in function 'hurt'\nmodule.lua:", 1, true), seldom.order)
    assert.truthy(seldom.yield:find("module.lua:41: coroutine.yield: no coroutine runs here", 1, true), seldom.yield)
    assert.equal("true nil\nmodule.lua:40: nil\tfalse", seldom.running)
    assert.equal("nil 204\nrefused: in a callback", seldom.callback)
  end)

  it("leaves no memory behind, however many there are", function()
    local world = lua_host.world [[
      local stdb = require "stdb"
      stdb.reducer("refuse", function()
        local rows = {}
        for place = 1, 400 do rows[place] = { place } end
        stdb.reject("no %d", #rows)
      end)]]
    for _ = 1, 20000 do
      local _, code = world:call "refuse"
      assert(code == 204, code)
    end
    world:free()
  end)

  it("keeps the locals of the call for the functions that outlive it", function()
    local world = lua_host.world [[
      local stdb = require "stdb"
      local kept = {}
      stdb.reducer("keep", function()
        local count = #kept
        kept[#kept + 1] = function() count = count + 1 return count end
        stdb.reject "no"
      end)
      stdb.reducer("ask", function()
        for place, ask in ipairs(kept) do assert(ask() == place) end
      end)]]
    for _ = 1, 5000 do world:call "keep" end
    assert.is_true((world:call "ask"))
    world:free()
  end)

  it("is one in a file that the call requires, and the file can be required again", function()
    local world = lua_host.world {
      ["module.lua"] = [[
        local stdb = require "stdb"
        stdb.reducer("refuse", function() stdb.reject "no" end)
        stdb.reducer("part", function() require "part" end)]],
      ["part.lua"] = [[require("stdb").reject "from a part"]],
    }
    for _ = 1, 300 do world:call "refuse" end
    for _ = 1, 2 do
      assert.falsy(select(3, world:call "part"):find "still being loaded")
    end
    world:free()
  end)
end)
