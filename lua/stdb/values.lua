--- Values wider than a Lua number, and those that are more than a number: identity, connection id, uuid,
-- timestamp, duration, and the 128 and 256 bit integers.
--
-- A value is an empty, locked table. Equal values are the same table, so they compare with == and work as
-- keys. What a value stands for is kept beside it, in weak tables: its bytes as on the wire, or its
-- microseconds. So looking a value up there is also the check of its type.
local use = ...
local ffi = require "ffi"
local C, vm = use "library", use "vm"
local blame, source = use "blame", use "source"

local type, tostring, format, floor = type, tostring, string.format, math.floor
local int64, uint64 = ffi.typeof "int64_t", ffi.typeof "uint64_t"

local values = {}

-- The largest number up to which all integers are Lua numbers.
local EXACT_MAX = 9007199254740992

local function text_of_vm()
  return ffi.string(vm.text, vm.text_size)
end

--- A 64-bit integer as modules see it: a number while that is exact, else the cdata.
function values.from_i64(integer)
  if integer >= -9007199254740992LL and integer <= 9007199254740992LL then
    return tonumber(integer)
  end
  return integer
end

function values.from_u64(integer)
  if integer <= 9007199254740992ULL then
    return tonumber(integer)
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
    return ffi.cast(int64, value)
  end
end

--- Any integer as uint64_t, nil for what does not fit.
function values.to_u64(value)
  if type(value) == "number" then
    return value >= 0 and value < 2 ^ 64 and floor(value) == value and ffi.cast(uint64, value) or nil
  elseif ffi.istype(uint64, value) then
    return value
  elseif ffi.istype(int64, value) and value >= 0 then
    return ffi.cast(uint64, value)
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
  return intern(string_at(at, size))
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
      return field(value)
    end,
    __tostring = function(value)
      return kind.print(value)
    end,
    __concat = function(left, right)
      return tostring(left) .. tostring(right)
    end,
    __metatable = false,
  }
end

local function same_kind(kind, left, right)
  if kind_of[left] ~= kind or kind_of[right] ~= kind then
    blame.raise("a value of type %s can be compared with its own type only", kind.name)
  end
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
  function meta.__lt(left, right)
    same_kind(kind, left, right)
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
    return text_of_vm()
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
  return ffi.string(scratch, kind.size)
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

-- Times are kept as microseconds: numbers, or int64_t beyond 2^53. Numbers are their own key; the few beyond
-- are found by their text.
local micros_text = [[
return function(micros)
  local key = micros
  if type(micros) ~= "number" then
    key = tostring(micros)
  end
  local value = interned[key]
  if value == nil then
    value = setmetatable({}, meta)
    interned[key], micros_of[value], kind_of[value] = value, micros, kind
  end
  return value
end]]

local micros_at_text = [[
return function(at)
  return intern(from_i64(cast(word, at).i64))
end]]

local function micros_kind(name, print)
  local kind = { name = name, size = 8, print = print }
  local meta = new_meta(kind)
  kind.micros = setmetatable({}, { __mode = "k" })
  kind.intern = source.compile("values " .. name, micros_text, {
    interned = setmetatable({}, { __mode = "v" }), meta = meta, micros_of = kind.micros, kind_of = kind_of, kind = kind,
    tostring = tostring,
  })
  kind.at = source.compile("values " .. name, micros_at_text, { intern = kind.intern, from_i64 = values.from_i64 })
  kind.fields = {
    micros = function(value)
      return kind.micros[value]
    end,
    seconds = function(value)
      return tonumber(kind.micros[value]) / 1e6
    end,
  }
  function meta.__lt(left, right)
    same_kind(kind, left, right)
    return kind.micros[left] < kind.micros[right]
  end
  function meta.__le(left, right)
    same_kind(kind, left, right)
    return kind.micros[left] <= kind.micros[right]
  end
  values[name] = kind
  return kind, meta
end

--- Microseconds added up; refuses what leaves the range of an i64.
local function sum(left, right, sign)
  if type(left) == "number" and type(right) == "number" then
    local result = left + sign * right
    if result >= -EXACT_MAX and result <= EXACT_MAX then
      return result
    end
  end
  local a, b = values.to_i64(left), values.to_i64(right)
  local result = sign > 0 and a + b or a - b
  local wraps = sign > 0 and (b >= 0) ~= (result >= a) or sign < 0 and (b >= 0) ~= (result <= a)
  if wraps then
    blame.raise "the result is beyond the times that can be stored"
  end
  return values.from_i64(result)
