--- Clients of v1 of a server on a simulated disk (server_sim.lua), where what is made for them can be counted.
---
---     local world = v1_sim.world()
---     world:connect(1, "v1.json")
---     world:subscribe(1, "SELECT * FROM thing")   --> the SubscribeMultiApplied, when it has come
---     world:add(7, 100)                           --> a commit of somebody else's: thing 7, of 100 letters, and other 7
---     world:told_alike(1, 2)                      --> { { 7, 100 } }: what both were told of thing, by the same bytes
---
--- Client 0 is of v3 and owns the database.
local bsatn = require "spec.support.bsatn"
local json = require "cjson"
local messages = require "spec.support.messages"
local server_sim = require "spec.support.server_sim"
local server_support = require "spec.support.server"
local sim = require "spec.support.sim"

local OPTIONS = { segment_size = 65536, log_bytes = 1e9, interval_us = 1e15, keep_us = 0, keep_bytes = 1 }

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types
stdb.table("thing", { public = true, { "id", t.u32, primary_key = true }, { "text", t.string } })
stdb.table("other", { public = true, { "id", t.u32, primary_key = true } })
stdb.table("below", { public = true, { "id", t.i32, primary_key = true } })
stdb.reducer("add", { { "id", t.u32 }, { "letters", t.u32 } }, function(ctx, id, letters)
  ctx.db.thing:insert { id = id, text = ("x"):rep(letters) }
  ctx.db.other:insert { id = id }
end)
stdb.reducer("fill", { { "first", t.u32 }, { "last", t.u32 } }, function(ctx, first, last)
  for id = first, last do ctx.db.thing:insert { id = id, text = "thing \"" .. id .. "\"" } end
end)
stdb.reducer("minus_one", {}, function(ctx)
  ctx.db.below:insert { id = -1 }
  ctx.db.other:insert { id = 4294967295 }
end)
]]

local types = bsatn.schema [[
  add = { id: u32, letters: u32 } fill = { first: u32, last: u32 } minus_one = {}
  thing = { id: u32, text: string } other = { id: u32 } below = { id: i32 }
]]
local v1 = bsatn.schema_file "schemas/messages_v1.types"

local v1_sim = {}
local World = {}
World.__index = World

--- `limit`: the largest message to a client of v1, in bytes.
function v1_sim.world(limit)
  local self = setmetatable({ path = os.tmpname() .. ".lua", disk = sim.disk(1), is_json = {}, number = 0 }, World)
  local file = assert(io.open(self.path, "w"))
  file:write(MODULE)
  file:close()
  self.server = server_sim.new(self.disk, 1)
  self.server:set_clock(1700000000000000, 1)
  self.server:limit_v1_messages(limit or 0)
  assert(self.server:open(self.path, OPTIONS) == server_sim.OK, self.server:text())
  self:connect(0, "v3")
  return self
end

function World:remove()
  self.server:free()
  self.server:limit_v1_messages(0)
  os.remove(self.path)
end

function World:turn()
  self.server:step "turn"
  while self.server:step "log" do end
end

--- Without waiting for the greeting of a client of v3.
function World:connect(number, protocol)
  self.is_json[number] = protocol == "v1.json"
  self.server:connect(number, ("\0"):rep(32), ("%016d"):format(number), { protocol = protocol, confirmed = true })
  self:turn()
  self:receive(number)
end

--- What has come for a client: its frames and, for one of v1, the same as messages.
function World:receive(number)
  local frames, read = server_sim.frames(self.server:receive(number)), {}
  for place, frame in ipairs(number > 0 and frames or {}) do
    if self.is_json[number] then
      local tag, value = next(json.decode(frame))
      read[place] = { tag = tag, value = value }
    else
      read[place] = bsatn.decode(v1.ServerMessage, frame, 2)
    end
  end
  return frames, read
end

--- The messages to come, at least `count` of them, which may be worked out by a thread.
function World:await(number, count)
  local all, deadline = {}, os.time() + server_support.patience
  while #all < (count or 1) do
    assert(os.time() <= deadline, "the messages do not come")
    self:turn()
    local _, read = self:receive(number)
    for _, message in ipairs(read) do all[#all + 1] = message end
  end
  return all
end

function World:post(number, tag, value)
  self.server:post(number, bsatn.encode(v1.ClientMessage, { tag = tag, value = value }))
end

--- Asks to subscribe, to be run with the next turn; the query id.
function World:ask(number, ...)
  self.number = self.number + 1
  local ids = { request_id = self.number, query_id = { id = self.number } }
  self:post(number, "SubscribeMulti", { query_strings = { ... }, request_id = ids.request_id, query_id = ids.query_id })
  return self.number
end

function World:subscribe(number, ...)
  self:ask(number, ...)
  local message = self:await(number)[1]
  assert(message.tag == "SubscribeMultiApplied", message.tag)
  return message.value
end

function World:arguments(reducer, values) return bsatn.encode(types[reducer], values) end

function World:call(reducer, values)
  self.server:post(0, messages.client("CallReducer",
    { request_id = 1, flags = 0, reducer = reducer, args = self:arguments(reducer, values) }))
  self:turn()
  self:receive(0)
end

function World:add(id, letters) self:call("add", { id = id, letters = letters }) end

--- The rows of one table in a DatabaseUpdate, query by query: { { inserts, deletes } }, each a list of rows, and those
--- lists of values.
function World:lists(number, table_name, update)
  local found = {}
  local function rows_of(list)
    local rows = {}
    if self.is_json[number] then
      for place, row in ipairs(list) do
        row = json.decode(row)
        rows[place] = row.id and { row.id, row.text } or row
      end
      return rows
    end
    for place, row in ipairs(messages.decode_rows(list, types[table_name])) do rows[place] = { row.id, row.text } end
    return rows
  end
  for _, changed in ipairs(update.tables) do
    for _, query in ipairs(changed.table_name == table_name and changed.updates or {}) do
      local value = self.is_json[number] and query or query.value
      found[#found + 1] = { inserts = rows_of(value.inserts), deletes = rows_of(value.deletes) }
    end
  end
  return found
end

--- The ids and the sizes of the things that one client was told of, over all queries.
function World:things(number, update)
  local found = {}
  for _, query in ipairs(self:lists(number, "thing", update)) do
    for _, row in ipairs(query.inserts) do found[#found + 1] = { row[1], #row[2] } end
  end
  return found
end

--- That these clients were told one thing, by the same bytes; what the first makes of it.
function World:told_alike(...)
  local frames, read = self:receive((...))
  assert(#frames == 1, "one message")
  for place = 2, select("#", ...) do
    local others = self:receive((select(place, ...)))
    assert(#others == 1 and others[1] == frames[1], "the same message")
  end
  assert(read[1].tag == "TransactionUpdateLight", read[1].tag)
  return self:things((...), read[1].value.update)
end

return v1_sim
