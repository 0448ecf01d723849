--- Timestamps and durations: values like those of values.lua, kept as microseconds, with arithmetic.
local use = ...
local ffi = require "ffi"
local C, vm = use "library", use "vm"
local blame, source, values = use "blame", use "source", use "values"

local type, tostring, tonumber, rawget, format, floor = type, tostring, tonumber, rawget, string.format, math.floor
local getmetatable = getmetatable
local int64 = ffi.typeof "int64_t"
local kind_of, new_meta, text_of_vm = values.kind_of, values.new_meta, values.text_of_vm

-- The largest number up to which all integers are Lua numbers.
local EXACT_MAX = 9007199254740992

-- Numbers are their own key; the few int64_t beyond 2^53 are found by their text.
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
  return (intern(from_i64(cast(word, at).i64)))
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
    return kind.micros[left] < kind.micros[right]
  end
  function meta.__le(left, right)
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
    return (format("%.6fs", tonumber(micros) / 1e6))
  end
  local text = format("%s%d.%06d", micros < 0 and "-" or "", floor(math.abs(micros) / 1e6), math.abs(micros) % 1e6)
  return text:gsub("%.?0+$", "", 1) .. "s"
end

local timestamp, timestamp_meta = micros_kind("timestamp", function(value)
  C.stdb_timestamp_print(vm, ffi.cast(int64, values.timestamp.micros[value]))
  return (text_of_vm())
end)
local duration, duration_meta = micros_kind("duration", print_duration)

function timestamp_meta.__add(left, right)
  local at, span = timestamp.micros[left] or timestamp.micros[right], duration.micros[right] or duration.micros[left]
  if not (at and span) then
    blame.raise "a timestamp and a duration can be added, nothing else: stdb.duration { seconds = 5 }"
  end
  return (timestamp.intern(sum(at, span, 1)))
end

function timestamp_meta.__sub(left, right)
  local at = timestamp.micros[left]
  if at and timestamp.micros[right] then
    return (duration.intern(sum(at, timestamp.micros[right], -1)))
  elseif at and duration.micros[right] then
    return (timestamp.intern(sum(at, duration.micros[right], -1)))
  end
  blame.raise "from a timestamp a duration or a timestamp can be taken, nothing else"
end

function duration_meta.__add(left, right)
  if timestamp.micros[left] or timestamp.micros[right] then
    return (timestamp_meta.__add(left, right))
  elseif not (duration.micros[left] and duration.micros[right]) then
    blame.raise "a duration and a duration or a timestamp can be added, nothing else"
  end
  return (duration.intern(sum(duration.micros[left], duration.micros[right], 1)))
end

function duration_meta.__sub(left, right)
  if not (duration.micros[left] and duration.micros[right]) then
    return (timestamp_meta.__sub(left, right))
  end
  return (duration.intern(sum(duration.micros[left], duration.micros[right], -1)))
end

function duration_meta.__unm(value)
  return (duration.intern(sum(0, duration.micros[value], -1)))
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
    return (timestamp.intern(values.from_i64(micros[0])))
  end
  local micros = values.to_i64(given)
  if not micros then
    blame.raise("%s is not a timestamp: whole microseconds since 1970, or a text", blame.show(given))
  end
  return (timestamp.intern(values.from_i64(micros)))
end

local UNITS = { "days", "hours", "minutes", "seconds", "milliseconds", "microseconds" }
local MICROS = { days = 86400e6, hours = 3600e6, minutes = 60e6, seconds = 1e6, milliseconds = 1e3, microseconds = 1 }

local function refuse_units(given)
  for unit in next, given do
    if not MICROS[unit] then
      local hint = blame.hint(unit, UNITS)
      blame.raise("a duration has no %s%s", blame.key(unit), hint ~= "" and hint or "; it has " .. table.concat(UNITS, ", "))
    end
  end
end

local check_units = source.compile("units", "return function(given) "
  .. source.check_keys("given", "known", #UNITS, "refuse(given)") .. " end", { known = MICROS, refuse = refuse_units })

local function part(given, unit)
  local amount = rawget(given, unit)
  if amount == nil then
    return 0
  elseif type(amount) ~= "number" or amount ~= amount then
    blame.raise("a duration's `%s`: expected a number, got %s", unit, blame.show(amount))
  end
  return amount * MICROS[unit]
end

--- A duration from microseconds or from { minutes = 1, seconds = 30 }.
function duration.make(given)
  if kind_of[given] == duration then
    return given
  elseif type(given) ~= "table" or getmetatable(given) == false then
    local micros = values.to_i64(given)
    if not micros then
      blame.raise("%s is not a duration: whole microseconds, or a table like { seconds = 5 }", blame.show(given))
    end
    return (duration.intern(values.from_i64(micros)))
  end
  check_units(given)
  local micros = part(given, "days") + part(given, "hours") + part(given, "minutes") + part(given, "seconds")
    + part(given, "milliseconds") + part(given, "microseconds")
  local rounded = values.to_i64(floor(micros + 0.5))
  if not rounded then
    blame.raise "the duration is longer than can be stored"
  end
  return (duration.intern(values.from_i64(rounded)))
end

--- As a schedule_at: again and again, this long apart.
function duration.every(given)
  local span = duration.make(given)
  if duration.micros[span] <= 0 then
    blame.raise("stdb.every: expected a duration above zero, got %s", tostring(span))
  end
  return span
end

--- The time this long after the call's own: once, then.
function timestamp.after(given)
  if vm.in_call ~= 1 then
    blame.raise "stdb.after counts from the time of a call: use it in a reducer, or stdb.timestamp for a fixed time"
  end
  return (timestamp.intern(sum(values.from_i64(vm.timestamp_us), duration.micros[duration.make(given)], 1)))
end

return values
