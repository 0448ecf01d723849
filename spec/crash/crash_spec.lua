--- Kills the server in the middle of its work, again and again, and holds what it says afterwards against a ledger of
--- what it had acknowledged before.
local bit = require "bit"
local socket = require "socket"
local bsatn = require "spec.support.bsatn"
local client = require "spec.support.client"
local messages = require "spec.support.messages"
local server = require "spec.support.server"

local KILLS, WRITERS, IN_FLIGHT, ACCOUNTS, OPENING_BALANCE = 20, 6, 24, 100, 1000

local rows = bsatn.schema [[
    account = { id: u32, balance: i64 }
    entry = { id: u64, writer: u32, sequence: u32, payer: u32, payee: u32, amount: i64, checksum: u32 }
    writer = { id: u32, sequence: u32 }
    ticket = { id: u64, writer: u32 }
    copy = { id: u64, text: string }
    count = { id: u8, entries: u64 }
]]

local ARGUMENTS = bsatn.type "{ writer: u32, sequence: u32, payer: u32, payee: u32, amount: i64, checksum: u32 }"

--- A call's content follows from who makes it and which it is, so that the ledger need not keep it.
local function order(writer, sequence)
  local draw = bit.band(writer * 7919 + sequence * 104729, 0x7fffffff)
  local payer = draw % ACCOUNTS
  return {
    writer = writer, sequence = sequence, payer = payer, payee = (payer + 1 + draw % 97) % ACCOUNTS,
    amount = draw % 50 + 1, checksum = bit.band(draw * 31 + 7, 0x7fffffff),
  }
end

-- The ledger: what was acknowledged, by writer and sequence, with the numbers that were given out.
local function new_ledger()
  local ledger = { count = 0, tickets = {} }
  for writer = 1, WRITERS do
    ledger[writer] = {}
  end
  return ledger
end

local function number(value)
  return tonumber(value) -- far below 2^53
end

local function acknowledge(ledger, writer, sequence, changes)
  local given = {}
  for _, change in ipairs(changes) do
    given[change.table] = number(change.inserts[1].id)
  end
  assert(given.entry and given.ticket, "an acknowledged call shows its rows")
  local before = ledger.tickets[given.ticket]
  assert(before == nil, ("ticket %d was given to %s and again to %d:%d"):format(given.ticket, before or "", writer, sequence))
  ledger.tickets[given.ticket] = writer .. ":" .. sequence
  ledger[writer][sequence] = given.entry
  ledger.count = ledger.count + 1
end

-- The writers ----------------------------------------------------------------------------------------------------

local Writer = {}
Writer.__index = Writer

local function new_writer(world, number_, sequence)
  local self = setmetatable({ number = number_, sent = sequence, acknowledged = sequence }, Writer)
  self.client = client.connect(world, { rows = rows })
  self.client:subscribe(1, {
    "SELECT * FROM entry WHERE writer = " .. number_, "SELECT * FROM ticket WHERE writer = " .. number_,
  })
  return self
end

--- Keeps so many calls in flight; what is new goes out in one frame.
function Writer:send()
  local batch = {}
  while self.sent - self.acknowledged < IN_FLIGHT do
    self.sent = self.sent + 1
    batch[#batch + 1] = messages.client("CallReducer", {
      request_id = self.sent, flags = 0, reducer = "write", args = bsatn.encode(ARGUMENTS, order(self.number, self.sent)),
    })
  end
  if #batch > 0 then
    self.client.connection:send(table.concat(batch))
  end
end

--- Takes one answer; false at the end.
function Writer:receive(ledger, seconds)
  local message = self.client:next(seconds)
  if not message then
    return false
  end
  assert(message.tag == "ReducerResult", message.tag)
  local result = message.value.result
  assert(result.tag == "Ok", tostring(result.value))
  self.acknowledged = self.acknowledged + 1
  assert(message.value.request_id == self.acknowledged, "answers come in order")
  acknowledge(ledger, self.number, self.acknowledged, self.client:changes(result.value.transaction_update))
  return true
end

--- All writers at once, for some seconds; then the server is killed, and what is still on its way is taken.
local function load_and_kill(world, ledger, sequences, seconds)
  local writers, of_socket, sockets = {}, {}, {}
  for place = 1, WRITERS do
    writers[place] = new_writer(world, place, sequences[place])
    sockets[place] = writers[place].client.connection.stream.tcp
    of_socket[sockets[place]] = writers[place]
  end
  local deadline = socket.gettime() + seconds
  while socket.gettime() < deadline do
    for _, writer in ipairs(writers) do
      writer:send()
    end
    for _, ready in ipairs((socket.select(sockets, nil, deadline - socket.gettime()))) do
      repeat
        assert(of_socket[ready]:receive(ledger), "the server left before it was killed")
      until #of_socket[ready].client.waiting == 0
    end
  end
  for _, writer in ipairs(writers) do
    writer:send()
  end
  world:kill()
  for _, writer in ipairs(writers) do
    while writer:receive(ledger) do end
    writer.client:drop()
  end
