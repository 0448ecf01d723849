--- What a reducer is given: arguments, the caller, time, chance, the log, and its ways to end.
local bsatn = require "spec.support.bsatn"
local lua_host = require "spec.support.lua_host"

local HEAD = 'local stdb = require "stdb"\nlocal t = stdb.types\n'

local function world(text)
  return lua_host.world(HEAD .. text)
end

--- What a reducer without parameters prints.
local function printed(body)
  local made = world('stdb.reducer("go", function(ctx) ' .. body .. " end)")
  local ok, _, text = made:call "go"
  local lines = made.log
  made:free()
  assert(ok, text)
  return table.concat(lines, "\n")
end

describe("arguments", function()
  it("arrive as values", function()
    local made = world [[
      local Color = t.enum("Color", { "Red", "Green" })
      stdb.reducer("go", { { "a", t.u8 }, { "b", t.string }, { "c", t.option(t.string) }, { "d", t.array(t.i16) },
        { "e", Color }, { "f", t.identity }, { "g", t.i64 }, { "h", t.product { { "x", t.f32 } } } },
        function(ctx, a, b, c, d, e, f, g, h)
          print(a, b, c, d[1], d[2], #d, e, f, g, h.x)
        end)]]
    local type_ = bsatn.type [[{ a: u8, b: string, c: option(string), d: [i16], e: < 0 Red: {} | 1 Green: {} >,
      f: Identity, g: i64, h: { x: f32 } }]]
    assert(made:call("go", bsatn.encode(type_, { a = 7, b = "hé", c = { tag = "none" }, d = { -1, 2 },
      e = { tag = "Green", value = {} }, f = ("0"):rep(63) .. "9", g = "9007199254740993", h = { x = 0.5 } })))
    assert.equal("module.lua:7: 7\thé\tnil\t-1\t2\t2\tGreen\t" .. ("0"):rep(63) .. "9\t9007199254740993\t0.5", made.log[1])
    made:free()
  end)
end)

describe("the context", function()
  it("tells who calls and when", function()
    local made = world [[
      stdb.reducer("go", function(ctx)
        print(ctx.sender, ctx.connection_id, ctx.timestamp)
        assert(ctx.sender == ctx.sender and ctx.timestamp == ctx.timestamp)
      end)]]
    made:call "go"
    made.context.timestamp_us = -1
    made.context.sender.at[0] = 8
    made.context.connection.at[0] = 1
    made:call "go"
    assert.equal("module.lua:4: " .. ("07"):rep(32) .. "\tnil\t2023-11-14T22:13:20.000000Z", made.log[1])
    assert.equal("module.lua:4: " .. ("07"):rep(31) .. "08\t" .. ("0"):rep(31) .. "1\t1969-12-31T23:59:59.999999Z",
      made.log[2])
    made:free()
  end)

  it("draws the same when a call is run again, and spreads over the range", function()
    local text = [[
      stdb.reducer("go", function(ctx)
        local counts, sum = { 0, 0, 0, 0, 0, 0 }, 0
        for _ = 1, 6000 do
          local number = ctx.random(6)
          counts[number] = counts[number] + 1
          local x = math.random()
          assert(x >= 0 and x < 1)
          sum = sum + x
        end
        for _, count in ipairs(counts) do assert(count > 850 and count < 1150, count) end
        assert(sum > 2850 and sum < 3150)
        for _ = 1, 1000 do
          local big = ctx.random(-2^52, 2^52)
          assert(big >= -2^52 and big <= 2^52 and math.floor(big) == big)
        end
        print(ctx.random(1000000), ctx.random(5, 5), ctx.random(-3, -3))
      end)]]
    local first, second = world(text), world(text)
    assert(first:call "go")
    assert(second:call "go")
    assert.equal(first.log[1], second.log[1])
    second.context.random_seed = 2
    assert(second:call "go")
    assert.not_equal(second.log[1], second.log[2])
    assert.truthy(second.log[1]:find "\t5\t%-3$")
    first:free()
    second:free()
  end)

  it("refuses intervals that are none", function()
    for _, bad in ipairs { "0", "2, 1", "0.5", "'6'", "1, 1/0", "0/0" } do
      local made = world('stdb.reducer("go", function(ctx) ctx.random(' .. bad .. ") end)")
      local ok, _, text = made:call "go"
      assert.is_nil(ok)
      assert.truthy(text:find("^module%.lua:3: bad argument #%d to 'random'"), text)
      made:free()
    end
  end)

  it("cannot be changed, and names its fields", function()
    for body, expected in pairs {
      ["ctx.sender = 1"] = "the context cannot be changed",
      ["local x = ctx.sendr"] = "the context has no field `sendr`; did you mean `sender`?",
    } do
      local made = world('stdb.reducer("go", function(ctx) ' .. body .. " end)")
      local _, _, text = made:call "go"
      assert.truthy(text:find("module.lua:3: " .. expected, 1, true), text)
      made:free()
    end
  end)
end)

describe("the log", function()
  it("has levels, patterns and the module's line", function()
    assert.equal("module.lua:3: a\nmodule.lua:3: b 5 %\nmodule.lua:3: 100%\n"
      .. "module.lua:3: x\tnil\ttrue\ttable\t9007199254740993",
      printed [[ctx.log.info "a" stdb.log.warn("b %d %%", 5) ctx.log.error "100%" print("x", nil, true, {}, 2LL^53 + 1)]])
  end)

  it("writes while loading, too", function()
    local made = assert(lua_host.load 'print "hello"')
    assert.equal("module.lua:1: hello", made.log[1])
  end)
end)

describe("a refusal", function()
  it("reaches the caller in the module's words", function()
    local made = world [[
      stdb.reducer("plain", function() stdb.reject "100% no" end)
      stdb.reducer("pattern", function() stdb.reject("no %s, %d times", "way", 3) end)
      stdb.reducer("again", function() local ok, why = pcall(stdb.reject, "first") error(why) end)
      stdb.reducer("caught", function() pcall(stdb.reject, "first") end)]]
    local function outcome(name)
      local ok, code, text = made:call(name)
      return ok, code, text
    end
    assert.same({ nil, 204, "refused: 100% no" }, { outcome "plain" })
    assert.same({ nil, 204, "refused: no way, 3 times" }, { outcome "pattern" })
    assert.same({ nil, 204, "refused: first" }, { outcome "again" })
    assert.is_true((outcome "caught"))
    made:free()
  end)
end)
