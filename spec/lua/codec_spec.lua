--- The generated codecs, against the second codec of spec/support/bsatn.lua and against their own explanations.
local ffi = require "ffi"
local bsatn = require "spec.support.bsatn"
local lua_host = require "spec.support.lua_host"

local seed = tonumber(os.getenv("SEED")) or os.time()
io.write("codec_spec: SEED=" .. seed .. "\n")
math.randomseed(seed)
local random = math.random

local use = lua_host.parts()
local codec, types, values, misfit = use "codec", use "types", use "values", use "misfit"
use "define" -- where types.lua notes the names of structs and enums
local t = types.all
local number_of_names = 0

local function fresh_name()
  number_of_names = number_of_names + 1
  return "Type" .. number_of_names
end

local function random_bytes(size)
  local bytes = {}
  for place = 1, size do
    bytes[place] = string.char(random(4) == 1 and 255 * random(0, 1) or random(0, 255))
  end
  return table.concat(bytes)
end

local function random_text()
  local parts = {}
  for place = 1, random(0, 6) do
    parts[place] = ({ "a", "ä", "€", "\0", "hello" })[random(5)]
  end
  return table.concat(parts)
end

-- A kind of type is { handle, notation for bsatn.lua, a function that makes (value for ours, value for bsatn) }.

local function whole(handle, notation, low, high)
  return { handle, notation, function()
    local value = ({ low, high, random(low, high), 0 })[random(4)]
    return value, value
  end }
end

local function wide(name, size)
  local kind = values[name]
  return { t[name], name, function()
    local value = kind.intern(random_bytes(size))
    return value, tostring(value)
  end }
end

local function hex(name, notation, size)
  local kind = values[name]
  return { t[name], notation, function()
    local value = kind.intern(random_bytes(size))
    local digits = tostring(value):gsub("-", "")
    return value, digits
  end }
end

local function word64(name, ctype, from)
  return { t[name], name, function()
    local value = ffi.cast(ctype .. " *", random_bytes(8))[0]
    return from(value), value
  end }
end

local function micros(name, notation)
  return { t[name], notation, function()
    local value = random(2) == 1 and ffi.cast("int64_t *", random_bytes(8))[0] or ffi.cast("int64_t", random(-1e6, 1e6))
    return values[name].intern(values.from_i64(value)), value
  end }
end

local leaves = {
  whole(t.u8, "u8", 0, 255), whole(t.u16, "u16", 0, 65535), whole(t.u32, "u32", 0, 4294967295),
  whole(t.i8, "i8", -128, 127), whole(t.i16, "i16", -32768, 32767), whole(t.i32, "i32", -2147483648, 2147483647),
  word64("u64", "uint64_t", values.from_u64), word64("i64", "int64_t", values.from_i64),
  wide("u128", 16), wide("i128", 16), wide("u256", 32), wide("i256", 32),
  hex("identity", "Identity", 32), hex("connection_id", "ConnectionId", 16), hex("uuid", "Uuid", 16),
  micros("timestamp", "Timestamp"), micros("duration", "TimeDuration"),
  { t.bool, "bool", function()
    local value = random(2) == 1
    return value, value
  end },
  { t.f32, "f32", function()
    local value = ({ 0, 0.5, -1.25, 1 / 0, -1 / 0 })[random(5)]
    return value, value
  end },
  { t.f64, "f64", function()
    local value = ({ 0, random() * 1e9, -random(), 1 / 0, -1 / 0 })[random(5)]
    return value, value
  end },
  { t.string, "string", function()
    local value = random_text()
    return value, value
  end },
  { t.bytes, "bytes", function()
    local value = random_bytes(random(0, 9))
    return value, value
  end },
}

local random_kind

