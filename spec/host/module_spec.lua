--- Loading modules and calling their reducers: what is told when something is wrong, and to whom.
local host = require "spec.support.host"

local HEAD = 'local stdb = require "stdb"\n'

--- What loading this module says.
local function load_message(module, ...)
  local output, in_order = host.run(module, "load=300", ...)
  assert.is_true(in_order, output)
  return output
end

describe("loading a module", function()
  it("names the line of a syntax error and shows the lines around it", function()
    assert.equal([[
load: 205 module.lua:4: '<name>' expected near '='
     1 | local a = 1
     2 | local b = 2
     3 | local c = 3
>    4 | local = 4
     5 | local e = 5
     6 | local f = 6
]], load_message("local a = 1\nlocal b = 2\nlocal c = 3\nlocal = 4\nlocal e = 5\nlocal f = 6\nlocal g = 7"))
  end)

  it("names the line where the file ends too early", function()
    local said = "load: 205 module.lua:2: 'end' expected (to close 'for' at line 1) near '<eof>'"
    assert.equal(said .. "\n     1 | for a = 1, 2 do\n>    2 | \n", load_message("for a = 1, 2 do\n"))
  end)

  it("names the line of an error while it runs, in any file", function()
    local output = load_message { ["module.lua"] = 'require "rules"', ["rules.lua"] = "local a\n\na.b = 1\n" }
    local said = "^load: 205 rules%.lua:3: attempt to index local 'a' %(a nil value%)\n     1 | local a\n"
    assert.truthy(output:find(said), output)
  end)

  it("names the line that requires what is not there", function()
    local output = load_message(HEAD .. '\nrequire "rules"')
    assert.truthy(output:find("^load: 205 module%.lua:3: [^\n]*rules[^\n]*\n"), output)
    assert.truthy(output:find('\n>    3 | require "rules"'), output)
  end)

  it("reads nothing outside its folder", function()
    for _, name in ipairs { "../secret", "..", "/etc/passwd", "a/../../b", "" } do
      local output = load_message(HEAD .. ("require %q"):format(name))
      assert.truthy(output:find("^load: 205 module%.lua:2: "), output)
    end
  end)

  it("takes source text only", function()
    local output = load_message { ["module.lua"] = 'require "made"', ["made.lua"] = string.dump(function() end) }
    assert.truthy(output:find("^load: 205 module%.lua:1: [^\n]*compiled"), output)
  end)

  it("says where it was stopped when it does not end", function()
    local output = load_message("local n = 0\nwhile true do\n  n = n + 1\nend")
    local said = "^load: 301 module%.lua:[23]: loading was stopped after 300 ms: is this an endless loop%?\n"
    assert.truthy(output:find(said), output)
  end)

  it("says where it was stopped when it eats memory", function()
    local output = load_message("local t = {}\nwhile true do\n  t[#t + 1] = {}\nend", "memory=16")
    assert.truthy(output:find("^load: 302 module%.lua:[23]: loading needs more than the 16 MiB of memory"), output)
  end)

  it("describes an error that is not a text, and runs nothing for it", function()
    local output = load_message("error(setmetatable({}, { __tostring = function() while true do end end }))")
    assert.truthy(output:find("^load: 205 module%.lua:1: error value is a table\n"), output)
  end)

  it("shows bytes that are not UTF-8 as question marks", function()
    local output = load_message('error("caf\\255", 0)')
    assert.truthy(output:find("caf?", 1, true), output)
  end)

  it("says what is missing when there is no module", function()
    local output = load_message { ["other.lua"] = "" }
    assert.truthy(output:find("^load: 401 /.+: module%.lua: No such file or directory\n"), output)
  end)

  it("points at what a refused description is about", function()
    local output = load_message(HEAD .. [[
stdb.table("player", { { "id", stdb.types.u32, primary_key = true } })
stdb.table("player", { { "id", stdb.types.u32, primary_key = true } })]])
    assert.truthy(output:find("^load: %d+ module%.lua:3: "), output)
    assert.truthy(output:find("\n>    3 | stdb.table", 1, true), output)
  end)
end)

