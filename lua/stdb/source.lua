--- Lua that writes Lua: what runs for every row is made as source text, one for each table and type.
--
-- A text compiled anew has prototypes of its own, so LuaJIT takes its upvalues for constants and its traces
-- meet one table only. One closure factory shared among tables would cost both.
--
-- Two more habits keep the traces whole, here and in what these texts call. No short loops: a loop that runs a few
-- times aborts the trace around it, and again, until its function may not be compiled at all. And no tail calls of
-- functions: `return (tonumber(x))` can begin a trace, `return tonumber(x)` cannot, and a trace ends for good at the
-- sixteenth tail call in it, however harmless each of them is.
local use = ...
local ffi = require "ffi"
local bit = require "bit"

local source = {}

local word = ffi.typeof [[
  union __attribute__((packed)) {
    bool flag; uint8_t u8; int8_t i8; uint16_t u16; int16_t i16; uint32_t u32; int32_t i32;
    uint64_t u64; int64_t i64; float f32; double f64;
  } *]]

-- What every text may name without binding it.
local common = {
  C = use "library",
  vm = use "vm",
  word = word,
  cast = ffi.cast,
  copy = ffi.copy,
  string_at = ffi.string,
  floor = math.floor,
  band = bit.band,
  rawget = rawget,
  getmetatable = getmetatable,
  setmetatable = setmetatable,
  type = type,
  tonumber = tonumber,
  next = next,
}
source.word = word

local prelude

--- Lets every text name one more value.
function source.share(name, value)
  common[name], prelude = value, nil
end

local function write_prelude()
  local names, values = {}, {}
  for name in pairs(common) do
    names[#names + 1] = name
    values[#values + 1] = "common." .. name
  end
  return "local common, bound = ...\nlocal " .. table.concat(names, ", ") .. " = " .. table.concat(values, ", ") .. "\n"
end

local methods = {}
methods.__index = methods

--- A new text. Its chunk name shows in stacks as stdb/NAME.
function source.new(name)
  return setmetatable({ name = name, head = {}, lines = {}, values = {}, name_of = {} }, methods)
end

--- Makes a value usable in the text; returns the name it has there.
function methods:bind(value, hint)
  local name = self.name_of[value]
  if not name then
    local place = #self.values + 1
    name = hint .. "_" .. place
    self.values[place] = value
    if value == value then -- a NaN is no key
      self.name_of[value] = name
    end
    self.head[place] = ("local %s = bound[%d]\n"):format(name, place)
  end
  return name
end

--- Adds a line; with arguments it is a format.
function methods:add(text, ...)
  self.lines[#self.lines + 1] = select("#", ...) > 0 and text:format(...) or text
end

--- Compiles the text and returns what it returns. It becomes one line (so a text has no comments): traces have a
-- safepoint wherever the line changes (see host/guard.h), and each of them keeps alive what would otherwise never be
-- made.
function methods:compile()
  prelude = prelude or write_prelude()
  local text = prelude .. table.concat(self.head) .. table.concat(self.lines, "\n")
  text = text:gsub("\\\n", "\\n"):gsub("\n", " ") -- a line break in a quoted name stays one
  return assert(loadstring(text, "=stdb/" .. self.name))(common, self.values)
end

--- Compiles a text that is complete as it stands; `bindings` are values by the names it uses for them. Others are not
-- looked at, so they may be many, and lazy.
function source.compile(name, text, bindings)
  local self, seen = source.new(name), {}
  for before, spelled in text:gmatch "([.:]?)([%a_][%w_]*)" do
    local value = before == "" and not seen[spelled] and bindings[spelled]
    seen[spelled] = seen[spelled] or before == ""
    if value then
      self:add("local %s = %s", spelled, self:bind(value, "given"))
    end
  end
  self:add("%s", text)
  return self:compile()
end

--- Statements that look at each key of the table `name`, at most `count` of them, and do `refuse` at the first that
-- is not in `known`, or is one too many. Without a loop. They return when all is well.
function source.check_keys(name, known, count, refuse)
  local lines = { "local key = next(" .. name .. ")" }
  local look = "if key == nil then return end if not %s[key] then %s end key = next(%s, key)"
  for _ = 1, count do
    lines[#lines + 1] = look:format(known, refuse, name)
  end
  lines[#lines + 1] = "if key ~= nil then " .. refuse .. " end"
  return table.concat(lines, "\n")
end

return source