end

-- The inspector --------------------------------------------------------------------------------------------------

local function read_tables(world)
  local inspector = client.connect(world)
  local tables = {}
  for name, row_type in pairs(rows) do
    inspector:send_query("SELECT * FROM " .. name)
    local result = inspector:expect("OneOffQueryResult").result
    tables[name] = messages.decode_rows(result.value.tables[1].rows, row_type)
  end
  inspector:drop()
  return tables
end

local function by_id(list)
  local found = {}
  for _, row in ipairs(list) do
    found[number(row.id)] = row
  end
  return found
end

--- Entries by writer and sequence. Each is one that a writer really sent.
local function check_entries(tables, ledger)
  local book, last = {}, {}
  for writer = 1, WRITERS do
    book[writer], last[writer] = {}, 0
  end
  local ids = {}
  for _, entry in ipairs(tables.entry) do
    local sent = order(entry.writer, entry.sequence)
    assert(sent.payer == entry.payer and sent.payee == entry.payee and sent.amount == tonumber(entry.amount)
      and sent.checksum == entry.checksum, "an entry is not what was sent")
    local id = number(entry.id)
    assert(not ids[id] and not book[entry.writer][entry.sequence], "an entry is there twice")
    ids[id], book[entry.writer][entry.sequence] = true, id
    last[entry.writer] = math.max(last[entry.writer], entry.sequence)
  end
  for writer = 1, WRITERS do
    for sequence = 1, last[writer] do
      assert(book[writer][sequence], ("call %d:%d is there, but not %d"):format(writer, last[writer], sequence))
    end
    for sequence, id in pairs(ledger[writer]) do
      assert(book[writer][sequence] == id, ("the acknowledged call %d:%d is lost"):format(writer, sequence))
    end
  end
  return last
end

--- The other tables say the same as the book: no call is half there.
local function check_agreement(tables, ledger, last)
  local copies, writers, expected = by_id(tables.copy), by_id(tables.writer), {}
  assert.equal(#tables.entry, #tables.copy)
  assert.equal(#tables.entry, number(tables.count[1].entries))
  for id = 0, ACCOUNTS - 1 do
    expected[id] = OPENING_BALANCE
  end
  for _, entry in ipairs(tables.entry) do
    local copy = copies[number(entry.id)]
    assert(copy and copy.text == ("%d:%d:%d"):format(entry.writer, entry.sequence, entry.checksum), "a copy is missing")
    expected[entry.payer] = expected[entry.payer] - tonumber(entry.amount)
    expected[entry.payee] = expected[entry.payee] + tonumber(entry.amount)
  end
  local sum = 0
  for _, account in ipairs(tables.account) do
    assert.equal(expected[account.id], tonumber(account.balance))
    sum = sum + tonumber(account.balance)
  end
  assert.equal(ACCOUNTS * OPENING_BALANCE, sum)
  for writer = 1, WRITERS do
    assert.equal(last[writer], writers[writer] and writers[writer].sequence or 0)
  end
  for _, ticket in ipairs(tables.ticket) do
    local owner = ledger.tickets[number(ticket.id)]
    assert(owner == nil or owner == ticket.writer .. ":" .. last[ticket.writer], "an old ticket is back: " .. (owner or ""))
  end
end

describe("kill -9", function()
  local world, ledger

  setup(function()
    world = server.start { module = "spec/crash/module.lua", database = "bank", arguments = { "--snapshot-every", "1" } }
    ledger = new_ledger()
    local seed = tonumber(os.getenv "STDB_SEED") or os.time()
    math.randomseed(seed)
    print(("crash specs: STDB_SEED=%d"):format(seed))
  end)
  teardown(function() world:remove() end)

  local function inspect()
    local tables = read_tables(world)
    local last = check_entries(tables, ledger)
    check_agreement(tables, ledger, last)
    return last, #tables.entry
  end

  it("during a load of confirmed calls loses no acknowledged one and leaves none half done, 20 times", function()
    local last, entries = inspect()
    for _ = 1, KILLS do
      load_and_kill(world, ledger, last, 0.02 + math.random() * 0.08)
      world:restart()
      last, entries = inspect()
    end
    print(("%d kills: %d calls acknowledged, %d found, 0 lost, 0 half there"):format(KILLS, ledger.count, entries))
    assert.is_true(ledger.count > KILLS * 20)
  end)

  it("during recovery and start changes nothing", function()
    local _, before = inspect()
    world:kill()
    for _ = 1, 10 do
      world:launch_again()
      socket.sleep(math.random() * 0.06)
      world:kill()
    end
    world:restart()
    local _, after = inspect()
    assert.equal(before, after)
  end)

  it("leaves a database that works on as before", function()
    local last = inspect()
    load_and_kill(world, ledger, last, 0.1)
    world:restart()
    inspect()
  end)
end)
