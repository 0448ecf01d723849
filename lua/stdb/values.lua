--- Values wider than a Lua number: identity, connection id, uuid, and the 128 and 256 bit integers. Those that are
-- times are in times.lua, which adds them here.
--
-- A value is an empty, locked table. Equal values are the same table, so they compare with == and work as
-- keys. What a value stands for is kept beside it, in weak tables: its bytes as on the wire, or its
-- microseconds. So looking a value up there is also the check of its type.
local use = ...
local ffi = require "ffi"
local C, vm = use "library", use "vm"
local blame, source, tostring = use "blame", use "source", use("text").tostring

local type, floor = type, math.floor
local int64, uint64 = ffi.typeof "int64_t", ffi.typeof "uint64_t"

local values = {}

local function text_of_vm()
  return (ffi.string(vm.text, vm.text_size))
end

--- A 64-bit integer as modules see it: a number while that is exact, else the cdata.
function values.from_i64(integer)
  if integer >= -9007199254740992LL and integer <= 9007199254740992LL then
    return (tonumber(integer))
  end
  return integer
end

function values.from_u64(integer)
  if integer <= 9007199254740992ULL then
    return (tonumber(integer))
  end
  return integer
end

--- Any integer as a number, NaN for all else: NaN fails every range check.
function values.integer(value)
  if ffi.istype(int64, value) then
    value = values.from_i64(value)
  elseif ffi.istype(uint64, value) then
    value = values.from_u64(value)
  end
  return type(value) == "number" and value or 0 / 0
end

--- Any integer as int64_t, nil for what does not fit.
function values.to_i64(value)
  if type(value) == "number" then
    return value >= -2 ^ 63 and value < 2 ^ 63 and floor(value) == value and ffi.cast(int64, value) or nil
  elseif ffi.istype(int64, value) then
    return value
  elseif ffi.istype(uint64, value) and value <= 0x7fffffffffffffffULL then
    return (ffi.cast(int64, value))
  end
end

--- Any integer as uint64_t, nil for what does not fit.
function values.to_u64(value)
  if type(value) == "number" then
    return value >= 0 and value < 2 ^ 64 and floor(value) == value and ffi.cast(uint64, value) or nil
  elseif ffi.istype(uint64, value) then
    return value
  elseif ffi.istype(int64, value) and value >= 0 then
    return (ffi.cast(uint64, value))
  end
end

-- A kind is { name, size, bytes = value -> bytes, at = pointer -> value, ... }: values.identity and so on.
local kind_of = setmetatable({}, { __mode = "k" })

-- Compiled for each kind: see source.lua.
local intern_text = [[
return function(bytes)
  local value = interned[bytes]
  if value == nil then
    value = setmetatable({}, meta)
    interned[bytes], bytes_of[value], kind_of[value] = value, bytes, kind
  end
  return value
end]]

local at_text = [[
return function(at)
  return (intern(string_at(at, size)))
end]]

--- The order of numbers given as little-endian bytes: by the last byte that differs.
local function bytes_less(left, right, is_signed)
  local last = #left
  for place = last, 1, -1 do
    local a, b = left:byte(place), right:byte(place)
    if a ~= b then
      if is_signed and place == last then
        a, b = (a + 128) % 256, (b + 128) % 256
      end
      return a < b
    end
  end
  return false
end

--- What all kinds share: immutable, printable, joinable with texts.
local function new_meta(kind)
  return {
    __newindex = function()
      blame.raise("a value of type %s cannot be changed", kind.name)
    end,
    __index = function(value, key)
      local field = kind.fields[key]
      if not field then
        blame.raise("a value of type %s has no field %s", kind.name, blame.key(key))
      end
      return (field(value))
    end,
    __tostring = function(value)
      return (kind.print(value))
    end,
    __concat = function(left, right)
      return tostring(left) .. tostring(right)
    end,
    __metatable = false,
  }
end

