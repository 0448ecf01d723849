--- Errors that point at the module's own line, in words that a game's author understands.
local use = ...
local ffi = require "ffi"
local C, vm = use "library", use "vm"

local getinfo = debug.getinfo
local error, type, format = error, type, string.format

local blame = {}

-- Deeper than any chain of our own functions between the module's line and the mistake.
local LEVELS_MAX = 100
local SHOWN_MAX = 40

local files = setmetatable({}, { __mode = "k" }) -- of functions; false: not the module's

--- The module's file that a function is from: those are chunks named "@file". Asked once, for every declaration asks.
local function file_of(func)
  if files[func] == nil then
    files[func] = getinfo(func, "S").source:match "^@(.*)" or false
  end
  return files[func]
end

--- The file and line of the module's innermost function on the stack. `nearest` is the first level it can be at.
function blame.position(nearest)
  for level = nearest or 2, LEVELS_MAX do
    local info = getinfo(level, "f")
    if not info then
      return nil
    end
    local file = file_of(info.func)
    local line = file and getinfo(level, "l").currentline
    if file and line > 0 then
      return file, line
    end
  end
end

--- Raises a message with the module's position in front, whatever of ours lies between.
function blame.raise(message, ...)
  if select("#", ...) > 0 then
    message = format(message, ...)
  end
  local file, line = blame.position()
  error(file and format("%s:%d: %s", file, line, message) or message, 0)
end

--- Raises what C has just said in vm.text.
function blame.failed()
  blame.raise(ffi.string(vm.text, vm.text_size))
end

function blame.outside()
  blame.raise "tables can be used only inside a reducer"
end

--- ", did you mean `name`?" when one of the names is near, else nothing.
function blame.hint(wanted, names)
  if type(wanted) ~= "string" or #names == 0 then
    return ""
  end
  local joined = table.concat(names, "\n")
  local place = C.stdb_nearest(wanted, #wanted, joined, #joined)
  return place >= 0 and format("; did you mean `%s`?", names[place + 1]) or ""
end

--- A key as it is named in a message. Never runs the module's code.
function blame.key(key)
  return type(key) == "string" and format("`%s`", key:sub(1, SHOWN_MAX)) or blame.show(key)
end

local describers = {}

--- Lets values of ours describe themselves: `describe` gets any table and returns text or nil.
function blame.teach(describe)
  describers[#describers + 1] = describe
end

local function show_number(value)
  return value == math.floor(value) and math.abs(value) < 2 ^ 53 and format("%d", value) or format("%.14g", value)
end

--- A value as it is shown in "expected u8, got ...". Never runs the module's code.
function blame.show(value)
  local kind = type(value)
  if kind == "string" then
    local cut = #value > SHOWN_MAX and value:sub(1, SHOWN_MAX) .. "..." or value
    return format("string %q", cut):gsub("\\\n", "\\n")
  elseif kind == "number" then
    return show_number(value)
  elseif kind == "boolean" or kind == "nil" then
    return kind == "nil" and "nil" or (value and "true" or "false")
  elseif kind == "cdata" then
    return "the number " .. tostring(value)
  end
  for _, describe in ipairs(describers) do
    local text = describe(value)
    if text then
      return text
    end
  end
  return "a " .. kind
end

return blame
