--- What spec/sim/module.lua means, said a second time and without any of the storage code: tables are Lua tables, a
--- transaction is a list of what was there before, and every version since the last sure one can be gone back to.
---
---     model:call("open", { 7, 100 })    --> "ok", nil, what changed; or "err", text; or "internal"
---     model:survivor(stored)            --> the newest version that these rows are, between the sure one and the last
---
--- Rows are never changed, only replaced: { bytes by schema, and fields }.
local ffi = require "ffi"

local Model = {}
Model.__index = Model

-- Rows as bytes -------------------------------------------------------------------------------------------------------

local u16, u32 = ffi.new "uint16_t[1]", ffi.new "uint32_t[1]"
local u64, i64 = ffi.new "uint64_t[1]", ffi.new "int64_t[1]"

local function put_u16(value)
  u16[0] = value
  return ffi.string(u16, 2)
end

local function put_u32(value)
  u32[0] = value
  return ffi.string(u32, 4)
end

local function put_u64(value)
  u64[0] = value
  return ffi.string(u64, 8)
end

local function put_i32(value) return put_u32(value % 2 ^ 32) end

local function put_i64(value)
  i64[0] = value
  return ffi.string(i64, 8)
end

local function put_text(text) return put_u32(#text) .. text end

local encode = {
  account = function(row, schema)
    return put_u32(row.id) .. put_i64(row.balance) .. (schema >= 2 and put_text(row.note) or "")
  end,
  entry = function(row) return put_u64(row.id) .. put_u32(row.writer) .. put_u32(row.number) .. put_text(row.text) end,
  ticket = function(row) return put_u64(row.id) .. put_u32(row.holder) end,
  pair = function(row) return put_u16(row.x) .. put_u16(row.y) end,
  item = function(row)
    return put_u32(row.id) .. string.char(row.shelf) .. put_i32(row.weight) .. put_text(row.label)
  end,
  online = function(row) return row.connection .. row.who end,
  tally = function(row) return "\0" .. put_u64(row.calls) .. put_u64(row.goodbyes) end,
  extra = function(row) return put_u64(row.id) .. put_u32(row.writer) end,
  reminder = function(row) return put_u64(row.id) .. "\1" .. put_i64(row.at) .. put_u16(row.x) end,
}

--- The arguments of each reducer, as bytes.
local arguments = {
  open = { put_u32, put_i64 },
  close = { put_u32 },
  transfer = { put_u32, put_u32, put_i64 },
  write = { put_u32, put_u32, put_text },
  forget = { put_u32, put_u32 },
  put_pair = { put_u16, put_u16 },
  drop_pair = { put_u16, put_u16 },
  flash_pair = { put_u16, put_u16 },
  stock = { put_u32, string.char, string.char, put_i32, put_text },
  clear_shelf = { string.char },
  lighten = { put_i32, put_i32 },
  relabel = { string.char, put_text },
  stumble = { string.char },
  annotate = { put_u32, put_text },
  remind = { put_i64, put_u16 },
}

function Model.arguments(reducer, values)
  local parts = {}
  for place, put in ipairs(arguments[reducer]) do parts[place] = put(values[place]) end
  return table.concat(parts)
end

--- The row's bytes in the schema in force.
function Model:bytes(name, row)
  if row.schema ~= self.schema then
    row.schema, row.bytes = self.schema, encode[name](row, self.schema)
  end
  return row.bytes
end

-- Tables --------------------------------------------------------------------------------------------------------------

Model.tables = { "account", "entry", "ticket", "pair", "item", "online", "tally", "extra", "reminder" }
--- Those with a sequence.
Model.sequences = { "entry", "ticket", "extra", "reminder" }

function Model.new()
  local self = setmetatable({
    schema = 1,
    rows = {},        -- by table and key
    next = {},        -- by table: what its sequence gives next
    undo = {},        -- of the open transaction
    version = 0,      -- counts commits
    sure = 0,         -- a version that cannot be lost any more
    sure_numbers = {},
    history = {},     -- version -> what its commit changed, and the sequences after it
  }, Model)
  for _, name in ipairs(Model.tables) do self.rows[name] = {} end
  for id = 0, 9 do self.rows.account[id] = { id = id, balance = 100, note = "none" } end
  self.rows.tally[0] = { calls = 0, goodbyes = 0 }
  return self
end

function Model:has(name) return name ~= "extra" or self.schema >= 3 end

function Model:set(name, key, row)
  local rows = self.rows[name]
  self.undo[#self.undo + 1] = { name = name, key = key, before = rows[key], after = row }
  rows[key] = row
end

local function roll_back(self, undo)
  for place = #undo, 1, -1 do
    local step = undo[place]
    self.rows[step.name][step.key] = step.before
  end
end

--- The net effect, or nil: { { name, before, after } ... }, one for each row that is another now.
local function net_changes(self, undo)
  local changes, known = {}, {}
  for _, step in ipairs(undo) do
    local id = step.name .. ":" .. tostring(step.key)
    local change = known[id]
    if not change then
      change = { name = step.name, before = step.before }
      known[id], changes[#changes + 1] = change, change
    end
    change.after = step.after
  end
  for place = #changes, 1, -1 do
    local change = changes[place]
    local before = change.before and self:bytes(change.name, change.before)
    if before == (change.after and self:bytes(change.name, change.after)) then table.remove(changes, place) end
  end
  return #changes > 0 and changes or nil
end

--- A version of its own, also when nothing has changed: what was told of it must not be forgotten either.
function Model:commit()
  local undo, after = self.undo, self:numbers_used()
  local changes = net_changes(self, undo)
  if changes then -- else nothing is logged, and numbers that were taken in vain may be given again
    after = {}
    for _, name in ipairs(Model.sequences) do after[name] = self.next[name] end
  end
  self.undo = {}
  self.version = self.version + 1
  self.history[self.version] = { undo = undo, next = after }
  return changes
end

-- Reducers ------------------------------------------------------------------------------------------------------------

local function fail() error({ tag = "internal" }, 0) end
local function reject(text, ...) error({ tag = "err", text = text:format(...) }, 0) end

local function get(self, name, key)
  return self.rows[name][key] or fail()
end

local function with(row, changes)
  local made = {}
  for field, value in pairs(row) do made[field] = value end
  made.schema, made.bytes = nil, nil
  for field, value in pairs(changes) do made[field] = value end
  return made
end

--- An equal row may be put in again; another of the same key may not.
local function insert(self, name, key, row)
  local there = self.rows[name][key]
  if there and self:bytes(name, there) ~= self:bytes(name, row) then fail() end
  if not there then self:set(name, key, row) end
end

local function take_number(self, name)
  local value = self.next[name]
  self.next[name] = value + 1
  return value
end

local function delete_where(self, name, holds)
  local gone = {}
  for key, row in pairs(self.rows[name]) do
    if holds(row) then gone[#gone + 1] = key end
  end
  for _, key in ipairs(gone) do self:set(name, key, nil) end
end

local function add_to_tally(self, column)
  local tally = self.rows.tally[0]
  self:set("tally", 0, with(tally, { [column] = tally[column] + 1 }))
end

local function add_balance(self, id, amount)
  local row = get(self, "account", id)
  self:set("account", id, with(row, { balance = row.balance + amount }))
end

local reducers = {}

function reducers:open(id, balance) insert(self, "account", id, { id = id, balance = balance, note = "none" }) end

function reducers:close(id)
  if not self.rows.account[id] then reject("nobody has the account %d", id) end
  self:set("account", id, nil)
end

function reducers:transfer(payer, payee, amount)
  add_balance(self, payer, -amount)
  add_balance(self, payee, amount)
  add_to_tally(self, "calls")
  if self.rows.account[payer].balance < 0 then reject("account %d has too little", payer) end
end

function reducers:write(writer, number, text)
  self:set("ticket", writer, { id = take_number(self, "ticket"), holder = writer })
  local key, id = writer .. ":" .. number, take_number(self, "entry")
  if self.rows.entry[key] then fail() end
  self:set("entry", key, { id = id, writer = writer, number = number, text = text })
  if self.schema >= 3 then
    local extra = take_number(self, "extra")
    self:set("extra", tostring(extra), { id = extra, writer = writer })
  end
  add_to_tally(self, "calls")
end

function reducers:forget(writer, number)
  delete_where(self, "entry", function(row) return row.writer == writer and row.number < number end)
end

function reducers:put_pair(x, y) insert(self, "pair", x .. ":" .. y, { x = x, y = y }) end
function reducers:drop_pair(x, y) self:set("pair", x .. ":" .. y, nil) end
function reducers:flash_pair() end

function reducers:stock(first, count, shelf, weight, label)
  for id = first, first + count - 1 do
    insert(self, "item", id, { id = id, shelf = shelf, weight = weight + id, label = label })
  end
  add_to_tally(self, "calls")
end

function reducers:clear_shelf(shelf)
  delete_where(self, "item", function(row) return row.shelf == shelf end)
end

function reducers:lighten(least, most)
  delete_where(self, "item", function(row) return row.weight >= least and row.weight <= most end)
end

function reducers:relabel(shelf, label)
  if label == "" then reject "a label has at least one letter" end
  for id, row in pairs(self.rows.item) do
    if row.shelf == shelf then self:set("item", id, with(row, { label = label })) end
  end
end

function reducers:stumble() fail() end
function reducers:annotate(id, note) self:set("account", id, with(get(self, "account", id), { note = note })) end

function reducers:remind(at, x)
  local id = take_number(self, "reminder")
  self:set("reminder", tostring(id), { id = id, at = at, x = x })
end

--- What its time has come for, in order.
function Model:due(now)
  local due = {}
  for _, row in pairs(self.rows.reminder) do
    if row.at <= now then due[#due + 1] = row end
  end
  table.sort(due, function(left, right) return left.at < right.at end)
  return due
end

--- Runs once, and is gone; what changed.
function Model:remind(row)
  self:set("reminder", tostring(row.id), nil)
  if row.x % 3 ~= 0 then
    insert(self, "pair", row.x .. ":9", { x = row.x, y = 9 })
    add_to_tally(self, "calls")
  end
  return self:commit()
end

--- "ok" and what changed, "err" and the text, "internal", or "unknown" when this version of the module lacks it.
function Model:call(name, values)
  if name == "annotate" and self.schema < 2 then return "unknown" end
  local done, refusal = pcall(reducers[name], self, unpack(values))
  if done then return "ok", self:commit() end
  if type(refusal) ~= "table" then error(refusal, 0) end
  roll_back(self, self.undo)
  self.undo = {}
  return refusal.tag, refusal.text
end

--- Those whose identity begins with bb are not let in: false then.
function Model:connect(connection, who)
  if who:byte(32) == 0xbb then return false end
  self:set("online", connection, { connection = connection, who = who })
  return true, self:commit()
end

function Model:disconnect(connection)
  self:set("online", connection, nil)
  add_to_tally(self, "goodbyes")
  return self:commit()
end

--- A version of the module takes over: stored rows get what is new in it.
function Model:publish(schema)
  self.schema = schema
  self:commit()
end

-- Surviving -----------------------------------------------------------------------------------------------------------

--- What is known to be on disk.
function Model:make_sure(version)
  if version <= self.sure then return end
  self.sure_numbers = self.history[version].next
  for gone = self.sure + 1, version do self.history[gone] = nil end
  self.sure = version
end

--- Those who were connected when the process ended are disconnected by the next one, in any order. Their rows and
--- goodbyes are judged together; all other rows as they are.
local APART = { online = true, tally = true }

local function goodbyes_match(self, stored)
  local tally, left = self.rows.tally[0], 0
  for _ in pairs(self.rows.online) do left = left + 1 end
  local after = with(tally, { goodbyes = tally.goodbyes + left })
  return next(stored.online) == nil and stored.tally[self:bytes("tally", after)] ~= nil
end

--- How many rows are in one of the two only.
local function count_differences(self, stored)
  local differences = 0
  for _, name in ipairs(Model.tables) do
    if self:has(name) and not APART[name] then
      local left = 0
      for _ in pairs(stored[name]) do left = left + 1 end
      for _, row in pairs(self.rows[name]) do
        local is_there = stored[name][self:bytes(name, row)]
        differences = differences + (is_there and 0 or 1)
        left = left - (is_there and 1 or 0)
      end
      differences = differences + left
    end
  end
  return differences
end

--- Goes back by one step; how many more rows are in one of the two only.
local function step_back(self, step, stored)
  self.rows[step.name][step.key] = step.before
  if APART[step.name] or not self:has(step.name) then return 0 end
  local rows, more = stored[step.name], 0
  if step.after then more = more + (rows[self:bytes(step.name, step.after)] and 1 or -1) end
  if step.before then more = more + (rows[self:bytes(step.name, step.before)] and -1 or 1) end
  return more
end

--- B2: a number that was given in this version or before is not given again.
local function numbers_match(self, next_numbers)
  local used = self:numbers_used()
  for name, number in pairs(next_numbers) do
    if number < (used[name] or 1) then return false end
  end
  return true
end

--- Goes back to the newest version that is what is stored, and forgets what came after it: all its rows are there,
--- none of them half, and nothing else; its sequences stand no lower (`next_numbers`, by table). False when there is
--- none that is at least the sure one.
function Model:survive(stored, next_numbers)
  local differences = count_differences(self, stored)
  while differences > 0 or not goodbyes_match(self, stored) or not numbers_match(self, next_numbers) do
    if self.version == self.sure then return false end
    local undo = self.history[self.version].undo
    for place = #undo, 1, -1 do differences = differences + step_back(self, undo[place], stored) end
    self.history[self.version] = nil
    self.version = self.version - 1
  end
  return true
end

--- How far the sequences are in this version.
function Model:numbers_used()
  return self.version > self.sure and self.history[self.version].next or self.sure_numbers
end

--- After survive(): what was found is on disk, and nobody is connected.
function Model:settle()
  self:make_sure(self.version)
  for connection in pairs(with(self.rows.online, {})) do self:disconnect(connection) end
end

return Model
