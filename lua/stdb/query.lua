--- Texts of SQL with values in them: stdb.query("SELECT * FROM player WHERE name = ?", name). A value becomes a literal,
-- so that no text of a player's becomes SQL.
local use = ...
local ffi = require "ffi"
local blame, values = use "blame", use "times"

local type, floor, format, huge, select = type, math.floor, string.format, math.huge, select
local int64, uint64 = ffi.typeof "int64_t", ffi.typeof "uint64_t"

local function quoted(text)
  return "'" .. text:gsub("'", "''") .. "'"
end

local function of_number(value)
  if value ~= value or value == huge or value == -huge then
    return nil
  end
  return format(floor(value) == value and value > -2 ^ 53 and value < 2 ^ 53 and "%d" or "%.17g", value)
end

--- How values of ours are written: by the name of their kind. Durations are not compared in SQL.
local function of_value(value)
  local kind = values.kind_name(value)
  if not kind or kind == "duration" then
    return nil
  end
  local text = values[kind].print(value)
  if kind == "identity" or kind == "connection_id" then
    return "0x" .. text
  end
  return values[kind].widen and text or quoted(text)
end

--- The literal, nil for what SQL has none for.
local function literal(value)
  local kind = type(value)
  if kind == "number" then
    return of_number(value)
  elseif kind == "string" then
    return quoted(value)
  elseif kind == "boolean" then
    return value and "TRUE" or "FALSE"
  elseif ffi.istype(int64, value) or ffi.istype(uint64, value) then
    return (tostring(value):gsub("U?LL$", ""))
  end
  return kind == "table" and of_value(value) or nil
end

local function check_count(expected, given)
  if expected ~= given then
    blame.raise("stdb.query: the text has %d question mark%s, and there %s %d value%s", expected, expected == 1 and "" or "s",
      given == 1 and "is" or "are", given, given == 1 and "" or "s")
  end
end

--- Where a quoted part that begins at `at` ends: two quotes inside stand for one, and so begin the next part.
local function end_of_quoted(template, at)
  return template:find(template:sub(at, at), at + 1, true)
    or blame.raise("stdb.query: a quote is opened and not closed: %s", blame.show(template))
end

--- The text with each ? outside of quotes replaced by the literal of the next value.
return function(template, ...)
  if type(template) ~= "string" then
    blame.raise("stdb.query: expected a text, got %s", blame.show(template))
  end
  local given, parts, taken, at = { ... }, {}, 0, 1
  for place in template:gmatch "()[?'\"]" do
    if place >= at and template:sub(place, place) ~= "?" then
      local last = end_of_quoted(template, place)
      parts[#parts + 1], at = template:sub(at, last), last + 1
    elseif place >= at then
      taken = taken + 1
      local text = literal(given[taken])
      if not text and taken <= select("#", ...) then
        blame.raise("stdb.query: value %d has no literal in SQL: %s", taken, blame.show(given[taken]))
      end
      parts[#parts + 1], at = template:sub(at, place - 1) .. (text or ""), place + 1
    end
  end
  check_count(taken, select("#", ...))
  return table.concat(parts) .. template:sub(at)
end
