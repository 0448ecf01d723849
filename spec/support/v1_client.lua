--- A client of the v1 protocols over a real socket, in either form.
---
---     local ann = v1_client.connect(server, { protocol = "v1.json", rows = { person = person_type } })
---     ann:send("SubscribeMulti", { query_strings = { "SELECT * FROM person" }, request_id = 1, query_id = { id = 1 } })
---     ann:expect "SubscribeMultiApplied"   --> the message's value; of the JSON form, as cjson has it
---     ann:tables(update)                   --> { { table = "person", inserts = { … }, deletes = { … } } }, the rows as values
local bsatn = require "spec.support.bsatn"
local client = require "spec.support.client"
local json = require "cjson"
local messages = require "spec.support.messages"
local server_support = require "spec.support.server"

local v1_client = {}
local Client = {}
Client.__index = Client

local types = bsatn.schema_file "schemas/messages_v1.types"
local PROTOCOLS = { v1 = "v1.bsatn.spacetimedb", ["v1.json"] = "v1.json.spacetimedb" }
local TEXT = "text"

function v1_client.connect(server, options)
  options.protocols = { PROTOCOLS[options.protocol] }
  local connection, refusal = client.open(server, options)
  assert(connection, refusal)
  local self = setmetatable({
    connection = connection, is_json = options.protocol == "v1.json", row_types = options.rows or {},
  }, Client)
  self.greeting = self:expect "IdentityToken"
  return self
end

--- As a v1 client may, in the form that it is not answered in: send_other().
local function send(self, as_json, tag, value)
  if as_json then
    return assert(self.connection:send(json.encode { [tag] = value }, TEXT))
  end
  return assert(self.connection:send(bsatn.encode(types.ClientMessage, { tag = tag, value = value })))
end

function Client:send(tag, value) send(self, self.is_json, tag, value) end
function Client:send_other(tag, value) send(self, not self.is_json, tag, value) end

--- The next message: { tag, value }, or nil and why.
function Client:next(seconds)
  local frame, why, code, reason = self.connection:receive(seconds or server_support.patience)
  if not frame then
    return nil, why, code, reason
  end
  if self.is_json then
    local tag, value = next(json.decode(frame))
    return { tag = tag, value = value }
  end
  assert(frame:byte(1) == 0, "the frame is compressed")
  local message, behind = bsatn.decode(types.ServerMessage, frame, 2)
  assert(behind == #frame + 1, "the frame is longer than its message")
  return message
end

function Client:expect(tag)
  local message, why = self:next()
  if not message or message.tag ~= tag then
    error(("expected %s, got %s"):format(tag, message and message.tag or tostring(why)), 2)
  end
  return message.value
end

--- Rows as values; those of the JSON form as they are written there.
function Client:rows(table_name, list)
  local rows = {}
  if not self.is_json then
    return messages.decode_rows(list, self.row_types[table_name])
  end
  for place, text in ipairs(list) do
    rows[place] = json.decode(text)
  end
  return rows
end

--- A DatabaseUpdate as a list, one entry for each query of a table.
function Client:tables(update)
  local list = {}
  for _, changed in ipairs(update.tables) do
    for _, query in ipairs(changed.updates) do
      local rows = self.is_json and query or query.value
      list[#list + 1] = {
        table = changed.table_name,
        inserts = self:rows(changed.table_name, rows.inserts), deletes = self:rows(changed.table_name, rows.deletes),
      }
    end
  end
  return list
end

--- Leaves without a word.
function Client:drop() self.connection:shut() end

return v1_client
