--- How long the first rows of a subscription take, and what calls notice of it.
local subscribe = {
  title = "first rows of a subscription, and calls beside them",
  measure = "ms",
  peers = { "quiet" },
  columns = {
    { field = "ms", title = "ms", format = "%.2f" },
    { field = "rows_per_second", title = "rows/s", format = "%.0f" },
    { field = "server_cpu_us", title = "us/row", format = "%.3f" },
  },
}

local QUERY = "SELECT * FROM player WHERE id < %u"

local function first_rows(bench, server, round, rows)
  local result = bench.load("v3", server, "subscribe", { "--query", QUERY, "--number", rows })
  bench.note(("%d rows"):format(rows), "v3", round, { ms = result.seconds * 1e3, rows_per_second = rows / result.seconds,
    server_cpu_us = result.server_cpu_seconds * 1e6 / rows })
end

local CALLS = { "--connections", 4, "--window", 1 }

--- p99 of calls, quiet and while somebody subscribes to all rows again and again.
local function calls_beside(bench, server, round)
  local words = bench.load_words("v3", server, "subscribe", { "--query", QUERY, "--number", bench.options.rows })
  local quiet, busy = bench.beside(server, words, CALLS)
  bench.note("p99 of calls beside", "quiet", round, { ms = quiet.p99_us / 1e3 })
  bench.note("p99 of calls beside", "subscribing", round, { ms = busy.p99_us / 1e3 })
end

function subscribe.run(bench)
  local started = bench.start({ "v3" }, { part = "bulk", durable = true })
  local server = started.v3
  if not server then return end
  bench.load("v3", server, "call", { "--function", "insert", "--number", bench.options.rows })
  for round = 1, bench.options.runs do
    bench.say("round %d", round)
    for _, rows in ipairs { 1000, 10000, 100000, 1000000 } do
      if rows <= bench.options.rows then first_rows(bench, server, round, rows) end
    end
    calls_beside(bench, server, round)
  end
  bench.stop(started)
end

return subscribe
