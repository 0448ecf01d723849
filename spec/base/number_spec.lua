local base = require "spec.support.base"
local bit = require "bit"
local ffi = require "ffi"
local C = base.C

describe("number", function()
  it("prints the ends of every width", function()
    local ends = {
      [1] = { "127", "-128", "255" },
      [2] = { "32767", "-32768", "65535" },
      [4] = { "2147483647", "-2147483648", "4294967295" },
      [8] = { "9223372036854775807", "-9223372036854775808", "18446744073709551615" },
      [16] = { "170141183460469231731687303715884105727", "-170141183460469231731687303715884105728",
               "340282366920938463463374607431768211455" },
      [32] = { "57896044618658097711785492504343953926634992332820282019728792003956564819967",
               "-57896044618658097711785492504343953926634992332820282019728792003956564819968",
               "115792089237316195423570985008687907853269984665640564039457584007913129639935" },
    }
    for size, texts in pairs(ends) do
      local high, low, all = ("\255"):rep(size - 1) .. "\127", ("\0"):rep(size - 1) .. "\128", ("\255"):rep(size)
      assert.equal(texts[1], base.number_print(high, true))
      assert.equal(texts[2], base.number_print(low, true))
      assert.equal(texts[3], base.number_print(all, false))
      assert.equal("-1", base.number_print(all, true))
      assert.equal("0", base.number_print(("\0"):rep(size), true))
      assert.equal(high, base.number_parse(texts[1], size, true))
      assert.equal(low, base.number_parse(texts[2], size, true))
      assert.equal(all, base.number_parse(texts[3], size, false))
    end
  end)

  it("prints any integer of the processor's", function()
    for text in ("0 1 -1 9 10 -10 99 100 1700000000000000 9223372036854775807 -9223372036854775808"):gmatch "%S+" do
      local value = ffi.new "int64_t[1]"
      ffi.copy(value, base.number_parse(text, 8, true), 8)
      assert.equal(text, base.written(C.integer_print, value[0]))
    end
  end)

  it("refuses what is one too large or too small", function()
    for _, size in ipairs { 1, 2, 3, 4, 8, 16, 31, 32 } do
      local over = base.number_print(("\255"):rep(size), false):gsub("(%d)(0*)$", "%1%2")
      local digits = over:sub(1, -2) .. tostring(tonumber(over:sub(-1)) + 1) -- never ends in 9: 256^n - 1 ends in 5
      assert.is_nil(base.number_parse(digits, size, false))
      assert.is_nil(base.number_parse("-1", size, false))
      assert.is_nil(base.number_parse("0x8" .. ("00"):rep(size):sub(2), size, true))
      assert.equal(("\0"):rep(size - 1) .. "\128", base.number_parse("-0x8" .. ("00"):rep(size):sub(2), size, true))
      assert.is_nil(base.number_parse("-0x8" .. ("00"):rep(size):sub(2, -2) .. "1", size, true))
      assert.is_nil(base.number_parse(("9"):rep(200), size, false))
    end
  end)

  it("takes a sign, leading zeros, and hex of either case", function()
    assert.equal("\5", base.number_parse("+5", 1, false))
    assert.equal("\5", base.number_parse("0005", 1, true))
    assert.equal("\31", base.number_parse("0x1F", 1, false))
    assert.equal("\31", base.number_parse("0X1f", 1, false))
    assert.equal("\0", base.number_parse("-0", 1, false))
  end)

  it("refuses what is no number", function()
    for _, bad in ipairs { "", "-", "+", "0x", "-0x", "x", "1x", "1.0", " 1", "1 ", "1e3", "--1", "0xg", "a", "1_0" } do
      assert.is_nil(base.number_parse(bad, 8, true), bad)
    end
  end)

  it("prints hex as SATS-JSON spells it", function()
    local function hex(text, size) return base.number_print_hex(base.number_parse(text, size, true), true) end
    assert.equal("0x0", hex("0", 32))
    assert.equal("0x1f", hex("31", 32))
    assert.equal("-0x1", hex("-1", 32))
    assert.equal("0x10000000000000000", hex("18446744073709551616", 16))
    assert.equal("-0x8" .. ("0"):rep(63), base.number_print_hex(("\0"):rep(31) .. "\128", true))
  end)

  it("reads back whatever it prints", function()
    local seed = os.time()
    math.randomseed(seed)
    for _ = 1, 2000 do
      local size = math.random(32)
      local chars = {}
      for idx = 1, size do chars[idx] = string.char(math.random(0, 3) == 0 and math.random(0, 255) or 0) end
      local bytes, is_signed = table.concat(chars), math.random(2) == 1
      assert.equal(bytes, base.number_parse(base.number_print(bytes, is_signed), size, is_signed), "seed " .. seed)
      assert.equal(bytes, base.number_parse(base.number_print_hex(bytes, is_signed), size, is_signed), "seed " .. seed)
    end
  end)
end)

describe("float", function()
  local function double(value) return base.written(C.double_print, value) end
  local function float(value) return base.written(C.float_print, value) end

  it("prints the shortest text", function()
    assert.equal("0.1", double(0.1))
    assert.equal("0.1", float(0.1))
    assert.equal("1.5", double(1.5))
    assert.equal("100000", double(100000))
    assert.equal("-3", float(-3))
    assert.equal("0", double(0))
    assert.equal("-0", double(-0.0))
    assert.equal("1e+30", double(1e30))
    assert.equal("1e+30", float(1e30))
    assert.equal("0.30000000000000004", double(0.1 + 0.2))
    assert.equal("5e-324", double(5e-324))
    assert.equal("1e-45", float(1e-45))
    assert.equal("1.7976931348623157e+308", double(1.7976931348623157e308))
    assert.equal("9007199254740992", double(9007199254740992))
    assert.equal("3.4028235e+38", float(3.4028234663852886e38))
  end)

  it("reads back as the same number", function()
    local seed = os.time()
    math.randomseed(seed)
    local bits = ffi.new "union { uint32_t word[2]; double value; float single; }"
    local function random_word() return math.random(0, 0xffff) * 65536 + math.random(0, 0xffff) end
    -- LuaJIT takes some NaNs for its own tagged values, so they must not be loaded at all.
    local function is_finite(word, exponent) return bit.band(word, exponent) ~= exponent end
    for _ = 1, 5000 do
      bits.word[0], bits.word[1] = random_word(), random_word()
      if is_finite(bits.word[1], 0x7ff00000) then
        assert.equal(bits.value, tonumber(double(bits.value)), "seed " .. seed)
      end
      if is_finite(bits.word[0], 0x7f800000) then
        assert.equal(bits.single, tonumber(ffi.new("float", tonumber(float(bits.single)))), "seed " .. seed)
      end
    end
  end)
end)
