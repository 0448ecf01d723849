--- A client of the v2 and v3 protocols over a real socket, one step at a time.
---
---     local ann = client.connect(server, { protocol = "v3", rows = { person = person_type } })
---     ann.identity, ann.connection_id, ann.token
---     ann:subscribe(1, { "SELECT * FROM person" })  --> the SubscribeApplied's tables: { { table, rows } }
---     ann:call("add", arguments)                    --> the outcome: { tag = "Ok", value = … }
---     ann:changes(ann:expect "TransactionUpdate")   --> { { set = 1, table = "person", inserts = …, deletes = … } }
---
--- Everything that is sent may also be sent alone (send_…), everything that comes is taken in order (next, expect).
local bsatn = require "spec.support.bsatn"
local messages = require "spec.support.messages"
local server_support = require "spec.support.server"
local ws_client = require "spec.support.ws_client"

local client = {}
local Client = {}
Client.__index = Client

client.PROTOCOLS = { v2 = "v2.bsatn.spacetimedb", v3 = "v3.bsatn.spacetimedb" }

--- The bytes of a reducer's arguments: client.arguments("{ id: u32, name: string }", { id = 1, name = "ann" }).
function client.arguments(notation, values)
  return bsatn.encode(bsatn.type(notation), values)
end

local function query_of(options)
  local query = {}
  for name, value in pairs(options.query or {}) do
    query[#query + 1] = name .. "=" .. value
  end
  if options.confirmed ~= nil then
    query[#query + 1] = "confirmed=" .. tostring(options.confirmed)
  end
  return #query > 0 and "?" .. table.concat(query, "&") or ""
end

--- The handshake alone: a connection, or nil and the response. Options: protocol ("v3"), protocols, confirmed,
--- token, query, headers, database, behind: bytes that are sent without waiting for the answer.
function client.open(server, options)
  options = options or {}
  local headers = { Authorization = options.token and "Bearer " .. options.token }
  for name, value in pairs(options.headers or {}) do
    headers[name] = value
  end
  return ws_client.connect {
    port = server.port,
    method = options.method,
    timeout = server_support.patience,
    path = ("/v1/database/%s/subscribe%s"):format(options.database or server.database, query_of(options)),
    protocols = options.protocols or { client.PROTOCOLS[options.protocol or "v3"] },
    headers = headers,
    behind = options.behind,
  }
end

--- A client over an open connection that has not been told yet who it is.
function client.over(connection, options)
  options = options or {}
  return setmetatable({
    connection = connection, waiting = {}, next_request_id = 1, row_types = options.rows or {},
  }, Client)
end

--- A client that has been greeted.
function client.connect(server, options)
  local connection, refusal = client.open(server, options)
  if not connection then
    error("the handshake was refused: " .. (type(refusal) == "table" and refusal.status .. " " .. refusal.body or refusal), 2)
  end
  local self = client.over(connection, options)
  local greeting = self:expect "InitialConnection"
  self.identity, self.connection_id, self.token = greeting.identity, greeting.connection_id, greeting.token
  return self
end

-- Out -------------------------------------------------------------------------------------------------------------

--- Sends one message in a frame of its own; its request id.
function Client:send(tag, value)
  if value.request_id == nil then
    value.request_id = self.next_request_id
    self.next_request_id = self.next_request_id + 1
  end
  assert(self.connection:send(messages.client(tag, value)))
  return value.request_id
end

function Client:send_subscribe(set, queries)
  return self:send("Subscribe", { query_set_id = { id = set }, query_strings = queries })
end

function Client:send_unsubscribe(set, wants_rows)
  local flags = { tag = wants_rows and "SendDroppedRows" or "Default" }
  return self:send("Unsubscribe", { query_set_id = { id = set }, flags = flags })
end

function Client:send_call(reducer, arguments)
  return self:send("CallReducer", { flags = 0, reducer = reducer, args = arguments or "" })
end

function Client:send_query(text)
  return self:send("OneOffQuery", { query_string = text })
end

-- In --------------------------------------------------------------------------------------------------------------

--- The next message: { tag, value }. Else nil and "timeout"; "closed" when the connection has gone without a word;
--- "close", code and reason when it has not.
function Client:next(seconds)
  while #self.waiting == 0 do
    local frame, why, code, reason = self.connection:receive(seconds or server_support.patience)
    if not frame then
      return nil, why, code, reason
    end
    self.waiting = messages.of_frame(frame)
  end
  return table.remove(self.waiting, 1)
end

local function describe(message)
  local value = message.value
  local text = value.error or type(value.result) == "table" and (value.result.value or value.result.tag)
  return message.tag .. (type(text) == "string" and ": " .. text or "")
end

--- The next message's value; an error when it has another tag.
function Client:expect(tag)
  local message, why = self:next()
  if not message or message.tag ~= tag then
    error(("expected %s, got %s"):format(tag, message and describe(message) or why), 2)
  end
  return message.value
end

--- Whether nothing came in between: an answer that must be the next message is asked for.
function Client:has_nothing()
  local request_id = self:send_query "SELECT * FROM nowhere"
  local message = self:next()
  return message ~= nil and message.tag == "OneOffQueryResult" and message.value.request_id == request_id
end

--- How the connection ends, whatever comes before: "close", code and reason; "closed" without a close frame.
function Client:ending(seconds)
  while true do
    local message, why, code, reason = self:next(seconds)
    if not message then
      return why, code, reason
    end
  end
end

--- Leaves without a word.
function Client:drop()
  self.connection:shut()
end

--- Leaves as the protocol has it.
function Client:close()
  return self.connection:close(1000, "", server_support.patience)
end

-- Both ------------------------------------------------------------------------------------------------------------

function Client:subscribe(set, queries)
  self:send_subscribe(set, queries)
  return self:tables(self:expect("SubscribeApplied").rows)
end

--- The text of the error that a subscription gets.
function Client:subscribe_in_vain(set, queries)
  local request_id = self:send_subscribe(set, queries)
  local refusal = self:expect "SubscriptionError"
  assert(refusal.request_id.value == request_id and refusal.query_set_id.id == set)
  return refusal.error
end

function Client:call(reducer, arguments)
  local request_id = self:send_call(reducer, arguments)
  local answer = self:expect "ReducerResult"
  assert(answer.request_id == request_id)
  return answer.result
end

--- The rows of a query asked once, or nil and the error's text.
function Client:ask(text)
  self:send_query(text)
  local result = self:expect("OneOffQueryResult").result
  if result.tag == "err" then
    return nil, result.value
  end
  assert(#result.value.tables == 1)
  return self:tables(result.value)[1].rows
end

-- Values ----------------------------------------------------------------------------------------------------------

local function sort_rows(rows)
  local shown = {}
  for _, row in ipairs(rows) do
    shown[row] = type(row) == "table" and tostring(row.id or row.name or row[1] or row) or row
  end
  table.sort(rows, function(left, right)
    local one, other = tonumber(shown[left]), tonumber(shown[right])
    if one and other then
      return one < other
    end
    return shown[left] < shown[right]
  end)
  return rows
end

--- The rows of a list as values, those of one list in the order of their ids; as bytes when the type is not known.
function Client:decode(table_name, list)
  local row_type = self.row_types[table_name]
  return sort_rows(row_type and messages.decode_rows(list, row_type) or messages.rows(list))
end

--- QueryRows as { { table = "person", rows = { … } } }.
function Client:tables(query_rows)
  local tables = {}
  for place, entry in ipairs(query_rows.tables) do
    tables[place] = { table = entry.table, rows = self:decode(entry.table, entry.rows) }
  end
  return tables
end

--- A TransactionUpdate as a flat list, one entry for each query that saw something.
function Client:changes(update)
  local changes = {}
  for _, set in ipairs(update.query_sets) do
    for _, changed in ipairs(set.tables) do
      for _, rows in ipairs(changed.rows) do
        local change = { set = set.query_set_id.id, table = changed.table_name }
        if rows.tag == "EventTable" then
          change.events = self:decode(changed.table_name, rows.value.events)
        else
          change.inserts = self:decode(changed.table_name, rows.value.inserts)
          change.deletes = self:decode(changed.table_name, rows.value.deletes)
        end
        changes[#changes + 1] = change
      end
    end
  end
  return changes
end

--- The changes that a call brought its caller; an error when the call failed.
function Client:call_changes(reducer, arguments)
  local result = self:call(reducer, arguments)
  if result.tag ~= "Ok" then
    error("the call failed: " .. tostring(result.value), 2)
  end
  assert(result.value.ret_value == "")
  return self:changes(result.value.transaction_update)
end

--- The changes of the next message, which is a TransactionUpdate.
function Client:next_changes()
  return self:changes(self:expect "TransactionUpdate")
end

return client