local function product_kind(depth)
  local fields, notations, inner = {}, {}, {}
  for place = 1, ({ 0, 1, 3, 40 })[random(4)] do
    inner[place] = random_kind(depth + 1)
    fields[place] = { "f" .. place, inner[place][1] }
    notations[place] = "f" .. place .. ": " .. inner[place][2]
  end
  return { t.product(fields), "{ " .. table.concat(notations, ", ") .. " }", function()
    local ours, theirs = {}, {}
    for place, kind in ipairs(inner) do
      ours["f" .. place], theirs["f" .. place] = kind[3]()
    end
    return ours, theirs
  end }
end

local function array_kind(depth)
  local element = random_kind(depth + 1)
  return { t.array(element[1]), "[" .. element[2] .. "]", function()
    local ours, theirs = {}, {}
    local count = random(0, 4)
    for place = 1, count do
      ours[place], theirs[place] = element[3]()
    end
    if types.of(element[1], "element").kind == "option" then
      ours.n = count
    end
    -- [u8] is bytes in that notation, and a string in its values.
    return ours, element[2] == "u8" and string.char(unpack(theirs)) or theirs
  end }
end

local function option_kind(depth)
  local some = random_kind(depth + 1)
  local is_boxed = types.of(some[1], "some").kind == "option"
  return { t.option(some[1]), "option(" .. some[2] .. ")", function()
    if random(2) == 1 then
      return nil, { tag = "none" }
    end
    local ours, theirs = some[3]()
    if is_boxed then
      ours = { some = ours }
    end
    return ours, { tag = "some", value = theirs }
  end }
end

