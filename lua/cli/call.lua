--- stdb-lua call: calls a reducer.
local json = require "cli.json"
local misuse = require "cli.misuse"
local names = require "cli.names"
local schema = require "cli.schema"
local server = require "cli.server"

local function find_reducer(read, name, database)
  local known = {}
  for _, reducer in ipairs(read.reducers) do
    if reducer.name == name then return reducer end
    if not reducer.private and not reducer.lifecycle then known[#known + 1] = reducer.name end
  end
  error(("No such reducer `%s` for database `%s`.%s"):format(name, database, names.advice(name, known)), 0)
end

local argument_json

local function decoded(text)
  local is_json, value = pcall(json.decode, text)
  return is_json and value or nil
end

local function hex_json(text)
  return (text:find "^%x+$" or text:find "^%-?0x%x+$") and json.quote(text) or text
end

local function counted_json(text)
  return text:find "^%-?%d+$" and "[" .. text .. "]" or text
end

-- What may stand on a command line in a plainer form than JSON's, by the parameter's type: a text need not be quoted
-- twice, ids and bytes are bare hex, moments a number, an option is null or its value, an enum its variant's name.
local plainer = {
  string = function(text) return type(decoded(text)) == "string" and text or json.quote(text) end,
  identity = hex_json,
  connection_id = hex_json,
  bytes = hex_json,
  u256 = hex_json,
  i256 = hex_json,
  timestamp = counted_json,
  duration = counted_json,
  option = function(text, one, read)
    local value = decoded(text)
    if value == json.null then return text end
    local is_spelled_out = type(value) == "table" and rawget(value, "keys") and (value.some ~= nil or value.none ~= nil)
    return is_spelled_out and text or ('{"some":%s}'):format(argument_json(text, one.element, read))
  end,
  sum = function(text, one)
    for _, variant in ipairs(one.variants) do
      if variant.name == text and variant.type.kind == "product" and #variant.type.fields == 0 then
        return ("{%s:[]}"):format(json.quote(text))
      end
    end
    return text
  end,
}

function argument_json(text, one, read)
  if one.kind == "ref" then one = read.types[one.ref + 1] end
  local write = plainer[one.kind]
  return write and write(text, one, read) or text
end

-- A type as it is told to who has written something else: an enum with its variants.
local function expected_text(one, read)
  local name = schema.type_text(read, one)
  if one.kind == "ref" then one = read.types[one.ref + 1] end
  if one.kind ~= "sum" then return name end
  local variants = {}
  for idx, variant in ipairs(one.variants) do variants[idx] = variant.name end
  return ("%s (%s)"):format(name, table.concat(variants, ", "))
end

-- What is no JSON has no place in a request. All else is the server's to judge.
local function checked_json(reducer, param, text, read)
  local written = argument_json(text, param.type, read)
  if not pcall(json.decode, written) then
    error(("%s: argument `%s`: expected %s, got %s"):format(reducer.name, param.name, expected_text(param.type, read), text), 0)
  end
  return written
end

local function arguments_json(reducer, texts, read)
  if #texts ~= #reducer.params then
    local wanted = {}
    for idx, param in ipairs(reducer.params) do wanted[idx] = param.name end
    misuse("%s takes %d argument%s (%s), not %d", reducer.name, #reducer.params, #reducer.params == 1 and "" or "s",
      table.concat(wanted, ", "), #texts)
  end
  local parts = {}
  for idx, text in ipairs(texts) do parts[idx] = checked_json(reducer, reducer.params[idx], text, read) end
  return "[" .. table.concat(parts, ",") .. "]"
end

return {
  arguments = "DATABASE REDUCER [ARGUMENT...]",
  about = "Calls a reducer of a running database. Arguments are SATS-JSON: 7, true, '{\"x\":1,\"y\":2}', '[1,2]'; a text\n" ..
    "may stand without quotes, an option as its value or null, an enum as its variant's name. What begins with\n" ..
    "two dashes follows a lone --. Returns when the change is on disk.",
  options = server.with_options {},
  positionals = { 2, 60 },
  run = function(host, options, positionals)
    local database, name = positionals[1], positionals[2]
    local remote = server.new(host, options)
    local read = schema.read((remote:schema(database)))
    local reducer = find_reducer(read, name, database)
    local body = arguments_json(reducer, { unpack(positionals, 3) }, read)
    local path = ("/v1/database/%s/call/%s"):format(server.escape(database), server.escape(name))
    local status, answer = remote:request("POST", path, body, "application/json")
    if status == 200 then return 0 end
    io.stderr:write(answer, "\n")
    return 1
  end,
}