end

local function print_duration(value)
  local micros = values.duration.micros[value]
  if type(micros) ~= "number" then
    return format("%.6fs", tonumber(micros) / 1e6)
  end
  local text = format("%s%d.%06d", micros < 0 and "-" or "", floor(math.abs(micros) / 1e6), math.abs(micros) % 1e6)
  return text:gsub("%.?0+$", "", 1) .. "s"
end

local timestamp, timestamp_meta = micros_kind("timestamp", function(value)
  C.stdb_timestamp_print(vm, ffi.cast(int64, values.timestamp.micros[value]))
  return text_of_vm()
end)
local duration, duration_meta = micros_kind("duration", print_duration)

function timestamp_meta.__add(left, right)
  local at, span = timestamp.micros[left] or timestamp.micros[right], duration.micros[right] or duration.micros[left]
  if not (at and span) then
    blame.raise "a timestamp and a duration can be added, nothing else"
  end
  return timestamp.intern(sum(at, span, 1))
end

function timestamp_meta.__sub(left, right)
  local at = timestamp.micros[left]
  if at and timestamp.micros[right] then
    return duration.intern(sum(at, timestamp.micros[right], -1))
  elseif at and duration.micros[right] then
    return timestamp.intern(sum(at, duration.micros[right], -1))
  end
  blame.raise "from a timestamp a duration or a timestamp can be taken, nothing else"
end

function duration_meta.__add(left, right)
  if timestamp.micros[left] or timestamp.micros[right] then
    return timestamp_meta.__add(left, right)
  elseif not (duration.micros[left] and duration.micros[right]) then
    blame.raise "a duration and a duration or a timestamp can be added, nothing else"
  end
  return duration.intern(sum(duration.micros[left], duration.micros[right], 1))
end

function duration_meta.__sub(left, right)
  if not (duration.micros[left] and duration.micros[right]) then
    return timestamp_meta.__sub(left, right)
  end
  return duration.intern(sum(duration.micros[left], duration.micros[right], -1))
end

function duration_meta.__unm(value)
  return duration.intern(sum(0, duration.micros[value], -1))
end

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
  return kind.at(scratch)
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
    return kind.intern(bytes)
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

--- A timestamp from microseconds since 1970 or from RFC 3339 text.
function timestamp.make(given)
  if kind_of[given] == timestamp then
    return given
  elseif type(given) == "string" then
    local micros = ffi.new("int64_t[1]")
    if C.stdb_timestamp_parse(given, #given, micros) ~= 1 then
      blame.raise("%s is not a timestamp: 2030-01-31T12:30:00Z", blame.show(given))
    end
    return timestamp.intern(values.from_i64(micros[0]))
  end
  local micros = values.to_i64(given)
  if not micros then
    blame.raise("%s is not a timestamp: whole microseconds since 1970, or a text", blame.show(given))
  end
  return timestamp.intern(values.from_i64(micros))
end

local UNITS = { days = 86400e6, hours = 3600e6, minutes = 60e6, seconds = 1e6, milliseconds = 1e3, microseconds = 1 }

--- A duration from microseconds or from { minutes = 1, seconds = 30 }.
function duration.make(given)
  if kind_of[given] == duration then
    return given
  elseif type(given) ~= "table" then
    local micros = values.to_i64(given)
    if not micros then
      blame.raise("%s is not a duration: whole microseconds, or a table like { seconds = 5 }", blame.show(given))
    end
    return duration.intern(values.from_i64(micros))
  end
  local micros = 0
  for unit, amount in next, given do
    if not UNITS[unit] then
      blame.raise("a duration has no %s%s", blame.key(unit), blame.hint(unit, {
        "days", "hours", "minutes", "seconds", "milliseconds", "microseconds",
      }))
    elseif type(amount) ~= "number" or amount ~= amount then
      blame.raise("a duration's `%s`: expected a number, got %s", unit, blame.show(amount))
    end
    micros = micros + amount * UNITS[unit]
  end
  local rounded = values.to_i64(floor(micros + 0.5))
  if not rounded then
    blame.raise "the duration is longer than can be stored"
  end
  return duration.intern(values.from_i64(rounded))
end

return values
