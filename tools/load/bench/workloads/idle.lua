--- What is held for those who do nothing: connections, and databases without rows; what calls notice of them; and how
-- they come, many at once.
local process = require "process"
local servers = require "servers"
local transfer = require "workloads.transfer"

local idle = {
  title = "memory of idle connections and of empty databases, calls beside them, and their opening",
  measure = "bytes_each",
  peers = { "redis", "tarantool" },
  columns = { { field = "bytes_each", title = "bytes each", format = "%.0f" } },
}

idle.forms = {}
for _, case in ipairs { "no idle connections", "idle connections" } do
  idle.forms[case] = { measure = "p50_us", peers = idle.peers, columns = {
    { field = "p50_us", title = "p50 us", format = "%.0f" },
    { field = "p99_us", title = "p99 us", format = "%.0f" },
    { field = "server_cpu_us", title = "server us", format = "%.1f" },
  } }
end

for _, clients in ipairs { "new", "known" } do
  idle.forms[clients .. " clients at once"] = { measure = "per_second", peers = idle.peers, columns = {
    { field = "per_second", title = "opened/s", format = "%.0f" },
    { field = "server_cpu_us", title = "server us", format = "%.0f" },
    { field = "client_cpu_us", title = "client us", format = "%.0f" },
  } }
end

local SYSTEMS = { "v3", "redis", "tarantool" }
local DATABASES = 20

local function connections(bench, round)
  local started = bench.start(SYSTEMS, { part = "transfer", durable = true })
  for _, system in ipairs(SYSTEMS) do
    if started[system] then
      bench.say("round %d: connections, %s", round, system)
      bench.note("connections", system, round, (bench.load(system, started[system], "idle",
        { "--connections", bench.options.idle })))
    end
  end
  bench.stop(started)
end

local CALLS = { "--connections", 1, "--window", 1 }

--- All of them at once, without tokens and with those they got.
local function openings(bench, round)
  local started = bench.start(SYSTEMS, { part = "transfer", durable = true })
  for _, system in ipairs(SYSTEMS) do
    if started[system] then
      bench.say("round %d: openings, %s", round, system)
      local _, both = bench.load(system, started[system], "opening",
        { "--connections", bench.options.idle, "--window", 512 })
      for _, result in ipairs(both) do bench.note(result.clients .. " clients at once", system, round, result) end
    end
  end
  bench.stop(started)
end

--- One call in flight on one connection, with and without the others.
local function calls_beside(bench, round)
  transfer.with_accounts(bench, SYSTEMS, false, function(started)
    transfer.measure_case(bench, started, SYSTEMS, round, "no idle connections", CALLS)
    transfer.measure_case(bench, started, SYSTEMS, round, "idle connections", { "--idle", bench.options.idle, unpack(CALLS) })
  end)
end

--- Started again, so that nothing is left of the making of the databases.
local function databases(bench, round)
  if not bench.wants "v3" then return end
  bench.say("round %d: databases", round)
  local server = servers.start("stdb", { part = "transfer" })
  process.sleep(0.5)
  local before = process.memory(server.pid)
  for number = 1, DATABASES do
    process.run { bench.options.build .. "/stdb-lua", "fork", "--server", "127.0.0.1:" .. server.port, "bench",
      "bench-" .. number }
  end
  servers.restart(server, { part = "transfer" })
  process.sleep(0.5)
  bench.note("databases", "v3", round, { bytes_each = (process.memory(server.pid) - before) / DATABASES })
  servers.stop(server)
end

function idle.run(bench)
  for round = 1, bench.options.runs do
    connections(bench, round)
    openings(bench, round)
    calls_beside(bench, round)
    databases(bench, round)
  end
end

return idle
