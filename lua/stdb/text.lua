--- Texts from values, without addresses: where a table lives in memory is nobody's business, and differs from
-- run to run.
local use = ...
local blame, reentry = use "blame", use "reentry"
local ffi = require "ffi"

local type, select, unpack, native_tostring, format = type, select, unpack, tostring, string.format
local getmetatable, concat, find = debug.getmetatable, table.concat, string.find

local text = {}

local NAMELESS = { ["function"] = "function", table = "table", thread = "thread", userdata = "userdata" }
local int64, uint64 = ffi.typeof "int64_t", ffi.typeof "uint64_t"

local converted = reentry.counted(native_tostring)

local function show_object(value, kind)
  local meta = getmetatable(value)
  if type(meta) == "table" and rawget(meta, "__tostring") ~= nil then
    local shown = converted(value)
    if type(shown) ~= "string" then
      blame.raise("__tostring: expected it to give a text, got %s", blame.show(shown))
    end
    return shown
  end
  return NAMELESS[kind]
end

local function show_cdata(value)
  if ffi.istype(int64, value) or ffi.istype(uint64, value) then
    return (native_tostring(value):gsub("U?LL$", ""))
  end
  return (native_tostring(value))
end

--- As Lua's tostring, but a table is "table". 64-bit integers print without their suffix.
function text.tostring(...)
  if select("#", ...) == 0 then
    blame.raise "bad argument #1 to 'tostring' (value expected)"
  end
  local value = ...
  local kind = type(value)
  if NAMELESS[kind] then
    return (show_object(value, kind))
  elseif kind == "cdata" then
    return (show_cdata(value))
  end
  return (native_tostring(value))
end

-- Patterns already looked at, so that the look costs once. Emptied when a module makes up ever new ones.
local checked, checked_count = {}, 0

local function check_pattern(pattern)
  if find((pattern:gsub("%%%%", "")), "%%[^%a%%]*p") then
    blame.raise "string.format has no %p here: where values live in memory is not shown"
  end
  if checked_count > 1000 then
    checked, checked_count = {}, 0
  end
  checked[pattern], checked_count = true, checked_count + 1
end

--- Whether string.format would have to print an object. Without a loop: this is on the way of every format.
local function has_objects(a, b, c, d, e, f)
  return NAMELESS[type(a)] or NAMELESS[type(b)] or NAMELESS[type(c)] or NAMELESS[type(d)] or NAMELESS[type(e)]
    or NAMELESS[type(f)]
end

--- As string.format.
function text.format(pattern, ...)
  if not checked[pattern] and type(pattern) == "string" then
    check_pattern(pattern)
  end
  local count = select("#", ...)
  if count <= 6 and not has_objects(...) then
    return (format(pattern, ...))
  end
  local values = { ... }
  for place = 1, count do
    if NAMELESS[type(values[place])] then
      values[place] = text.tostring(values[place])
    end
  end
  return (format(pattern, unpack(values, 1, count)))
end

--- The values as print writes them: separated by tabs.
function text.join(...)
  local shown = { ... }
  for place = 1, select("#", ...) do
    shown[place] = text.tostring((select(place, ...)))
  end
  return (concat(shown, "\t"))
end

--- A text, or a pattern with its arguments, of a log line or a rejection.
function text.compose(what, pattern, ...)
  if select("#", ...) > 0 then
    if type(pattern) ~= "string" then
      blame.raise("%s: expected a pattern, got %s", what, blame.show(pattern))
    end
    return (text.format(pattern, ...))
  end
  return (text.tostring(pattern))
end

return text
