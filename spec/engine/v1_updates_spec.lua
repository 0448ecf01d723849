--- What a commit brings to clients of v1, made once for all who are brought the same: on a server without sockets, where
--- it can be counted.
local bsatn = require "spec.support.bsatn"
local json = require "cjson"
local messages = require "spec.support.messages"
local server_sim = require "spec.support.server_sim"
local sim = require "spec.support.sim"

local OPTIONS = { segment_size = 65536, log_bytes = 1e9, interval_us = 1e15, keep_us = 0, keep_bytes = 1 }
local SMALL, LARGE = 10, 5000

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types
stdb.table("thing", { public = true, { "id", t.u32, primary_key = true }, { "text", t.string } })
stdb.table("other", { public = true, { "id", t.u32, primary_key = true } })
stdb.reducer("add", { { "id", t.u32 }, { "letters", t.u32 } }, function(ctx, id, letters)
  ctx.db.thing:insert { id = id, text = ("x"):rep(letters) }
  ctx.db.other:insert { id = id }
end)
]]

local v1 = bsatn.schema_file "schemas/messages_v1.types"
local types = bsatn.schema "Arguments = { id: u32, letters: u32 } Thing = { id: u32, text: string }"

describe("an update of v1", function()
  local path, disk, server, is_json, query_id

  before_each(function()
    path, disk, is_json, query_id = os.tmpname() .. ".lua", sim.disk(1), {}, 0
    local file = assert(io.open(path, "w"))
    file:write(MODULE)
    file:close()
    server = server_sim.new(disk, 1)
    server:set_clock(1700000000000000, 1)
    assert.equal(server_sim.OK, server:open(path, OPTIONS), server:text())
    server:connect(0, ("\0"):rep(32), ("\0"):rep(16), { protocol = "v3", confirmed = true })
  end)

  after_each(function()
    server:free()
    os.remove(path)
  end)

  local function turn()
    server:step "turn"
    while server:step "log" do end
  end

  --- What has come for a client of v1: its frames, and the same as messages.
  local function receive(number)
    local frames, read = server_sim.frames(server:receive(number)), {}
    for place, frame in ipairs(frames) do
      if is_json[number] then
        local tag, value = next(json.decode(frame))
        read[place] = { tag = tag, value = value }
      else
        read[place] = bsatn.decode(v1.ServerMessage, frame, 2)
      end
    end
    return frames, read
  end

  local function post(number, tag, value)
    server:post(number, bsatn.encode(v1.ClientMessage, { tag = tag, value = value }))
  end

  local function subscribe(number, ...)
    query_id = query_id + 1
    post(number, "SubscribeMulti", { query_strings = { ... }, request_id = query_id, query_id = { id = query_id } })
    turn()
    local _, read = receive(number)
    assert.equal("SubscribeMultiApplied", read[#read].tag)
  end

  local function connect(number, protocol, ...)
    is_json[number] = protocol == "v1.json"
    server:connect(number, ("\0"):rep(32), ("%016d"):format(number), { protocol = protocol, confirmed = true })
    subscribe(number, ...)
  end

  local function arguments(id, letters) return bsatn.encode(types.Arguments, { id = id, letters = letters }) end

  --- The ids and the sizes of the things that one client was told of, table by table.
  local function things(number, update)
    local found = {}
    for _, changed in ipairs(update.tables) do
      for _, query in ipairs(changed.table_name == "thing" and changed.updates or {}) do
        local rows = is_json[number] and query.inserts or query.value.inserts
        for _, row in ipairs(is_json[number] and rows or messages.decode_rows(rows, types.Thing)) do
          row = is_json[number] and json.decode(row) or { row.id, row.text }
          found[#found + 1] = { row[1], #row[2] }
        end
      end
    end
    return found
  end

  --- That these clients were told one thing, by the same bytes; what the first makes of it.
  local function told_alike(...)
    local frames, read = receive((...))
    assert.equal(1, #frames)
    for place = 2, select("#", ...) do
      local others = receive((select(place, ...)))
      assert.is_true(#others == 1 and others[1] == frames[1])
    end
    assert.equal("TransactionUpdateLight", read[1].tag)
    return things((...), read[1].value.update)
  end

  --- A commit of somebody else's: how many updates were made for it.
  local function commit(id, letters)
    local before = server:v1_updates()
    server:post(0, messages.client("CallReducer",
      { request_id = id, flags = 0, reducer = "add", args = arguments(id, letters) }))
    turn()
    return server:v1_updates() - before
  end

  for _, letters in ipairs { SMALL, LARGE } do
    it(("is made once a form for all who are brought the same, of %d letters"):format(letters), function()
      for number = 1, 7 do connect(number, number <= 4 and "v1" or "v1.json", "SELECT * FROM thing", "SELECT * FROM other") end
      for id = 1, 3 do
        assert.equal(2, commit(id, letters))
        assert.same({ { id, letters } }, told_alike(1, 2, 3, 4))
        assert.same({ { id, letters } }, told_alike(5, 6, 7))
      end
    end)
  end

  it("is the same for those who came to the same queries on other ways", function()
    connect(1, "v1", "SELECT * FROM thing", "SELECT * FROM other")
    connect(2, "v1", "SELECT * FROM other WHERE id = 99", "SELECT * FROM other")
    subscribe(2, "SELECT * FROM thing")
    connect(3, "v1", "SELECT * FROM *")
    assert.equal(2, commit(1, LARGE)) -- `*` is written with other words
    assert.same({ { 1, LARGE } }, told_alike(1, 2))
    assert.same({ { 1, LARGE } }, told_alike(3))
  end)

  it("is made for each who is brought something else", function()
    connect(1, "v1", "SELECT * FROM thing")
    connect(2, "v1", "SELECT * FROM thing", "SELECT * FROM thing WHERE id < 10")
    connect(3, "v1", "SELECT * FROM other")
    connect(4, "v1", "SELECT * FROM other WHERE id > 10")
    assert.equal(3, commit(1, LARGE))
    local told = {}
    for number = 1, 4 do
      local _, read = receive(number)
      told[number] = read[1] and things(number, read[1].value.update) or "nothing"
    end
    assert.same({ { { 1, LARGE } }, { { 1, LARGE }, { 1, LARGE } }, {}, "nothing" }, told)
  end)

  it("stands in the answer to who made the commit, and is shared by all others", function()
    for number = 1, 3 do connect(number, "v1", "SELECT * FROM thing") end
    post(1, "CallReducer", { reducer = "add", args = arguments(1, LARGE), request_id = 7, flags = 0 })
    turn()
    assert.equal(1, server:v1_updates())
    local _, read = receive(1)
    assert.equal("TransactionUpdate", read[1].tag)
    assert.equal(7, read[1].value.reducer_call.request_id)
    assert.same({ { 1, LARGE } }, things(1, read[1].value.status.value))
    assert.same({ { 1, LARGE } }, told_alike(2, 3))
  end)
end)
