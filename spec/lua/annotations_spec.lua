--- What the editor is told of the API in stdlib/stdb.d.lua is what a module finds.
local lua_host = require "spec.support.lua_host"
local server = require "spec.support.server"

local text = server.read_file "stdlib/stdb.d.lua"
local use = lua_host.parts()

local function sorted(list)
  table.sort(list)
  return list
end

--- The names that a pattern captures, in order.
local function told(...)
  local names = {}
  for _, pattern in ipairs { ... } do
    for name in ("\n" .. text):gmatch("\n" .. pattern) do names[#names + 1] = name end
  end
  return sorted(names)
end

--- The named fields of a class.
local function fields_of(class)
  local names = {}
  local block = assert(text:match("%-%-%-@class " .. class:gsub("%.", "%%.") .. "%f[%s:].-\n\n"), class)
  for name in block:gmatch "\n%-%-%-@field ([%a_][%w_]*)" do names[#names + 1] = name end
  return sorted(names)
end

--- The names behind a locked table.
local function names_in(locked)
  local names = {}
  for name in pairs(debug.getmetatable(locked).__index) do names[#names + 1] = name end
  return sorted(names)
end

describe("the annotations tell", function()
  local stdb = assert(loadfile "stdlib/stdb.lua")(use "core")

  it("of every function of stdb, and of no other", function()
    assert.same(names_in(stdb), told("function stdb%.([%w_]+)", "stdb%.([%w_]+) ="))
    assert.same(names_in(stdb.on), told "function on%.([%w_]+)")
    assert.same(names_in(stdb.log), told "function log%.([%w_]+)")
  end)

  it("of every type", function()
    local names = told "function types%.([%w_]+)"
    for _, name in ipairs(fields_of "stdb.Types") do names[#names + 1] = name end
    assert.same(names_in(stdb.types), sorted(names))
  end)

  it("of every library and function of Lua's that a module has", function()
    local has, body = {}, {}
    for name in assert(text:match "Of Lua there is: (.-) and bit%."):gsub("\n%-%-", ""):gmatch "[%w_]+" do has[name] = true end
    has.bit, has._VERSION = true, true
    for name in pairs(_G) do
      body[#body + 1] = ("assert((%s ~= nil) == %s, %q)"):format(name, tostring(has[name] or false), name)
    end
    local world, why = lua_host.load(table.concat(body, "\n"))
    assert(world, why)
    assert.is_true(#body > 40)
  end)

  it("of functions that tables, indexes and values have", function()
    local body = { 'local stdb = require "stdb"', 'stdb.table("p", { { "id", stdb.types.u64, primary_key = true } })',
      'stdb.reducer("go", function(ctx) local found' }
    local function look(subject, names)
      for _, name in ipairs(names) do body[#body + 1] = ("found = %s.%s"):format(subject, name) end
    end
    look("ctx.db.p", told "function Table:([%w_]+)")
    look("ctx.db.p.id", told("function Unique:([%w_]+)", "function Index:([%w_]+)"))
    look("ctx", fields_of "stdb.Context")
    look("ctx.timestamp", fields_of "stdb.Timestamp")
    look("stdb.duration(5)", fields_of "stdb.Duration")
    body[#body + 1] = "end)"
    local world = lua_host.world(table.concat(body, "\n"))
    local ok, _, why = world:call "go"
    world:free()
    assert(ok, why)
    assert.is_true(#body > 25)
  end)
end)
