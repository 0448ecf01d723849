--- What a commit costs beside views and filtered tables of many callers that it does not touch.
---
---     luajit spec/engine/view_cost.lua [CALLS [ROUNDS [KIND]]]
---
--- Each caller follows one of its own; a client makes calls that change another row of the table that all of them look
--- at. Printed are, with 0, 100 and 1,000 callers, the best of the rounds in calls a second, and the least processor
--- time of the whole server in microseconds a call with the ratio of the last to the first. Callers who follow nothing
--- tell what their connections cost. Nothing is asserted: a machine at work gives any number.
local client = require "spec.support.client"
local server = require "spec.support.server"
local socket = require "socket"

local calls, rounds = tonumber(arg[1]) or 5000, tonumber(arg[2]) or 5
local SIZES = { 0, 100, 1000 }

local MODULE = [[
local stdb = require "stdb"
local t = stdb.types
local columns = { public = true, { "id", t.u32, primary_key = true }, { "owner", t.identity, index = true },
  { "level", t.u32, index = true }, { "count", t.u32 } }
local Item = stdb.table("item", columns)
stdb.table("kept", columns)
stdb.filter "SELECT * FROM kept WHERE owner = :sender"

local function level_of(who) return 1000 + (tonumber(tostring(who):sub(1, 6), 16) or 0) end
stdb.view("by_key", t.array(Item), function(ctx) return ctx.db.item.owner:filter(ctx.sender) end)
stdb.view("by_range", t.array(Item), function(ctx)
  local level = level_of(ctx.sender)
  return ctx.db.item.level:filter { from = level, to = level + 10 }
end)
stdb.view("by_query", t.query(Item), function() return "SELECT * FROM item WHERE owner = :sender" end)
stdb.reducer("start", function(ctx)
  ctx.db.item:insert { id = 1, owner = ctx.sender, level = 1, count = 0 }
  ctx.db.kept:insert { id = 1, owner = ctx.sender, level = 1, count = 0 }
end)
stdb.reducer("poke", function(ctx)
  local item, kept = ctx.db.item.id:get(1), ctx.db.kept.id:get(1)
  item.count, kept.count = item.count + 1, kept.count + 1
  ctx.db.item.id:update(item)
  ctx.db.kept.id:update(kept)
end)
]]

--- Of all threads of a process, in microseconds.
local function processor_time(pid)
  local total = 0
  local list = assert(io.popen(("cat /proc/%d/task/*/schedstat"):format(pid)))
  for line in list:lines() do total = total + tonumber(line:match "^%d+") / 1000 end
  list:close()
  return total
end

--- Calls that wait for no disk, a hundred of them on their way at any time.
local function make_calls(writer)
  for sent = 1, calls do
    writer:send_call "poke"
    if sent > 100 then assert(writer:expect("ReducerResult").result.tag == "Ok") end
  end
  for _ = 1, math.min(100, calls) do writer:expect "ReducerResult" end
end

local function cost(world, token)
  local writer = client.connect(world, { token = token, confirmed = false })
  local best, least = 0, math.huge
  for _ = 1, rounds do
    local began, spent = socket.gettime(), processor_time(world.pid)
    make_calls(writer)
    best = math.max(best, calls / (socket.gettime() - began))
    least = math.min(least, (processor_time(world.pid) - spent) / calls)
  end
  writer:drop()
  return { rate = best, time = least }
end

local function measure(table_name)
  local world = server.start { module = MODULE }
  local followers, costs = {}, {}
  local token = client.connect(world).token
  assert(world:call("start", "[]", token).status == 200)
  for place, size in ipairs(SIZES) do
    while #followers < size do
      local one = client.connect(world)
      one:subscribe(1, table_name == "nothing" and {} or { "SELECT * FROM " .. table_name })
      followers[#followers + 1] = one
    end
    costs[place] = cost(world, token)
  end
  world:remove()
  return costs
end

print(("%-10s %8s %8s %8s   %8s %8s %8s   ratio"):format("", "calls/s", "", "", "us/call", "", ""))
print(("%-10s %8d %8d %8d   %8d %8d %8d"):format("callers", SIZES[1], SIZES[2], SIZES[3], SIZES[1], SIZES[2], SIZES[3]))
for _, name in ipairs(arg[3] and { arg[3] } or { "nothing", "by_key", "by_range", "by_query", "kept" }) do
  local few, some, many = unpack(measure(name))
  print(("%-10s %8.0f %8.0f %8.0f   %8.2f %8.2f %8.2f   %.2f"):format(name, few.rate, some.rate, many.rate, few.time,
    some.time, many.time, many.time / few.time))
end
