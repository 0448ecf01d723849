--- Identities, times and wide integers: values that are small, immutable and their own keys.
local lua_host = require "spec.support.lua_host"

local use = lua_host.parts()
local values = use "times"
local digits = ("0123456789abcdef"):rep(4)

describe("a value", function()
  it("is the same table whenever it is equal", function()
    local first, second = values.identity.make(digits), values.identity.make(digits)
    assert.is_true(first == second)
    assert.equal("seen", ({ [first] = "seen" })[second])
    assert.is_true(values.timestamp.make(5) == values.timestamp.make(5LL))
    assert.is_true(values.u128.make(7) == values.u128.make("7"))
    assert.is_true(values.timestamp.make(2LL ^ 60) == values.timestamp.make(2 ^ 60))
  end)

  it("stays equal to itself while the garbage collector works", function()
    local seen = {}
    for number = 1, 20000 do
      local value = values.duration.make(number)
      seen[value] = number
      if number % 1000 == 0 then
        collectgarbage()
      end
    end
    for number = 1, 20000 do
      assert(seen[values.duration.make(number)] == number)
    end
  end)

  it("lets go of what nobody holds", function()
    collectgarbage()
    local before = collectgarbage "count"
    for number = 1, 200000 do
      values.uuid.intern(("%016d"):format(number))
    end
    collectgarbage()
    collectgarbage()
    -- The weak tables keep their slots until they are next resized, nothing else.
    for number = 1, 10 do
      values.uuid.intern(("%016d"):format(number))
    end
    assert.is_true(collectgarbage "count" - before < 25000)
  end)

  it("prints, joins with texts and parses from what it prints", function()
    assert.equal(digits, tostring(values.identity.make(digits)))
    assert.equal("id " .. digits, "id " .. values.identity.make(digits))
    local uuid = "00112233-4455-6677-8899-aabbccddeeff"
    assert.equal(uuid, tostring(values.uuid.intern(("\255\238\221\204\187\170\153\136wfUD3\"\17\0"))))
    assert.equal("-170141183460469231731687303715884105728",
      tostring(values.i128.make "-170141183460469231731687303715884105728"))
    assert.equal("18446744073709551615", tostring(values.u128.make(0xffffffffffffffffULL)))
    assert.equal("-1", tostring(values.i256.make(-1)))
    assert.equal("1.5s", tostring(values.duration.make { milliseconds = 1500 }))
    assert.equal("-2s", tostring(values.duration.make(-2000000)))
    assert.equal("0.00001s", tostring(values.duration.make(10)))
    assert.equal("100s", tostring(values.duration.make { seconds = 100 }))
  end)

  it("has an order among its own kind", function()
    local low, high = values.identity.make(("0"):rep(63) .. "1"), values.identity.make("1" .. ("0"):rep(63))
    assert.is_true(low < high)
    assert.is_false(high < low)
    assert.is_true(low <= low)
    assert.is_true(values.i128.make(-5) < values.i128.make(3))
    assert.is_true(values.i128.make(-5) < values.i128.make(-4))
    assert.is_true(values.u256.make(255) < values.u256.make(256))
    assert.is_true(values.timestamp.make(5) < values.timestamp.make(6))
    assert.error_matches(function() return low < values.u256.make(1) end, "attempt to compare")
    assert.error_matches(function() return values.timestamp.make(1) < values.duration.make(2) end, "attempt to compare")
  end)

  it("cannot be changed", function()
    local value = values.identity.make(digits)
    assert.error_matches(function() value.name = 1 end, "cannot be changed")
    assert.error_matches(function() return value.name end, "has no field `name`")
    assert.is_false(getmetatable(value))
    assert.is_nil(next(value))
  end)

  it("refuses what it cannot be made from", function()
    for _, wrong in ipairs { "", "xyz", digits .. "0", 5, true, {} } do
      assert.error_matches(function() values.identity.make(wrong) end, "64 hex digits")
    end
    assert.error_matches(function() values.u128.make(-1) end, "fits u128")
    assert.error_matches(function() values.u128.make(0.5) end, "fits u128")
    assert.error_matches(function() values.i128.make "12x" end, "fits i128")
    assert.error_matches(function() values.duration.make { second = 1 } end, "no `second`")
    assert.error_matches(function() values.duration.make { s = 1 } end, "no `s`; it has days, hours, minutes, seconds")
    assert.error_matches(function() values.duration.make { seconds = "1" } end, "expected a number")
    assert.error_matches(function() values.duration.make { days = 1e300 } end, "longer than")
    assert.error_matches(function() values.duration.make(values.identity.make(digits)) end, "is not a duration")
    assert.error_matches(function() values.timestamp.make(0.5) end, "whole microseconds")
  end)
end)

describe("times", function()
  local function at(micros) return values.timestamp.make(micros) end
  local function span(micros) return values.duration.make(micros) end

  it("add and subtract", function()
    assert.equal(at(15), at(10) + span(5))
    assert.equal(at(15), span(5) + at(10))
    assert.equal(at(5), at(10) - span(5))
    assert.equal(span(-5), at(5) - at(10))
    assert.equal(span(7), span(4) + span(3))
    assert.equal(span(1), span(4) - span(3))
    assert.equal(span(-4), -span(4))
  end)

  it("tell their microseconds and seconds", function()
    assert.equal(1500000, span(1500000).micros)
    assert.equal(1.5, span(1500000).seconds)
    assert.equal("cdata", type(at(2LL ^ 60).micros))
  end)

  it("refuse sums that mean nothing or cannot be stored", function()
    assert.error_matches(function() return at(1) + at(2) end, "timestamp and a duration")
    assert.error_matches(function() return at(1) + 5 end, "timestamp and a duration")
    assert.error_matches(function() return span(1) - at(2) end, "taken")
    assert.error_matches(function() return at(0x7fffffffffffffffLL) + span(1) end, "beyond")
    assert.error_matches(function() return at(-0x7fffffffffffffffLL) - span(2) end, "beyond")
  end)
end)