local function enum_kind(depth)
  local variants, notations, inner = {}, {}, {}
  local is_plain = random(2) == 1
  for place = 1, random(1, 5) do
    local has_payload = not is_plain and random(3) > 1
    inner[place] = has_payload and random_kind(depth + 1)
    variants[place] = has_payload and { "V" .. place, inner[place][1] } or "V" .. place
    notations[place] = (place - 1) .. " V" .. place .. ": " .. (has_payload and inner[place][2] or "{}")
  end
  local handle = t.enum(fresh_name(), variants)
  local type_ = types.of(handle, "enum")
  return { handle, "< " .. table.concat(notations, " | ") .. " >", function()
    local place = random(#variants)
    local tag = "V" .. place
    if type_.is_plain then
      return tag, { tag = tag }
    elseif types.is_unit(type_.variants[place].type) then
      return { tag = tag }, { tag = tag, value = {} }
    end
    local ours, theirs = inner[place][3]()
    return { tag = tag, value = ours }, { tag = tag, value = theirs }
  end }
end

function random_kind(depth)
  if depth > 3 or random(3) > 1 then
    return leaves[random(#leaves)]
  end
  return ({ product_kind, array_kind, option_kind, enum_kind })[random(4)](depth)
end

--- Compares what is decoded with what was encoded; cdata and numbers by value.
local function same(left, right)
  if type(left) ~= "table" or type(right) ~= "table" or values.kind_name(left) then
    return left == right
  end
  for key, value in next, left do
    if not same(value, rawget(right, key)) then
      return false
    end
  end
  for key in next, right do
    if rawget(left, key) == nil then
      return false
    end
  end
  return true
end

local function check_kind(kind, times)
  local type_, other = types.of(kind[1], "type"), bsatn.type(kind[2])
  for _ = 1, times do
    local ours, theirs = kind[3]()
    local bytes = codec.encode(type_, ours)
    assert(bytes, misfit.explain(type_, ours, "value") or kind[2])
    local expected = bsatn.encode(other, theirs)
    if bytes ~= expected then
      error(kind[2] .. ": " .. bsatn.to_hex(bytes) .. " is not " .. bsatn.to_hex(expected))
    end
    assert(same(codec.decode(type_, bytes), ours), kind[2] .. ": decodes to something else")
    assert(misfit.explain(type_, ours, "value") == nil)
  end
end

describe("the codec", function()
  for _, kind in ipairs(leaves) do
    it("writes and reads " .. kind[2], function()
      check_kind(kind, 300)
    end)
  end

  it("writes and reads any nesting of types", function()
    for _ = 1, 150 do
      check_kind(random_kind(0), 20)
    end
  end)

  it("writes and reads products of fixed size in one piece and in parts", function()
    for _, count in ipairs { 1, 15, 16, 31, 60 } do
      local fields, notations = {}, {}
      for place = 1, count do
        local leaf = leaves[(place - 1) % 20 + 1]
        fields[place] = { "f" .. place, leaf[1] }
        notations[place] = "f" .. place .. ": " .. leaf[2]
      end
      check_kind({ t.product(fields), "{ " .. table.concat(notations, ", ") .. " }", function()
        local ours, theirs = {}, {}
        for place = 1, count do
          ours["f" .. place], theirs["f" .. place] = leaves[(place - 1) % 20 + 1][3]()
        end
        return ours, theirs
      end }, 100)
    end
  end)

  it("writes numbers of every width to their limits and refuses what is beyond", function()
    local limits = {
      u8 = { 0, 255 }, u16 = { 0, 65535 }, u32 = { 0, 4294967295 }, i8 = { -128, 127 }, i16 = { -32768, 32767 },
      i32 = { -2147483648, 2147483647 },
    }
    for name, limit in pairs(limits) do
      local type_ = types.of(t[name], name)
      for _ = 1, 200 do -- long enough to be compiled
        assert.truthy(codec.encode(type_, limit[1]))
        assert.truthy(codec.encode(type_, limit[2]))
        assert.falsy(codec.encode(type_, limit[1] - 1))
        assert.falsy(codec.encode(type_, limit[2] + 1))
        assert.falsy(codec.encode(type_, 0.5))
        assert.falsy(codec.encode(type_, 0 / 0))
        assert.falsy(codec.encode(type_, 1 / 0))
        assert.falsy(codec.encode(type_, "1"))
      end
    end
  end)

  it("takes 64-bit integers as numbers and as cdata, and refuses what would wrap", function()
    local u64, i64, u8 = types.of(t.u64, "u64"), types.of(t.i64, "i64"), types.of(t.u8, "u8")
    for _ = 1, 200 do
      assert.equal(("\255"):rep(8), codec.encode(u64, 0xffffffffffffffffULL))
      assert.equal("\0\0\0\0\0\0\0\128", codec.encode(u64, 2 ^ 63))
      assert.equal("\0\0\0\0\0\0\0\128", codec.encode(i64, -2 ^ 63))
      assert.equal(("\255"):rep(8), codec.encode(i64, -1LL))
      assert.equal("\7", codec.encode(u8, 7LL))
      assert.falsy(codec.encode(u64, -1))
      assert.falsy(codec.encode(u64, -1LL))
      assert.falsy(codec.encode(u64, 2 ^ 64))
      assert.falsy(codec.encode(i64, 2 ^ 63))
      assert.falsy(codec.encode(i64, 0x8000000000000000ULL))
      assert.falsy(codec.encode(i64, 0.5))
      assert.falsy(codec.encode(u8, 256LL))
    end
  end)

  it("reads 64-bit integers as numbers while they are exact", function()
    local i64 = types.of(t.i64, "i64")
    local function back(value)
      return codec.decode(i64, codec.encode(i64, value))
    end
    assert.equal("number", type(back(2 ^ 53)))
    assert.equal("number", type(back(-2 ^ 53)))
    assert.equal("cdata", type(back(2LL ^ 53 + 1)))
    assert.equal("cdata", type(back(-(2LL ^ 53) - 1)))
  end)

  it("reads every NaN as the one that Lua has", function()
    -- LuaJIT keeps types in the bits of NaNs: others would become values of other types.
    for _, case in ipairs { { "f32", 4 }, { "f64", 8 } } do
      local type_ = types.of(t[case[1]], case[1])
      local list = types.of(t.array(t[case[1]]), "array")
      for _ = 1, 300 do
        local nan = random_bytes(case[2] - 2) .. string.char(random(241, 255), ({ 127, 255 })[random(2)])
        local value = codec.decode(type_, nan)
        assert(type(value) == "number" and value ~= value)
        assert(type(codec.decode(list, "\1\0\0\0" .. nan)[1]) == "number")
      end
    end
  end)

  it("grows its buffer for large values and keeps what it has written", function()
    local type_ = types.of(t.product { { "a", t.string }, { "b", t.array(t.string) }, { "c", t.u8 } }, "product")
    local value = { a = ("x"):rep(100000), b = { ("y"):rep(300000), "z" }, c = 7 }
    local back = codec.decode(type_, codec.encode(type_, value))
    assert.equal(value.a, back.a)
    assert.equal(value.b[1], back.b[1])
    assert.equal(7, back.c)
  end)

  it("refuses a value larger than any row may be", function()
    assert.error_matches(function()
      codec.encode(types.of(t.array(t.option(t.u8)), "array"), { n = 4294967295 })
    end, "at most 64 MiB")
  end)

  it("never runs the module's code", function()
    local trap = setmetatable({}, {
      __index = function() error "ran" end, __len = function() error "ran" end, __tostring = function() error "ran" end,
      __eq = function() error "ran" end, __lt = function() error "ran" end,
    })
    for _, leaf in ipairs(leaves) do
      local type_ = types.of(leaf[1], "leaf")
      assert.falsy(codec.encode(type_, trap))
      assert.truthy(misfit.explain(type_, trap, "value"))
      local product = types.of(t.product { { "a", leaf[1] } }, "product")
      assert.falsy(codec.encode(product, trap))
      assert.truthy(misfit.explain(product, trap, "value"))
    end
  end)
end)

describe("an explanation", function()
  local vector = t.struct("Vector", { { "x", t.f32 }, { "y", t.f32 } })
  local shape = t.enum("Shape", { { "Circle", t.f32 }, { "Path", t.array(vector) }, "Nothing" })

  local function why(handle, value)
    local type_ = types.of(handle, "type")
    assert.falsy(codec.encode(type_, value))
    return misfit.explain(type_, value, "v")
  end

  it("names the place, the type and what is there", function()
    assert.equal('v: expected i32, got string "x"', why(t.i32, "x"))
    assert.equal("v: expected u8 (0 to 255), got 300", why(t.u8, 300))
    assert.equal("v: expected u8, got 1.5", why(t.u8, 1.5))
    assert.equal("v: expected string, got nil", why(t.string, nil))
    assert.equal("v: expected identity, got a table", why(t.identity, {}))
    assert.equal("v.y: expected f32, got true", why(vector, { x = 1, y = true }))
    assert.equal("v has no field `z`", why(vector, { x = 1, z = 2 }))
    assert.equal('v[2].x: expected f32, got string "a"', why(t.array(vector), { { x = 1, y = 1 }, { x = "a", y = 1 } }))
    assert.equal("v.Path[1].y: expected f32, got nil", why(shape, { tag = "Path", value = { { x = 1 } } }))
    assert.equal("v: expected Shape (Circle, Path, Nothing), got 5", why(shape, 5))
    assert.equal('v: expected Shape (Circle, Path, Nothing), got string "Square"', why(shape, { tag = "Square" }))
    assert.equal("v.Nothing: expected no value, got 1", why(shape, { tag = "Nothing", value = 1 }))
    assert.equal("v: expected a duration or a timestamp, got 5", why(t.schedule_at, 5))
  end)

  it("is found for whatever does not fit", function()
    local odd = { 0.5, -1, 300, 2 ^ 70, "x", "", true, false, {}, { 1 }, { tag = "V1" }, { f1 = 1 }, 1LL, -1LL, 3ULL,
      values.duration.make(1), values.identity.make(("0"):rep(64)), print, t.u8 }
    for _ = 1, 300 do
      local kind = random_kind(0)
      local type_ = types.of(kind[1], "type")
      local value = odd[random(#odd)]
      local bytes, sentence = codec.encode(type_, value), misfit.explain(type_, value, "v")
      assert((bytes == nil) == (sentence ~= nil), kind[2] .. ": " .. tostring(value) .. ": " .. tostring(sentence))
    end
  end)
end)
