--- Calls that do not end, eat memory or overflow the native stack: each is ended, and the next one works.
local host = require "spec.support.host"

local function module_with(body)
  return [[
local stdb = require "stdb"
local n = 0
stdb.reducer("nothing", function() end)
stdb.reducer("bad", function()
]] .. body .. [[

end)
]]
end

local OUT_OF_TIME, OUT_OF_MEMORY, FAILED = 301, 302, 205

--- Runs `bad` twice with a good call after each, on the first thread and on another.
local function expect_ended(body, code)
  local output, in_order = host.run(module_with(body), "call=50", "call", "nothing", "call", "bad", "call", "nothing",
    "call", "bad", "call", "nothing", "thread", "call", "bad", "call", "nothing", "took")
  assert.is_true(in_order, output)
  local outcomes = {}
  for name, outcome in output:gmatch("\n?(%l+): (%S+)") do
    if name == "bad" or name == "nothing" then
      outcomes[#outcomes + 1] = name .. " " .. outcome
    end
  end
  local bad = "bad " .. code
  assert.same({ "nothing ok", bad, "nothing ok", bad, "nothing ok", bad, "nothing ok" }, outcomes, output)
end

describe("a call that does not end", function()
  local loops = {
    ["an empty loop"] = "while true do end",
    ["a compiled loop"] = "for i = 1, 1e15 do n = n + i end",
    ["a loop of calls"] = "local function f(x) return f(x + 1) end f(1)",
    ["a loop that catches errors"] = 'while true do pcall(error, "x") end',
    ["a loop in a loop that catches errors"] = [[while true do
      pcall(function() while true do n = n + 1 end end)
    end]],
    ["a loop in an error handler"] = "xpcall(function() local a = nil; a() end, function() while true do end end)",
    ["a loop over pairs"] = "local t = { 1, 2, a = 3 } while true do for _ in pairs(t) do n = n + 1 end end",
    ["a loop of coroutines"] = [[while true do
      local routine = coroutine.wrap(function() coroutine.yield(1) end)
      routine() routine()
    end]],
    ["a loop inside a coroutine"] = "coroutine.wrap(function() while true do end end)()",
    ["a loop of garbage"] = "while true do n = { n = {} } n = 0 end",
    ["a loop of strings"] = 'while true do n = #("x" .. n % 1000) end',
    ["a loop inside a sort"] = [[local t = {}
      for i = 1, 100 do t[i] = i end
      table.sort(t, function() while true do end end)]],
    ["a loop inside a gsub"] = '("x"):gsub("x", function() while true do end end)',
    ["a metamethod that loops"] = "local t = setmetatable({}, { __index = function() while true do end end }) n = t.x",
  }
  for name, body in pairs(loops) do
    it("is ended: " .. name, function()
      expect_ended(body, OUT_OF_TIME)
    end)
  end

  it("is ended inside a library function too", function()
    expect_ended('string.find(("a"):rep(3000), ("a?"):rep(34) .. ("a"):rep(3000) .. "b")', OUT_OF_TIME)
    expect_ended('string.find(("a"):rep(100000), ".-.-.-.-b")', OUT_OF_TIME)
  end)

  it("is ended inside a function of the C library too", function()
    local body = 'n = ("a"):rep(1.5e7):find(("a"):rep(5e6) .. "b", 1, true)'
    expect_ended(body, OUT_OF_TIME)
    local output = host.run(module_with(body), "call=50", "call", "bad*3", "took")
    assert.is_true(host.number(output, "took") < 5000, output)
  end)

  it("is ended soon after its time", function()
    local output = host.run(module_with "while true do end", "call=100", "call", "bad*10", "took")
    assert.is_true(host.number(output, "took") >= 1000, output)
    assert.is_true(host.number(output, "took") < 10000, output)
  end)

  it("is ended although nothing was called for so long that nobody watched any more", function()
    local output = host.run(module_with "while true do end", "call=50", "call", "nothing", "asleep", "call", "bad",
      "call", "nothing", "asleep", "call", "bad")
    assert.truthy(output:find("nothing: ok\nasleep: yes\n.*bad: 301 .*nothing: ok\nasleep: yes\n.*bad: 301 "), output)
  end)

  it("is told with the line it was left at", function()
    local output = host.run(module_with "while true do\n  n = n + 1\nend", "call=50", "call", "bad")
    assert.truthy(output:find("log 0 bad module.lua:[56] reducer was stopped after 50 ms %(error %x+%)"), output)
    assert.truthy(output:find("\n>    [56] | "), output)
    local told = "\nbad: 301 The reducer was stopped after 50 ms %(error %x+%); see the module's log%."
    assert.truthy(output:find(told), output)
  end)

  it("leaves no memory behind, two hundred times", function()
    local body = "local t = {} for i = 1, 1e4 do t[i] = { i } end while true do n = n + 1 end"
    local output = host.run(module_with(body), "call=1", "call", "bad*20", "memory", "call", "bad*200", "memory")
    local before, after = output:match("memory: (%d+).*memory: (%d+)")
    assert.is_true(after - before < 2048, output)
  end)
end)

describe("a call that eats memory", function()
  local bombs = {
    ["many tables"] = "local t = {} for i = 1, 1e9 do t[i] = {} end",
    ["a growing string"] = 'local s = "x" while true do s = s .. s end',
    ["one huge string"] = 'n = ("x"):rep(1e9)',
    ["a growing string that catches errors"] = [[while true do
      pcall(function() local s = "x" while true do s = s .. s end end)
    end]],
    ["many closures"] = "local t = {} while true do t[#t + 1] = function() return t end end",
    ["many coroutines"] = "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
  }
  for name, body in pairs(bombs) do
    it("is ended: " .. name, function()
      local output, in_order = host.run(module_with(body), "call=5000", "memory=16", "call", "nothing", "memory",
        "call", "bad*3", "call", "nothing", "memory")
      assert.is_true(in_order, output)
      assert.truthy(output:find("\nbad: (%d+)"), output)
      assert.equal(OUT_OF_MEMORY, host.number(output, "bad"), output)
      assert.truthy(output:find("nothing: ok\nmemory: %d+\n$"), output)
      local before, after = output:match("memory: (%d+).*memory: (%d+)")
      assert.is_true(after - before < 4096, output)
    end)
  end
end)

describe("a call that leaves garbage", function()
  it("leaves the next one its memory", function()
    local output = host.run(module_with 'n = n + 1  local text = ("x"):rep(3e6 + n)', "memory=16", "call", "bad*100")
    assert.equal("bad: ok\n", output)
  end)

  it("is refused only what it cannot have beside what is kept", function()
    local body = 'n = n + 1  if n < 7 then kept[n] = ("y"):rep(1e6 + n) end  local text = ("x"):rep(2e6 + n)'
    local output = host.run("local kept = {}\n" .. module_with(body), "memory=16", "call", "bad*100")
    assert.equal("bad: ok\n", output)
  end)
end)

describe("a call that nests too deep in native code", function()
  local nests = {
    ["gsub"] = 'local function f() return (("a"):gsub("a", f)) end f()',
    ["coroutines"] = "local function f() return coroutine.wrap(f)() end f()",
    ["a mixture that catches errors"] = [[local function f()
      ("a"):gsub("a", function() coroutine.wrap(function() pcall(f) error("x") end)() end)
    end f()]],
    ["plain recursion"] = "local function f() return 1 + f() end f()",
  }
  for name, body in pairs(nests) do
    it("fails like any other: " .. name, function()
      expect_ended(body, FAILED)
    end)
  end
end)
