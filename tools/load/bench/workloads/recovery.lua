--- How long a start takes, beside Redis and Tarantool with the same rows, and what calls notice of a snapshot.
--
-- Each server has a snapshot of all rows and single transactions behind it, and is killed. The time runs from the start of
-- the process to the answer to a query for one row; files are in the system's cache for all of them. Redis has its
-- append-only file with an RDB at its head, Tarantool its snapshot and xlog.
local process = require "process"
local servers = require "servers"

local recovery = {
  title = "starts with a snapshot of all rows and a log behind it; calls beside a snapshot",
  measure = "ms",
  peers = { "redis", "tarantool", "quiet" },
  columns = {
    { field = "ms", title = "ms", format = "%.2f" },
    { field = "megabytes", title = "MB on disk", format = "%.0f" },
    { field = "resident", title = "MB memory", format = "%.0f" },
  },
}

local SYSTEMS = { "v3", "redis", "tarantool" }
local SPEC = { part = "player", durable = true }

local function snapshot_words(bench, server)
  return { bench.options.build .. "/stdb-lua", "snapshot", "--server", "127.0.0.1:" .. server.port, "bench" }
end

local SQL = "SELECT * FROM player WHERE id = 777"

-- How each is asked for a row and what it answers, and how it takes a snapshot.
local systems = {
  v3 = {
    question = ("POST /v1/database/bench/sql?confirmed=false HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s")
      :format(#SQL, SQL),
    answer = "%[777,",
    photograph = function(bench, server) process.run(snapshot_words(bench, server)) end,
  },
  redis = {
    question = "STRLEN account:777\r\n", answer = ":36\r\n",
    photograph = function(_, server)
      process.run { "redis-cli", "-p", server.port, "BGREWRITEAOF" }
      repeat
        process.sleep(0.1)
      until process.run({ "redis-cli", "-p", server.port, "INFO", "persistence" }):find "aof_rewrite_in_progress:0"
    end,
  },
  tarantool = {
    question = "return box.space.player:get(777)[5]\n", answer = "%- 100", asks_console = true,
    photograph = function(_, server) process.ask_until(server.console, "box.snapshot()\n", "ok") end,
  },
}

local function prepare(bench, name, server)
  local rows = bench.options.rows
  bench.say("filling %s", name)
  bench.load(name, server, "call", { "--function", "seed", "--number", rows })
  systems[name].photograph(bench, server)
  process.run(bench.load_words(name, server, "calls", { "--accounts", rows, "--calls", rows / 10 }))
  servers.kill(server)
  server.megabytes = tonumber(process.output_of(("du -sm %s | cut -f1"):format(server.dir)))
end

local function start_once(bench, name, server, round)
  local system = systems[name]
  local from = process.time()
  servers.launch_again(server, SPEC)
  process.ask_until(system.asks_console and server.console or server.port, system.question, system.answer)
  bench.note("start", name, round, { ms = (process.time() - from) * 1e3, megabytes = server.megabytes,
    resident = process.memory(server.pid) / 1e6 })
  servers.kill(server)
end

local function calls_beside(bench, server, round)
  local arguments = { "--accounts", bench.options.rows, "--connections", 4, "--window", 1 }
  local quiet, busy = bench.beside(server, snapshot_words(bench, server), arguments)
  bench.note("p99 of calls beside", "quiet", round, { ms = quiet.p99_us / 1e3 })
  bench.note("p99 of calls beside", "snapshots", round, { ms = busy.p99_us / 1e3 })
end

function recovery.run(bench)
  local started = bench.start(SYSTEMS, SPEC)
  for name, server in pairs(started) do prepare(bench, name, server) end
  for round = 1, bench.options.runs do
    for _, name in ipairs(SYSTEMS) do
      bench.say("round %d: start of %s", round, name)
      if started[name] then start_once(bench, name, started[name], round) end
    end
  end
  if started.v3 then
    servers.launch_again(started.v3, SPEC)
    process.ask_until(started.v3.port, systems.v3.question, systems.v3.answer)
    for round = 1, bench.options.runs do calls_beside(bench, started.v3, round) end
  end
  bench.stop(started)
end

return recovery
