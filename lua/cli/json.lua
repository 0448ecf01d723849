--- Reads JSON, keeping numbers as the text they are.
--
-- The commands print what a server says: a u64 or u128 must come out as it came in, and a Lua number would
-- round it. So a number is a table { number = "123" }. Objects keep the order of their keys.
--
-- Objects are { keys = {...}, values = {...} } with a metatable for access by key; arrays are plain lists with
-- `is_array`; null is json.null.
local json = {}

json.null = setmetatable({}, { __tostring = function() return "null" end })

local object_meta = { __index = function(object, key) return rawget(object, "values")[key] end }

local escapes = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
local escaped = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
local DEPTH_MAX = 200

local function fail(text, at, what)
  error(("not JSON: %s at byte %d, near `%s`"):format(what, at, text:sub(at, at + 15)), 0)
end

local function skip_space(text, at)
  return text:find("[^ \t\r\n]", at) or #text + 1
end

local function utf8_char(code)
  if code < 0x80 then return string.char(code) end
  if code < 0x800 then return string.char(0xC0 + math.floor(code / 64), 0x80 + code % 64) end
  if code < 0x10000 then
    return string.char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
  end
  return string.char(0xF0 + math.floor(code / 262144), 0x80 + math.floor(code / 4096) % 64,
    0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
end

-- A \u escape at `at` (on the u); two of them may be one character.
local function read_unicode(text, at)
  local code = tonumber(text:match("^u(%x%x%x%x)", at) or fail(text, at, "a broken \\u escape"), 16)
  if code >= 0xD800 and code < 0xDC00 then
    local low = tonumber(text:match("^\\u([dD][c-fC-F]%x%x)", at + 5) or fail(text, at, "half a surrogate pair"), 16)
    return utf8_char(0x10000 + (code - 0xD800) * 1024 + low - 0xDC00), at + 11
  end
  return utf8_char(code), at + 5
end

local function read_string(text, at)
  local parts = {}
  at = at + 1
  while true do
    local stop = text:find('["\\]', at) or fail(text, at, "a string without an end")
    parts[#parts + 1] = text:sub(at, stop - 1)
    if text:byte(stop) == 34 then return table.concat(parts), stop + 1 end
    local char = text:sub(stop + 1, stop + 1)
    if char == "u" then
      parts[#parts + 1], at = read_unicode(text, stop + 1)
    else
      parts[#parts + 1] = escapes[char] or fail(text, stop, "an unknown escape")
      at = stop + 2
    end
  end
end

local read_value

local function read_array(text, at, depth)
  local array = { is_array = true }
  at = skip_space(text, at + 1)
  if text:sub(at, at) == "]" then return array, at + 1 end
  while true do
    array[#array + 1], at = read_value(text, at, depth + 1)
    at = skip_space(text, at)
    local char = text:sub(at, at)
    if char == "]" then return array, at + 1 end
    if char ~= "," then fail(text, at, "`,` or `]` is missing") end
    at = at + 1
  end
end

local function read_object(text, at, depth)
  local object = setmetatable({ keys = {}, values = {} }, object_meta)
  at = skip_space(text, at + 1)
  if text:sub(at, at) == "}" then return object, at + 1 end
  while true do
    at = skip_space(text, at)
    if text:sub(at, at) ~= '"' then fail(text, at, "a key is missing") end
    local key
    key, at = read_string(text, at)
    at = skip_space(text, at)
    if text:sub(at, at) ~= ":" then fail(text, at, "`:` is missing") end
    object.keys[#object.keys + 1] = key
    object.values[key], at = read_value(text, at + 1, depth + 1)
    at = skip_space(text, at)
    local char = text:sub(at, at)
    if char == "}" then return object, at + 1 end
    if char ~= "," then fail(text, at, "`,` or `}` is missing") end
    at = at + 1
  end
end

-- A number's text and the place behind it.
local function read_number(text, at)
  local stop = select(2, text:find("^%-?%d+", at))
  stop = select(2, text:find("^%.%d+", stop + 1)) or stop
  stop = select(2, text:find("^[eE][+-]?%d+", stop + 1)) or stop
  return text:sub(at, stop), stop + 1
end

local words = { ["true"] = true, ["false"] = false, null = json.null }

function read_value(text, at, depth)
  if depth > DEPTH_MAX then fail(text, at, "nesting is too deep") end
  at = skip_space(text, at)
  local char = text:sub(at, at)
  if char == "{" then return read_object(text, at, depth) end
  if char == "[" then return read_array(text, at, depth) end
  if char == '"' then return read_string(text, at) end
  if text:find("^%-?%d", at) then
    local number, behind = read_number(text, at)
    return { number = number }, behind
  end
  local word = text:match("^%a+", at)
  if word and words[word] ~= nil then return words[word], at + #word end
  fail(text, at, "a value is missing")
end

--- Reads one JSON text. Raises a sentence when it is not one.
---@param text string
function json.decode(text)
  local value, at = read_value(text, 1, 0)
  at = skip_space(text, at)
  if at <= #text then fail(text, at, "text after the end") end
  return value
end

--- A Lua string as a JSON string.
---@param text string
---@return string
function json.quote(text)
  return '"' .. text:gsub('[%c"\\]', function(char)
    return escaped[char] or ("\\u%04x"):format(char:byte())
  end) .. '"'
end

--- The value as JSON on several lines, two spaces a level.
function json.pretty(value, indent)
  indent = indent or ""
  local inner = indent .. "  "
  if type(value) == "string" then return json.quote(value) end
  if type(value) ~= "table" or value == json.null then return tostring(value) end
  if rawget(value, "number") then return value.number end
  local lines = {}
  if rawget(value, "is_array") then
    if #value == 0 then return "[]" end
    for idx, item in ipairs(value) do lines[idx] = inner .. json.pretty(item, inner) end
    return "[\n" .. table.concat(lines, ",\n") .. "\n" .. indent .. "]"
  end
  if #value.keys == 0 then return "{}" end
  for idx, key in ipairs(value.keys) do
    lines[idx] = inner .. json.quote(key) .. ": " .. json.pretty(value.values[key], inner)
  end
  return "{\n" .. table.concat(lines, ",\n") .. "\n" .. indent .. "}"
end

return json