--- A kind whose values are `size` bytes.
local function bytes_kind(name, size, is_signed, print)
  local kind = { name = name, size = size, is_signed = is_signed, fields = {}, print = print }
  local meta = new_meta(kind)
  kind.bytes = setmetatable({}, { __mode = "k" })
  kind.intern = source.compile("values " .. name, intern_text, {
    interned = setmetatable({}, { __mode = "v" }), meta = meta, bytes_of = kind.bytes, kind_of = kind_of, kind = kind,
  })
  kind.at = source.compile("values " .. name, at_text, { intern = kind.intern, size = size })
  -- Lua calls these for two values of one kind only.
  function meta.__lt(left, right)
    return bytes_less(kind.bytes[left], kind.bytes[right], is_signed)
  end
  function meta.__le(left, right)
    return left == right or meta.__lt(left, right)
  end
  values[name] = kind
  return kind
end

local function printer(kind_name, show)
  return function(value)
    local bytes = values[kind_name].bytes[value]
    show(ffi.cast("const uint8_t *", bytes), #bytes)
    return (text_of_vm())
  end
end

local function hex_kind(name, size)
  return bytes_kind(name, size, false, printer(name, function(at, count)
    C.stdb_hex_print(vm, at, count)
  end))
end

hex_kind("identity", 32)
hex_kind("connection_id", 16)
bytes_kind("uuid", 16, false, printer("uuid", function(at)
  C.stdb_uuid_print(vm, at)
end))

local scratch = ffi.new("uint8_t[32]")
local words = ffi.cast("int64_t *", scratch)

--- The bytes of a wide integer given as a number or a 64-bit integer; nil for what does not fit.
local function widen(kind, value)
  local low = values.to_i64(value)
  local high = 0LL
  if low and low < 0 then
    if not kind.is_signed then
      return nil
    end
    high = -1LL
  elseif not low then
    low = values.to_u64(value)
  end
  if not low then
    return nil
  end
  words[0], words[1], words[2], words[3] = ffi.cast(int64, low), high, high, high
  return (ffi.string(scratch, kind.size))
end

local function wide_kind(name, size, is_signed)
  local kind = bytes_kind(name, size, is_signed, printer(name, function(at, count)
    C.stdb_number_print(vm, at, count, is_signed and 1 or 0)
  end))
  function kind.widen(value)
    return widen(kind, value)
  end
end

wide_kind("u128", 16, false)
wide_kind("i128", 16, true)
wide_kind("u256", 32, false)
wide_kind("i256", 32, true)

--- The name of a value's kind, nil for all that is no value of ours.
function values.kind_name(value)
  local kind = kind_of[value]
  return kind and kind.name
end

blame.teach(function(value)
  local kind = kind_of[value]
  return kind and kind.name .. " " .. kind.print(value)
end)

local function parsed(kind, text, parse)
  if parse(scratch) ~= 1 then
    blame.raise("%s is not %s", blame.show(text), kind.phrase)
  end
  return (kind.at(scratch))
end

local function maker(name, phrase, parse)
  values[name].phrase = phrase
  values[name].make = function(given)
    local kind = values[name]
    if kind_of[given] == kind then
      return given
    elseif type(given) == "string" then
      return parsed(kind, given, function(at)
        return parse(given, at)
      end)
    end
    local bytes = kind.widen and kind.widen(given)
    if not bytes then
      blame.raise("%s is not %s", blame.show(given), phrase)
    end
    return (kind.intern(bytes))
  end
end

local function hex_maker(name, digits)
  maker(name, "a " .. name .. ": " .. digits .. " hex digits", function(text, at)
    return C.stdb_hex_parse(text, #text, at, digits / 2)
  end)
end

hex_maker("identity", 64)
hex_maker("connection_id", 32)
maker("uuid", "a uuid: 32 hex digits in five groups", function(text, at)
  return C.stdb_uuid_parse(text, #text, at)
end)
for _, name in ipairs { "u128", "i128", "u256", "i256" } do
  local kind = values[name]
  maker(name, "a whole number that fits " .. name, function(text, at)
    return C.stdb_number_parse(text, #text, at, kind.size, kind.is_signed and 1 or 0)
  end)
end

--- Stands for an option without value where nil would mean that nothing was said: in keys, and in what `update` is to
-- change.
values.none = setmetatable({}, {
  __newindex = function()
    blame.raise "stdb.none cannot be changed"
  end,
  __tostring = function()
    return "none"
  end,
  __metatable = false,
})

blame.teach(function(value)
  return value == values.none and "stdb.none" or nil
end)

values.kind_of, values.new_meta, values.text_of_vm = kind_of, new_meta, text_of_vm
return values
