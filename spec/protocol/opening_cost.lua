--- What others notice while a subscription to very many rows begins: the latency of confirmed calls, quiet and then.
---
---     luajit spec/protocol/opening_cost.lua [ROWS [CALLS]]
---
--- Printed are the median and the 99th percentile in microseconds and the ratio of the latter two. Nothing is asserted:
--- a machine at work gives any number. The subscriber is a process of its own, which begins again and again.
local ffi = require "ffi"
local people = require "spec.support.people"

ffi.cdef [[
struct cost_time { int64_t seconds, nanoseconds; };
int cost_clock_gettime(int clock, struct cost_time *time) __asm__("clock_gettime");
]]

local CLOCK_MONOTONIC = 1
local now = ffi.new "struct cost_time"

local function now_us()
  ffi.C.cost_clock_gettime(CLOCK_MONOTONIC, now)
  return tonumber(now.seconds) * 1e6 + tonumber(now.nanoseconds) / 1e3
end

local row_count, call_count = tonumber(arg[1]) or 1000000, tonumber(arg[2]) or 3000

--- Calls until `goes_on` says no; the latencies in ascending order.
local function latencies(client, goes_on)
  local list = {}
  while goes_on(#list) do
    local begin = now_us()
    client:call(people.call("rename_person", { id = #list % row_count + 1, name = "x" .. #list }))
    list[#list + 1] = now_us() - begin
  end
  table.sort(list)
  return list
end

local function at(list, share)
  return list[math.max(1, math.ceil(#list * share))]
end

local function subscribe_for_ever(port)
  while true do
    local client = people.connect { port = port, database = "people" }
    client:send_subscribe(1, { "SELECT * FROM person" })
    local begin = now_us()
    assert(client.connection:receive())
    io.stdout:write(("%d\n"):format(now_us() - begin))
    io.stdout:flush()
    client:drop()
  end
end

if arg[1] == "subscriber" then
  subscribe_for_ever(tonumber(arg[2]))
end

local world = people.serve()
local client = people.connect(world)
for first = 1, row_count, 100000 do
  client:call(people.call("add_people", { first = first, count = math.min(100000, row_count - first + 1) }))
end
client:drop()
client = people.connect(world)
local function enough(done) return done < call_count end
latencies(client, enough)
local quiet = latencies(client, enough)
local subscriber = io.popen(("exec luajit spec/protocol/opening_cost.lua subscriber %d & echo $!; wait"):format(world.port))
local pid = subscriber:read "*l"
local busy = latencies(client, enough)
os.execute("kill " .. pid)
local starts = {}
for line in subscriber:lines() do
  starts[#starts + 1] = tonumber(line)
end
subscriber:close()
world:remove()

print(("quiet         p50 %6.0f   p99 %6.0f us"):format(at(quiet, 0.5), at(quiet, 0.99)))
print(("while %2d begin p50 %6.0f   p99 %6.0f us"):format(#starts, at(busy, 0.5), at(busy, 0.99)))
print(("ratio of p99  %.2f   first rows of %d after %s us"):format(at(busy, 0.99) / at(quiet, 0.99), row_count,
  starts[1] and ("%d"):format(starts[1]) or "?"))
