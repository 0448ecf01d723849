--- A client in the simulated world: what it is to be told next, as the model says, and what it has been told.
---
--- What is to come stands in a queue, message by message. What has come is compared with it, and applied to a copy of
--- the rows of each subscription, as a client library does; in a quiet moment the copies must be what the queries give.
local messages = require "spec.support.messages"

local Player = {}
Player.__index = Player

--- What is asked for: the table, the text, and what the text means.
Player.queries = {
  { table = "account", where = "", holds = function() return true end },
  { table = "account", where = " WHERE balance >= 100", holds = function(row) return row.balance >= 100 end },
  { table = "account", where = " WHERE id = 3", holds = function(row) return row.id == 3 end },
  { table = "entry", where = "", holds = function() return true end },
  { table = "entry", where = " WHERE writer = 2 AND number > 3",
    holds = function(row) return row.writer == 2 and row.number > 3 end },
  { table = "ticket", where = "", holds = function() return true end },
  { table = "pair", where = " WHERE x < 4", holds = function(row) return row.x < 4 end },
  { table = "item", where = " WHERE shelf = 1", holds = function(row) return row.shelf == 1 end },
  { table = "item", where = " WHERE weight > 10 OR label = 'red'",
    holds = function(row) return row.weight > 10 or row.label == "red" end },
  { table = "online", where = "", holds = function() return true end },
  { table = "tally", where = "", holds = function() return true end },
  { table = "reminder", where = "", holds = function() return true end },
  { table = "extra", where = "", holds = function() return true end },
}
for _, query in ipairs(Player.queries) do query.text = "SELECT * FROM " .. query.table .. query.where end

--- Options: who, connection (both bytes), protocol, confirmed.
function Player.new(number, options)
  return setmetatable({
    number = number,
    options = options,
    state = "coming",     -- "here", then "closing" by the server or "leaving" by itself
    farewell = nil,       -- closing: the version of which it learns so
    expected = {}, first = 1, last = 0,
    holds = {},           -- set -> its queries, as the engine knows them
    copies = {},          -- set -> table -> bytes -> true, as the client has been told
    requests = 0,
    told = 0,             -- messages
  }, Player)
end

function Player:request_id()
  self.requests = self.requests + 1
  return self.requests
end

-- What is to come -----------------------------------------------------------------------------------------------------

--- `version`: what the disk must have before a confirmed client is told.
function Player:expect(tag, version, content)
  content = content or {}
  content.tag, content.version = tag, version
  self.last = self.last + 1
  self.expected[self.last] = content
end

