--- The two ends of a walk through an index, from what filter, count and delete are given: leading values, and
-- after them perhaps a range { from =, to =, above =, below =, reverse = }.
local use = ...
local ffi = require "ffi"
local blame, codec, out, source = use "blame", use "codec", use "out", use "source"

local type, rawget, getmetatable, select = type, rawget, getmetatable, select

local bounds = {}

local OPTIONS = { "from", "to", "above", "below", "reverse" }
local IS_OPTION = {}
for _, name in ipairs(OPTIONS) do
  IS_OPTION[name] = true
end

-- One pair for all: C is done with them when its function returns.
local memory = ffi.new("stdb_bound[2]")
local lower, upper = ffi.cast("stdb_bound *", memory), ffi.cast("stdb_bound *", memory) + 1
bounds.memory, bounds.lower, bounds.upper = memory, lower, upper

function bounds.argument_names(count)
  local names = {}
  for place = 1, count do
    names[place] = "v" .. place
  end
  return table.concat(names, ", ")
end

--- Only a plain table is a range: values of ours have metatables.
local function is_range(value)
  return type(value) == "table" and getmetatable(value) == nil
end

local function check_range(path, range)
  for key in next, range do
    if not IS_OPTION[key] then
      blame.raise("%s: a range has no %s%s", path, blame.key(key), blame.hint(key, OPTIONS))
    end
  end
  local two_begins = rawget(range, "from") ~= nil and rawget(range, "above") ~= nil
  local two_ends = rawget(range, "to") ~= nil and rawget(range, "below") ~= nil
  if two_begins or two_ends then
    blame.raise("%s: a range has `%s`, not both", path, two_begins and "from` or `above" or "to` or `below")
  end
end

--- Splits the arguments into leading values and the range behind them, which may be nil.
local function split(path, column_count, given, given_count)
  local leading = 0
  while leading < column_count and given[leading + 1] ~= nil and not is_range(given[leading + 1]) do
    leading = leading + 1
  end
  local range = given[leading + 1]
  local used = leading + (range ~= nil and 1 or 0)
  if leading == column_count or not is_range(range) then
    range, used = nil, leading
  end
  for place = used + 1, given_count do
    if given[place] ~= nil then
      blame.raise("%s: takes %d value%s at most, the last may be a range", path, column_count,
        column_count > 1 and "s" or "")
    end
  end
  return leading, range
end

local function set(bound, offset, stop, column_count, is_inclusive)
  bound.key, bound.size = out.bytes.at + offset, stop - offset
  bound.column_count, bound.inclusive = column_count, is_inclusive and 1 or 0
end

--- What is left to the general way: prefixes and ranges. Returns 1 for a walk downwards, else 0.
local function general(path, columns, kind, misfit_key)
  --- Writes the leading values and, when there is one, the value behind them.
  local function put_key(n, given, leading, last)
    for place = 1, leading do
      n = codec.writer(columns[place].type)(n, given[place]) or misfit_key(place, given[place])
    end
    if last ~= nil then
      n = codec.writer(columns[leading + 1].type)(n, last) or misfit_key(leading + 1, last)
    end
    return n
  end

  return function(...)
    local given = { ... }
    local leading, range = split(path, #columns, given, select("#", ...))
    if leading == 0 and not range then
      misfit_key(1, nil)
    elseif kind == "hash" then
      blame.raise("%s: a hash index finds equal values of all its columns; a btree index answers more", path)
    end
    range = range or {}
    check_range(path, range)
    local first, last = rawget(range, "from"), rawget(range, "to")
    local with_first, with_last = rawget(range, "above") == nil, rawget(range, "below") == nil
    if not with_first then
      first = rawget(range, "above")
    end
    if not with_last then
      last = rawget(range, "below")
    end
    local middle = put_key(0, given, leading, first)
    local stop = put_key(middle, given, leading, last)
    -- Only now: the buffer may have moved while the second key was written.
    set(lower, 0, middle, leading + (first ~= nil and 1 or 0), with_first)
    set(upper, middle, stop, leading + (last ~= nil and 1 or 0), with_last)
    return rawget(range, "reverse") and 1 or 0
  end
end

--- function(v1, v2, ...) that sets both bounds; a whole key, the usual case, takes the short way.
function bounds.maker(path, columns, kind, key, misfit_key)
  local text = source.new("bounds " .. path)
  local rest = text:bind(general(path, columns, kind, misfit_key), "general")
  local names = bounds.argument_names(#columns)
  text:add("local key, lower, upper = %s, %s, %s", text:bind(key, "key"), text:bind(lower, "lower"),
    text:bind(upper, "upper"))
  text:add("return function(%s, ...)", names)
  for place in ipairs(columns) do
    text:add("if v%d == nil or type(v%d) == 'table' and getmetatable(v%d) == nil then return %s(%s, ...) end", place,
      place, place, rest, names)
  end
  text:add("if ... ~= nil then return %s(%s, ...) end", rest, names)
  text:add("local at, size = key(%s)", names)
  text:add("lower.key, lower.size, lower.column_count, lower.inclusive = at, size, %d, 1", #columns)
  text:add("upper.key, upper.size, upper.column_count, upper.inclusive = at, size, %d, 1", #columns)
  text:add "return 0 end"
  return text:compile()
end

return bounds
