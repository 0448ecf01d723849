--- The two ends of a walk through an index, from what filter, count and delete are given: leading values, and
-- after them perhaps a range { from =, to =, above =, below =, reverse = }.
--
-- All of it is straight-line text: a short loop in here would break the trace of every reducer that walks.
local use = ...
local ffi = require "ffi"
local blame, codec, source = use "blame", use "codec", use "source"

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

--- "v1, v2, ..."
function bounds.argument_names(count)
  local names = {}
  for place = 1, count do
    names[place] = "v" .. place
  end
  return table.concat(names, ", ")
end

local function refuse_range(path, range)
  for key in next, range do
    if not IS_OPTION[key] then
      blame.raise("%s: a range has no %s%s", path, blame.key(key), blame.hint(key, OPTIONS))
    end
  end
end

--- function(range): refuses options that are none, and two for one end.
local function range_checker(path)
  local text = source.new("range " .. path)
  local refuse = text:bind(function(range)
    refuse_range(path, range)
  end, "refuse")
  local both = text:bind(function(names)
    blame.raise("%s: a range has `%s`, not both", path, names)
  end, "both")
  text:add("return function(range)")
  text:add("if rawget(range, 'from') ~= nil and rawget(range, 'above') ~= nil then %s('from` or `above') end", both)
  text:add("if rawget(range, 'to') ~= nil and rawget(range, 'below') ~= nil then %s('to` or `below') end", both)
  text:add(source.check_keys("range", text:bind(IS_OPTION, "known"), #OPTIONS, refuse .. "(range)"))
  text:add "end"
  return text:compile()
end

--- Statements that write v1 to v`count` at offset `n`, which ends up behind them.
local function add_leading(text, columns, count, misfit)
  for place = 1, count do
    text:add("n = %s(n, v%d) or %s(%d, v%d)", text:bind(codec.key_writer(columns[place].type), "write"), place, misfit,
      place, place)
  end
end

--- Statements that write `value`, when there is one, as the column behind the leading ones.
local function add_end(text, columns, leading, value, misfit)
  text:add("if %s ~= nil then n = %s(n, %s) or %s(%d, %s) %s_columns = %d end", value,
    text:bind(codec.key_writer(columns[leading + 1].type), "write"), value, misfit, leading + 1, value, value, leading + 1)
end

--- The same for the upper end. Rows whose option is empty stand above all others: a range that is open above ends
-- before them.
local function add_upper_end(text, columns, leading, misfit)
  if columns[leading + 1].type.kind == "option" then
    text:add "if high == nil then high, with_high = none, 0 end"
  end
  add_end(text, columns, leading, "high", misfit)
end

--- Statements that set both bounds, to the bytes up to `middle` and to those from `start` to `n`.
local function add_set(text, start)
  -- Only when both are written: the buffer may have moved in between.
  text:add "local at = out.at"
  text:add "lower.key, lower.size, lower.column_count, lower.inclusive = at, middle, low_columns, with_low"
  text:add("upper.key, upper.size, upper.column_count, upper.inclusive = at + %s, n - %s, high_columns, with_high", start,
    start)
end

--- function(v1, ..., range): leading values and a range behind them.
local function ranged(path, columns, leading, check, misfit_key)
  local text = source.new("range " .. path)
  local misfit = text:bind(misfit_key, "misfit")
  text:add("local lower, upper = %s, %s", text:bind(lower, "lower"), text:bind(upper, "upper"))
  text:add("return function(%s range)", leading > 0 and bounds.argument_names(leading) .. "," or "")
  text:add("%s(range)", text:bind(check, "check"))
  text:add [[
  local low, with_low = rawget(range, "from"), 1
  if low == nil then
    low = rawget(range, "above")
    if low ~= nil then with_low = 0 end
  end
  local high, with_high = rawget(range, "to"), 1
  if high == nil then
    high = rawget(range, "below")
    if high ~= nil then with_high = 0 end
  end]]
  text:add("local n, low_columns, high_columns = 0, %d, %d", leading, leading)
  add_leading(text, columns, leading, misfit)
  add_end(text, columns, leading, "low", misfit)
  text:add "local middle = n"
  add_leading(text, columns, leading, misfit)
  add_upper_end(text, columns, leading, misfit)
  add_set(text, "middle")
  text:add "return rawget(range, 'reverse') and 1 or 0 end"
  return text:compile()
end

--- function(v1, ...): leading values alone, fewer than the index has columns.
local function prefixed(path, columns, leading, misfit_key)
  local text = source.new("prefix " .. path)
  text:add("local lower, upper = %s, %s", text:bind(lower, "lower"), text:bind(upper, "upper"))
  text:add("return function(%s) local n = 0", bounds.argument_names(leading))
  add_leading(text, columns, leading, text:bind(misfit_key, "misfit"))
  text:add("local middle, low_columns, high_columns, with_low, with_high = n, %d, %d, 1, 1", leading, leading)
  add_set(text, "0")
  text:add "return 0 end"
  return text:compile()
end

local IS_RANGE = "type(v%d) == 'table' and getmetatable(v%d) == nil" -- values of ours have metatables

--- The ways that end before the last column: a value that is missing, or a range.
local function add_short_ways(text, path, columns, kind, misfit_key)
  local refuse_hash = text:bind(function()
    blame.raise("%s: a hash index finds equal values of all its columns; a btree index answers more", path)
  end, "refuse")
  local misfit = text:bind(misfit_key, "misfit")
  local function refuse_nil()
    blame.raise("%s: nil says nothing here; stdb.none finds the rows without a value", path)
  end
  local check = kind ~= "hash" and range_checker(path)
  for place = 1, #columns do
    local leading = bounds.argument_names(place - 1)
    local comma = place > 1 and ", " or ""
    local short, range = refuse_hash, refuse_hash
    if kind ~= "hash" then
      short = place > 1 and text:bind(prefixed(path, columns, place - 1, misfit_key), "prefixed")
      range = text:bind(ranged(path, columns, place - 1, check, misfit_key), "ranged")
    end
    if place == 1 then
      text:add("if v1 == nil then %s(1, nil) end", columns[1].type.kind == "option" and text:bind(refuse_nil, "nil") or misfit)
    else
      text:add("if v%d == nil then return (%s(%s)) end", place, short, leading)
    end
    text:add("if " .. IS_RANGE .. " then", place, place)
    text:add("if v%d ~= nil then too_many() end", place + 1)
    text:add("return (%s(%s%sv%d)) end", range, leading, comma, place)
  end
end

--- function(v1, v2, ..., one too many) that sets both bounds and returns 1 for a walk downwards, else 0.
function bounds.maker(path, columns, kind, key, misfit_key)
  local text = source.new("bounds " .. path)
  text:add("local key, lower, upper = %s, %s, %s", text:bind(key, "key"), text:bind(lower, "lower"),
    text:bind(upper, "upper"))
  text:add("local too_many = %s", text:bind(function()
    blame.raise("%s: takes %d value%s at most, the last may be a range", path, #columns, #columns > 1 and "s" or "")
  end, "too_many"))
  text:add("return function(%s)", bounds.argument_names(#columns + 1))
  add_short_ways(text, path, columns, kind, misfit_key)
  text:add("if v%d ~= nil then too_many() end", #columns + 1)
  text:add("local at, size = key(%s)", bounds.argument_names(#columns))
  text:add("lower.key, lower.size, lower.column_count, lower.inclusive = at, size, %d, 1", #columns)
  text:add("upper.key, upper.size, upper.column_count, upper.inclusive = at, size, %d, 1", #columns)
  text:add "return 0 end"
  return text:compile()
end

return bounds