describe("calling a reducer", function()
  local function call(body, ...)
    local output, in_order = host.run(HEAD .. body, ...)
    assert.is_true(in_order, output)
    return output
  end

  it("gives a refusal's own words to the caller and a line to the log", function()
    local output = call('stdb.reducer("a", function() stdb.reject "say something" end)', "call", "a")
    assert.equal("log 2 a :0 refused: say something\na: 204 say something\n", output)
  end)

  it("tells the caller of a failure no more than where to look", function()
    local output = call([[
local function damage(player)
  return player.health
end
stdb.reducer("hit", function()
  local health = damage(nil)
  return health
end)]], "call", "hit")
    local id = output:match("\nhit: 205 The reducer failed %(error (%x%x%x%x%x%x%x%x)%); see the module's log%.\n$")
    assert.truthy(id, output)
    assert.equal(([[
log 0 hit module.lua:3 attempt to index local 'player' (a nil value) (error %s)
     1 | local stdb = require "stdb"
     2 | local function damage(player)
>    3 |   return player.health
     4 | end
     5 | stdb.reducer("hit", function()
stack:
module.lua:3: in function 'damage'
module.lua:6: in the function of line 5
]]):format(id), output:match("^(.*)hit: 205"))
  end)

  it("says what a module has instead of os and io", function()
    local output = call('stdb.reducer("a", function() return os.time() end)', "call", "a")
    assert.matches("global 'os' %(a nil value%); a module has no os: the time of a call is ctx.timestamp %(error", output)
    output = call('stdb.reducer("a", function() io.write "x" end)', "call", "a")
    assert.matches("global 'io' %(a nil value%); a module has no io", output)
  end)

  it("names the line of the declaration where the stack has none of the module's", function()
    local output = call('stdb.reducer("later", function() return stdb.timestamp "soon" end)', "call", "later")
    assert.truthy(output:find("^log 0 later module%.lua:2 .* %(error %x+%)\n"), output)
    assert.truthy(output:find("\n>    2 | stdb.reducer(", 1, true), output)
  end)

  it("names the module's line and none of the library's own where a library function raises", function()
    local output = call([[
stdb.reducer("show", function()
  local text = ("%99999d"):format(1)
  return text
end)]], "call", "show")
    assert.truthy(output:find("^log 0 show module%.lua:3 invalid option '%%999' to 'format' %(error %x+%)\n"), output)
  end)

  it("tells the caller nothing of the source when the module cannot be loaded again", function()
    -- The order of keys follows from addresses, so this module loads at some places in memory and fails at others.
    local module = HEAD .. [[
local keys = {}
for value = 1, 64 do keys[{}] = value end
local sum, place = 0, 0
for _, value in pairs(keys) do place = place + 1 sum = sum + place * value end
if sum % 2 == 0 then error "secret" end
stdb.reducer("endless", function() while true do end end)]]
    local output
    for _ = 1, 200 do
      output = host.run(module, "call=1", "call", "endless", "thread", "call", "endless", "thread", "call", "endless",
        "thread", "call", "endless")
      if output:find "endless: 205" then break end
    end
    assert.truthy(output:find("\nlog 0  :0 module.lua:6: secret\n", 1, true), output)
    local told = "endless: 205 The module cannot be loaded again after a call that was stopped; see its log.\n"
    assert.truthy(output:find(told, 1, true), output)
    assert.falsy(output:find("endless: 205 [^\n]*secret"), output)
  end)

  it("cuts a long refusal at a character", function()
    local output = call('stdb.reducer("a", function() stdb.reject("x" .. ("\195\169"):rep(1e6)) end)', "call", "a")
    local told = output:match "\na: 204 x([^\n]*)\n$"
    assert.is_true(told ~= nil and #told > 1000 and #told < 1500, output)
    assert.equal("", (told:gsub("\195\169", "")))
  end)

  it("looks for no line that a module made up", function()
    local output = call('stdb.reducer("a", function() error("module.lua:2147483647: oops", 0) end)', "call", "a")
    assert.truthy(output:find("log 0 a module.lua:2147483647 oops (error ", 1, true), output)
  end)

  it("keeps a caught refusal to itself", function()
    local output = call('stdb.reducer("a", function() pcall(stdb.reject, "no") end)', "call", "a")
    assert.equal("a: ok\n", output)
  end)

  it("logs with file and line", function()
    local output = call('stdb.reducer("a", function(ctx)\n  ctx.log.warn("low") print("hi")\nend)', "call", "a")
    assert.equal("log 1 a module.lua:3 low\nlog 2 a module.lua:3 hi\na: ok\n", output)
  end)

  it("drops what a call logs beyond 64 KiB, and says so", function()
    local output = call('stdb.reducer("a", function() for i = 1, 1e4 do print(("x"):rep(1000)) end end)', "call", "a")
    assert.is_true(#output < 80000)
    assert.truthy(output:find("\nlog 1 a module.lua:2 this call has logged 64 KiB[^\n]*\na: ok\n$"), output)
  end)

  it("keeps state in Lua only until a call has to be ended", function()
    local output = call([[
local n = 0
stdb.reducer("count", function() n = n + 1 print(n) end)
stdb.reducer("spin", function() while true do end end)]], "call=50", "call", "count*2", "call", "spin", "call", "count")
    assert.truthy(output:find("^log 2 count module.lua:3 1\nlog 2 count module.lua:3 2\n"), output)
    assert.truthy(output:find("\nlog 2 count module.lua:3 1\ncount: ok\n$"), output)
  end)

  it("walks over the rows that were there when the walk began, less those deleted since", function()
    local output = call([[
local t = stdb.types
stdb.table("item", { { "id", t.u32, primary_key = true }, { "kind", t.u32, index = "btree" } })
stdb.reducer("walk", function(ctx)
  local item = ctx.db.item
  for id = 1, 5 do item:insert { id = id, kind = id % 2 } end
  local seen = {}
  for row in item:iter() do
    seen[#seen + 1] = row.id
    if row.id == 1 then item.id:delete(3) item:insert { id = 9, kind = 1 } end
  end
  table.sort(seen)
  print(table.concat(seen, " "))
  for _ = 1, 1000 do for _ in item:iter() do break end end
  local kinds = {}
  for row in item.kind:filter(1) do for other in item.kind:filter(0) do kinds[#kinds + 1] = row.id .. other.id end end
  table.sort(kinds)
  print(table.concat(kinds, " "))
end)]], "call", "walk")
    assert.truthy(output:find("log 2 walk module.lua:%d+ 1 2 4 5\n"), output)
    assert.truthy(output:find("log 2 walk module.lua:%d+ 12 14 52 54 92 94\nwalk: ok\n"), output)
  end)

  it("changes the tables, and brings them back when it fails", function()
    local output = call([[
local t = stdb.types
stdb.table("player", { { "id", t.u32, primary_key = true }, { "name", t.string, index = "btree" } })
stdb.reducer("add", function(ctx)
  for id = 1, 5 do ctx.db.player:insert { id = id, name = "p" .. id } end
end)
stdb.reducer("fail", function(ctx) ctx.db.player:insert { id = 9, name = "x" } error "no" end)
stdb.reducer("clear", function(ctx)
  for row in ctx.db.player:iter() do ctx.db.player.id:delete(row.id) end
end)
stdb.reducer("show", function(ctx)
  local names = {}
  for row in ctx.db.player:iter() do names[#names + 1] = row.name end
  table.sort(names)
  print(ctx.db.player:count(), table.concat(names, " "))
end)]], "call", "add", "call", "show", "call", "fail", "call", "show", "call", "clear", "call", "show")
    local shown = {}
    for text in output:gmatch("log 2 show [^\n]-:%d+ ([^\n]*)") do
      shown[#shown + 1] = text
    end
    assert.same({ "5\tp1 p2 p3 p4 p5", "5\tp1 p2 p3 p4 p5", "0\t" }, shown, output)
  end)
end)
