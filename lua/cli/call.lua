--- stdb-lua call: calls a reducer.
local json = require "cli.json"
local schema = require "cli.schema"
local server = require "cli.server"

local function find_reducer(read, name, database)
  local names = {}
  for _, reducer in ipairs(read.reducers) do
    if reducer.name == name then return reducer end
    if not reducer.private and not reducer.lifecycle then names[#names + 1] = reducer.name end
  end
  error(("No such reducer `%s` for database `%s`. It has: %s"):format(name, database, table.concat(names, ", ")), 0)
end

-- A text on the command line need not be quoted twice; identities may be bare hex.
local function argument_json(param, text)
  local kind = param.type.kind
  if kind == "string" and not text:find '^%s*".*"%s*$' then return json.quote(text) end
  if kind == "identity" and text:find "^%x+$" then return ('["0x%s"]'):format(text) end
  if kind == "identity" and text:find "^0x%x+$" then return ('["%s"]'):format(text) end
  return text
end

local function arguments_json(reducer, texts)
  if #texts ~= #reducer.params then
    local wanted = {}
    for idx, param in ipairs(reducer.params) do wanted[idx] = param.name end
    error(("%s takes %d argument%s (%s), not %d"):format(reducer.name, #reducer.params, #reducer.params == 1 and "" or "s",
      table.concat(wanted, ", "), #texts), 0)
  end
  local parts = {}
  for idx, text in ipairs(texts) do parts[idx] = argument_json(reducer.params[idx], text) end
  return "[" .. table.concat(parts, ",") .. "]"
end

return {
  arguments = "DATABASE REDUCER [ARGUMENT...]",
  about = "Calls a reducer of a running database. Arguments are SATS-JSON: 7, true, '{\"x\":1,\"y\":2}', '[1,2]'; a text\n" ..
    "may stand without quotes. Returns when the change is on disk.",
  options = server.with_options {},
  positionals = 60,
  run = function(host, options, positionals)
    local database, name = positionals[1], positionals[2]
    if not name then error("a database and a reducer are needed; see --help", 0) end
    local remote = server.new(host, options)
    local reducer = find_reducer(schema.read((remote:schema(database))), name, database)
    local body = arguments_json(reducer, { unpack(positionals, 3) })
    local path = ("/v1/database/%s/call/%s"):format(server.escape(database), server.escape(name))
    local status, answer = remote:request("POST", path, body, "application/json")
    if status == 200 then return 0 end
    io.stderr:write(answer, "\n")
    return 1
  end,
}
