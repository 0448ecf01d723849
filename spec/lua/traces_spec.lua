--- Reducers stay compiled: what the trusted Lua does for them neither aborts traces again and again nor gets its
--- functions barred from compilation. A slip here costs a factor of ten, and nothing else shows it.
local ffi = require "ffi"
local jit_util = require "jit.util"
local lua_host = require "spec.support.lua_host"

local use, parts = lua_host.parts()
local vm = parts.vm

-- A C side of one row that is always there. It is Lua, so it becomes part of the traces.
local stored = ffi.new "uint8_t[256]"
local steps_left = 0

local function show()
  vm.row = stored
end

local library = parts.library
function library.stdb_find() show() return 1 end
function library.stdb_insert() show() return 0 end
function library.stdb_update() show() return 0 end
function library.stdb_count() vm.count = 1 return 0 end
function library.stdb_count_range() vm.count = 1 return 0 end
function library.stdb_delete_range() vm.count = 1 return 0 end
function library.stdb_scan_open() steps_left = 2 return 0 end
function library.stdb_scan_next()
  steps_left = steps_left - 1
  show()
  return steps_left >= 0 and 1 or 0
end

local define, types, codec, calls = use "define", use "types", use "codec", use "calls"
local values, text = use "values", use "text"
local t = types.all

define.table("player", {
  { "id", t.u32, primary_key = true, auto_inc = true },
  { "balance", t.i64 },
  { "x", t.f32, },
  { "column", t.i32, index = true },
  { "row", t.i32, default = 0 },
  { "who", t.identity },
  { "at", t.timestamp },
  { "name", t.string },
  indexes = { { name = "cell", "column", "row" } },
})

define.table("item", { { "id", t.u32, primary_key = true }, { "amount", t.u32 } })

local reducers = {
  transfer = function(ctx, id, amount)
    local players = ctx.db.player.id
    local giver, taker = players:find(id), players:get(id + 1)
    giver.balance, taker.balance = giver.balance - amount, taker.balance + amount
    players:update(giver)
    players:update(taker)
  end,
  insert = function(ctx, id, amount)
    ctx.db.player:insert { balance = amount, x = id, column = 1, who = ctx.sender, at = ctx.timestamp, name = "ann" }
  end,
  change = function(ctx, id, amount)
    ctx.db.player.id:update { id = id, balance = amount }
  end,
  upsert = function(ctx, id)
    ctx.db.player.id:upsert { id = id, name = "bob" }
  end,
  insert_or_get = function(ctx, id)
    return select(2, ctx.db.player.id:insert_or_get { id = id, name = "bob" })
  end,
  filter = function(ctx, id) -- the loop itself is the module's
    local step, walk = ctx.db.player.column:filter { from = id, below = id + 10 }
    local sum = step(walk).x
    step, walk = ctx.db.player.cell:filter(id, { above = 0, reverse = true })
    sum = sum + step(walk).x
    step, walk = ctx.db.player.cell:filter(id, 2)
    return sum + step(walk).x
  end,
  read = function(ctx, id) -- sixteen tail calls would end the trace
    local players = ctx.db.player.id
    local a, b, c, d = players:get(id), players:get(id + 1), players:get(id + 2), players:get(id + 3)
    local e, f, g, h = players:get(id + 4), players:get(id + 5), players:get(id + 6), players:get(id + 7)
    return a.who == b.who and c.at == d.at and e.name == f.name and g.who == h.who
  end,
  count = function(ctx, id)
    return ctx.db.player:count() + ctx.db.player.cell:count(id) + (ctx.db.player.id:delete(id) and 1 or 0)
  end,
  speak = function(ctx, id, amount)
    return text.format("%d gets %s of %d", id, amount, 5) .. ctx.random(6) .. ctx.random()
  end,
  turn = function(ctx, id) -- what it does at first is long compiled when it begins to do something else
    return id == 7 and ctx.db.item.id:find(id).amount or ctx.db.item.id:update { id = id, amount = id }
  end,
  wait = function(ctx)
    return ctx.timestamp < ctx.timestamp + values.duration.make { seconds = 5 } and ctx.connection_id == nil
  end,
}

local places, count = {}, 0
for name, action in pairs(reducers) do
  define.reducer(name, { { "id", t.u32 }, { "amount", t.i64 } }, action)
  places[name], count = count, count + 1
end
define.close()
calls.bind()

local row = { id = 1, balance = 100, x = 1, column = 2, row = 3, who = values.identity.make(("0"):rep(64)),
  at = values.timestamp.make(5), name = "ann" }
local bytes = codec.encode(define.declared.tables[1].row, row)
ffi.copy(stored, bytes, #bytes)
local args = ffi.new "uint8_t[12]"
args[0], args[4] = 7, 1
vm.args_size, vm.in_call, vm.random[0] = 12, 1, 1

local function call(place, times)
  vm.args = args -- which also keeps it from being collected
  for _ = 1, times do
    vm.call_number = vm.call_number + 1
    calls.dispatch(place)
  end
end

jit.off(call) -- it stands for the host, which is no part of a trace

local BLACKLISTED = 5 -- lj_traceerr.h
local ABORTS_MAX = 6  -- LuaJIT bars a place from compilation after about ten

--- Places where recording was given up, and how often, while a reducer was called.
local function aborts_in(place, times)
  local counts, start = {}, nil
  local function listen(what, _, func, pc, code)
    if what == "start" then
      start = jit_util.funcinfo(func, pc).loc
    elseif what == "abort" then
      counts[start] = (counts[start] or 0) + (code == BLACKLISTED and math.huge or 1)
    end
  end
  jit.attach(listen, "trace")
  call(place, times)
  jit.attach(listen)
  return counts
end

describe("a reducer stays compiled", function()
  for name in pairs(reducers) do
    it("to " .. name, function()
      for start, times in pairs(aborts_in(places[name], 20000)) do
        assert(times <= ABORTS_MAX, start .. " was given up " .. times .. " times")
      end
    end)
  end

  it("when it comes to functions of a table that it never used before", function()
    call(places.turn, 20000)
    args[0] = 8
    for start, times in pairs(aborts_in(places.turn, 20000)) do
      assert(times <= ABORTS_MAX, start .. " was given up " .. times .. " times")
    end
    args[0] = 7
  end)
end)
