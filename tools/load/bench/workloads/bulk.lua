--- Much work in one call, and what a row takes.
local process = require "process"
local servers = require "servers"

local bulk = {
  title = "a million player rows, each kind of work one call",
  measure = "rows_per_second",
  peers = { "redis", "tarantool", "postgres" },
  columns = {
    { field = "rows_per_second", title = "rows/s", format = "%.0f" },
    { field = "server_cpu_us", title = "server us", format = "%.3f" },
  },
}

bulk.forms = {
  memory = { measure = "bytes", peers = bulk.peers, columns = { { field = "bytes", title = "bytes/row", format = "%.1f" } } },
}

local SYSTEMS = { "v3", "redis", "tarantool", "postgres" }
local STEPS = { "insert", "update", "get", "scan", "delete" }
-- What can be done again to the same rows is done so often, and each time counts: the first time finds buffers of the size
-- that inserting needed.
local REPEATS = { update = 3, get = 3, scan = 3 }
local CATCH_UP_SECONDS = 1 -- between the steps: nobody waits for the disk, so it may have a hundred megabytes to write

local function step(bench, system, server, round, name)
  local rows = bench.options.rows
  for _ = 1, REPEATS[name] or 1 do
    local result = bench.load(system, server, "call", { "--function", name, "--number", rows, "--confirmed", 0 })
    bench.note(name, system, round, {
      rows_per_second = rows / result.seconds, server_cpu_us = result.server_cpu_seconds * 1e6 / rows,
    })
    process.sleep(CATCH_UP_SECONDS)
  end
end

-- What the rows take, as the system itself counts it. Ours does not: it is started again, and then has nothing but them.
local memory = {}

function memory.v3(server, bench)
  servers.restart(server, { part = "bulk" })
  bench.load("v3", server, "call", { "--function", "delete", "--number", 0 }) -- is answered when all rows are there
  return process.memory(server.pid) - server.empty
end

function memory.redis(server)
  return tonumber(process.run({ "redis-cli", "-p", server.port, "INFO", "memory" }):match "used_memory:(%d+)") - server.empty
end

local function returned(system)
  return function(server, bench)
    return bench.load(system, server, "call", { "--function", "memory", "--number", 0 }).returned - server.empty
  end
end
memory.tarantool, memory.postgres = returned "tarantool", returned "postgres"

local function measure_system(bench, system, server, round)
  local rows = bench.options.rows
  server.empty = 0
  server.empty = memory[system](server, bench)
  step(bench, system, server, round, "insert")
  bench.note("memory", system, round, { bytes = memory[system](server, bench) / rows })
  for place = 2, #STEPS do step(bench, system, server, round, STEPS[place]) end
end

function bulk.run(bench)
  for round = 1, bench.options.runs do
    for _, system in ipairs(SYSTEMS) do
      bench.say("round %d: %s", round, system)
      local started = bench.start({ system }, { part = "bulk", durable = false })
      if started[system] then measure_system(bench, system, started[system], round) end
      bench.stop(started)
    end
  end
end

return bulk
