--- The text that writes and reads values of a fixed size, at a pointer, in the middle of a larger function.
local use = ...
local ffi = require "ffi"
local source, values = use "source", use "values"

local fixed = {}

source.share("integer", values.integer)
source.share("none", values.none)

local function put_u64(at, value)
  local integer = values.to_u64(value)
  if integer then
    ffi.cast(source.word, at).u64 = integer
    return true
  end
end

local function put_i64(at, value)
  local integer = values.to_i64(value)
  if integer then
    ffi.cast(source.word, at).i64 = integer
    return true
  end
end

-- LuaJIT keeps the types of its values in the bits of NaNs and takes doubles from memory as they are: a NaN that
-- a client made up would become nil, a table or worse. So what is not finite is looked at as bits first.
local FINITE = {
  f32 = "(band(cast(word, $at).i32, 0x7f800000) ~= 0x7f800000 and cast(word, $at).f32 or $odd($at))",
  f64 = "(band(cast(word, $at + 4).i32, 0x7ff00000) ~= 0x7ff00000 and cast(word, $at).f64 or $odd($at))",
}
local INFINITE = {
  ["\0\0\128\127"] = 1 / 0, ["\0\0\128\255"] = -1 / 0,
  ["\0\0\0\0\0\0\240\127"] = 1 / 0, ["\0\0\0\0\0\0\240\255"] = -1 / 0,
}

local function new_odd_reader(size)
  return function(at)
    return INFINITE[ffi.string(at, size)] or 0 / 0
  end
end
local odd_reader = { f32 = new_odd_reader(4), f64 = new_odd_reader(8) }

local LOW_64 = { u64 = "0", i64 = "-9223372036854775808" }
local HIGH_64 = { u64 = "18446744073709551616", i64 = "9223372036854775808" }

local function plain_names(sum)
  local names = {}
  for place, variant in ipairs(sum.variants) do
    names[place - 1] = variant.name
  end
  return names
end

--- The statements that write local `v` at pointer `at`, or do `fail`.
function fixed.write_text(text, type_, at, v, fail)
  local kind = type_.kind
  local put = { at = at, v = v, fail = fail, kind = kind, low = type_.low, high = type_.high, size = type_.size }
  local form
  if type_.low then
    form = [[
    if type($v) ~= "number" then $v = integer($v) end
    if not ($v >= $low and $v <= $high and floor($v) == $v) then $fail end
    cast(word, $at).$kind = $v]]
  elseif kind == "u64" or kind == "i64" then
    put.low, put.high, put.put = LOW_64[kind], HIGH_64[kind], text:bind(kind == "u64" and put_u64 or put_i64, "put")
    form = [[
    if type($v) == "number" then
      if not ($v >= $low and $v < $high and floor($v) == $v) then $fail end
      cast(word, $at).$kind = $v
    elseif not $put($at, $v) then $fail end]]
  elseif kind == "f32" or kind == "f64" then
    form = [[
    if type($v) ~= "number" then $fail end
    cast(word, $at).$kind = $v]]
  elseif kind == "bool" then
    form = [[
    if type($v) ~= "boolean" then $fail end
    cast(word, $at).flag = $v]]
  elseif kind == "sum" then
    put.places = text:bind(type_.place_of, "places")
    form = [[
    if type($v) == "table" then
      if rawget($v, "value") ~= nil then $fail end
      $v = rawget($v, "tag")
    end
    $v = $places[$v]
    if not $v then $fail end
    cast(word, $at).u8 = $v]]
  elseif kind == "schedule_at" then
    put.durations = text:bind(values.duration.micros, "durations")
    put.timestamps = text:bind(values.timestamp.micros, "timestamps")
    form = [[
    local micros = $durations[$v]
    cast(word, $at).u8 = micros and 0 or 1
    micros = micros or $timestamps[$v]
    if not micros then $fail end
    cast(word, $at + 1).i64 = micros]]
  elseif type_.value and type_.value.micros then
    put.micros = text:bind(type_.value.micros, "micros")
    form = [[
    $v = $micros[$v]
    if not $v then $fail end
    cast(word, $at).i64 = $v]]
  elseif type_.value then
    put.bytes = text:bind(type_.value.bytes, "bytes")
    put.widen = type_.value.widen and " or " .. text:bind(type_.value.widen, "widen") .. "(" .. v .. ")" or ""
    form = [[
    $v = $bytes[$v]$widen
    if not $v then $fail end
    copy($at, $v, $size)]]
  else
    put.write = text:bind(use("codec").fixed_writer(type_), "write")
    form = "if not $write($at, $v) then $fail end"
  end
  return (form:gsub("%$(%a+)", put))
end

-- What becomes zero as an f32, however small it was.
local ROUNDS_TO_ZERO = { f32 = "-2^-150", f64 = "0" }

--- The statement that takes the sign from a zero in `v`, of a float that is to be found in an index, where zeros have
-- none; an empty text for other types.
function fixed.settle_text(type_, v)
  local kind = (type_.some or type_).kind
  local least = ROUNDS_TO_ZERO[kind]
  if not least then
    return ""
  end
  return (('if type($v) == "number" and $v <= 0 and $v >= $least then $v = 0 end'):gsub("%$(%a+)", {
    v = v, least = least,
  }))
end

--- The expression that reads the fixed-size value at pointer `at`.
function fixed.read_text(text, type_, at)
  local kind = type_.kind
  if kind == "f32" or kind == "f64" then
    local odd = text:bind(odd_reader[kind], "odd")
    return (FINITE[kind]:gsub("%$(%a+)", { at = at, odd = odd }))
  elseif type_.low then
    return ("cast(word, %s).%s"):format(at, kind)
  elseif kind == "u64" or kind == "i64" then
    return ("%s(cast(word, %s).%s)"):format(text:bind(values["from_" .. kind], "from"), at, kind)
  elseif kind == "bool" then
    return ("cast(word, %s).u8 ~= 0"):format(at)
  elseif kind == "sum" then
    return ("%s[cast(word, %s).u8]"):format(text:bind(plain_names(type_), "names"), at)
  elseif kind == "schedule_at" then
    local duration, timestamp = text:bind(values.duration.at, "at"), text:bind(values.timestamp.at, "at")
    return ("(cast(word, %s).u8 == 0 and %s or %s)(%s + 1)"):format(at, duration, timestamp, at)
  elseif type_.value then
    return ("%s(%s)"):format(text:bind(type_.value.at, "at"), at)
  end
  return ("%s(%s)"):format(text:bind(use("codec").fixed_reader(type_), "read"), at)
end

return fixed