--- The rows of a query, as a list of bytes.
function Player.answer(model, query)
  local rows = {}
  for _, row in pairs(model.rows[query.table]) do
    if query.holds(row) then rows[#rows + 1] = model:bytes(query.table, row) end
  end
  return rows
end

--- The same for several, by table; what has no rows is left out, as on the wire.
function Player.answers(model, queries)
  local tables = {}
  for _, query in ipairs(queries) do
    local rows = Player.answer(model, query)
    if #rows > 0 then tables[query.table] = rows end
  end
  return tables
end

local function add(set, name, what, bytes)
  local update = set[name]
  if not update then
    update = { inserts = {}, deletes = {} }
    set[name] = update
  end
  update[what][#update[what] + 1] = bytes
end

--- What changes mean for this client: set -> table -> { inserts, deletes }, or nil when they mean nothing.
function Player:update(model, changes)
  local sets
  for id, queries in pairs(self.holds) do
    local set = {}
    for _, query in ipairs(queries) do
      for _, change in ipairs(changes or {}) do
        if change.name == query.table then
          local before, after = change.before, change.after
          if before and query.holds(before) then add(set, query.table, "deletes", model:bytes(query.table, before)) end
          if after and query.holds(after) then add(set, query.table, "inserts", model:bytes(query.table, after)) end
        end
      end
    end
    if next(set) then
      sets = sets or {}
      sets[id] = set
    end
  end
  return sets
end

-- What has come -------------------------------------------------------------------------------------------------------

local function same_rows(left, right)
  if #left ~= #right then return false end
  table.sort(left)
  table.sort(right)
  for place = 1, #left do
    if left[place] ~= right[place] then return false end
  end
  return true
end

local function same_tables(left, right, same)
  for name, value in pairs(left) do
    if not right[name] or not same(value, right[name]) then return false end
  end
  for name in pairs(right) do
    if not left[name] then return false end
  end
  return true
end

local function same_update(left, right)
  return same_rows(left.inserts, right.inserts) and same_rows(left.deletes, right.deletes)
end

local function same_sets(left, right)
  return same_tables(left, right, function(one, other) return same_tables(one, other, same_update) end)
end

local function tables_of(query_rows)
  local tables = {}
  for _, entry in ipairs(query_rows.tables) do
    local rows = messages.rows(entry.rows)
    if #rows > 0 then tables[entry.table] = rows end
  end
  return tables
end

local function sets_of(update)
  local sets = {}
  for _, entry in ipairs(update.query_sets) do
    local set = {}
    sets[entry.query_set_id.id] = set
    for _, changed in ipairs(entry.tables) do
      for _, rows in ipairs(changed.rows) do
        for _, bytes in ipairs(messages.rows(rows.value.inserts)) do add(set, changed.table_name, "inserts", bytes) end
        for _, bytes in ipairs(messages.rows(rows.value.deletes)) do add(set, changed.table_name, "deletes", bytes) end
      end
    end
  end
  return sets
end

local function fill_copies(self, set, tables)
  self.copies[set] = {}
  for name, rows in pairs(tables) do
    local copy = {}
    self.copies[set][name] = copy
    for _, bytes in ipairs(rows) do copy[bytes] = true end
  end
end

--- As a client library has it: what is deleted must be there, what is inserted must not.
local function apply(self, sets)
  for id, set in pairs(sets) do
    for name, update in pairs(set) do
      local copies = assert(self.copies[id], "an update for what was not asked for")
      local copy = copies[name] or {}
      copies[name] = copy
      for _, bytes in ipairs(update.deletes) do
        assert(copy[bytes], "an update deletes a row that the client does not have")
        copy[bytes] = nil
      end
      for _, bytes in ipairs(update.inserts) do
        assert(not copy[bytes], "an update inserts a row that the client has")
        copy[bytes] = true
      end
    end
  end
end

local compare = {}

function compare.InitialConnection(value, _, self)
  return value.token == "token" and #value.identity == 64, self.options.connection ~= nil
end

function compare.SubscribeApplied(value, expected, self)
  local tables = tables_of(value.rows)
  fill_copies(self, expected.set, tables)
  return value.request_id == expected.request_id and value.query_set_id.id == expected.set
    and same_tables(tables, expected.tables, same_rows)
end

function compare.UnsubscribeApplied(value, expected, self)
  self.copies[expected.set] = nil
  local rows = value.rows.tag == "some" and tables_of(value.rows.value) or nil
  return value.request_id == expected.request_id and (rows ~= nil) == (expected.tables ~= nil)
    and (not rows or same_tables(rows, expected.tables, same_rows))
end

function compare.SubscriptionError(value, expected)
  return value.request_id.tag == "some" and value.request_id.value == expected.request_id
end

function compare.TransactionUpdate(value, expected, self)
  local sets = sets_of(value)
  apply(self, sets)
  return same_sets(sets, expected.sets)
end

function compare.OneOffQueryResult(value, expected)
  return value.request_id == expected.request_id and value.result.tag == "ok"
    and same_tables(tables_of(value.result.value), expected.tables, same_rows)
end

local outcomes = { Ok = "ok", Err = "err", InternalError = "internal" }

--- A refusal's text is the module's own, as BSATN: behind the length of it.
function compare.ReducerResult(value, expected, self)
  if value.request_id ~= expected.request_id or outcomes[value.result.tag] ~= expected.outcome then return false end
  if expected.outcome == "err" then return value.result.value:sub(-#expected.text) == expected.text end
  if expected.outcome == "internal" then return true end
  local sets = sets_of(value.result.value.transaction_update)
  apply(self, sets)
  return same_sets(sets, expected.sets)
end

local function show(expected)
  if not expected then return "nothing" end
  return expected.tag .. (expected.outcome and " " .. expected.outcome or "") .. " " .. (expected.request_id or "")
end

local function shown_message(message)
  local value = message.value
  local result = type(value.result) == "table" and value.result
  local text = result and type(result.value) == "string" and ": " .. result.value or value.error or ""
  return message.tag .. (result and " " .. result.tag or "") .. " " .. tostring(value.request_id or "") .. text
end

--- Takes one message that has come; the version that it vouches for. Raises what is wrong.
function Player:take(message)
  local expected = self.expected[self.first]
  if not expected or expected.tag ~= message.tag then
    error(("client %d is told %s, and should be told %s"):format(self.number, shown_message(message), show(expected)), 0)
  end
  local done, same = pcall(compare[message.tag], message.value, expected, self)
  if not done then error(("client %d: %s"):format(self.number, same), 0) end
  if not same then
    error(("client %d is told something else in %s than it should (%s)"):format(self.number, show(expected),
      shown_message(message)), 0)
  end
  self.expected[self.first] = nil
  self.first = self.first + 1
  self.told = self.told + 1
  return expected.version
end

function Player:is_waiting() return self.first <= self.last end

--- In a quiet moment: what was gathered is what the queries give now.
function Player:is_up_to_date(model)
  for id, queries in pairs(self.holds) do
    for _, query in ipairs(queries) do
      local name, rows = query.table, Player.answer(model, query)
      local copy, count = self.copies[id][name] or {}, 0
      for _ in pairs(copy) do count = count + 1 end
      if count ~= #rows then return false, name end
      for _, bytes in ipairs(rows) do
        if not copy[bytes] then return false, name end
      end
    end
  end
  return true
end

return Player
