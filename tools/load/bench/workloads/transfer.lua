--- Transfers between 100,000 accounts: many connections, many calls in flight on each.
local process = require "process"

local transfer = {
  title = "transfers between 100,000 accounts",
  measure = "per_second",
  peers = { "redis", "tarantool", "postgres" },
  columns = {
    { field = "per_second", title = "calls/s", format = "%.0f" },
    { field = "p50_us", title = "p50 us", format = "%.0f" },
    { field = "p99_us", title = "p99 us", format = "%.0f" },
    { field = "p999_us", title = "p99.9 us", format = "%.0f" },
    { field = "server_cpu_us", title = "server us", format = "%.2f" },
    { field = "client_cpu_us", title = "client us", format = "%.2f" },
  },
}

local SYSTEMS = { "v3", "v2", "redis", "tarantool", "postgres" }
local ACCOUNTS, OPENING_BALANCE = 100000, 1000000000

local CASES = {
  { title = "even", arguments = {} },
  { title = "zipf 1.5", arguments = { "--alpha", 1.5 } },
  { title = "16 connections", arguments = { "--connections", 16 } },
  { title = "4 connections", arguments = { "--connections", 4 } },
  { title = "1 connection", arguments = { "--connections", 1 } },
}

--- All systems with their accounts filled, for as long as `action` runs; no transfer makes or loses money.
function transfer.with_accounts(bench, systems, durable, action)
  local servers = bench.start(systems, { part = "transfer", durable = durable })
  for system, server in pairs(servers) do
    if not server.is_filled then bench.load(system, server, "call", { "--function", "seed", "--number", ACCOUNTS }) end
    server.is_filled = true
  end
  action(servers)
  for system, server in pairs(servers) do
    local sum = process.run(bench.load_words(system, server, "sum"))
    if tonumber(sum) ~= ACCOUNTS * OPENING_BALANCE then
      process.refuse("%s holds %s after the transfers; %.0f was put in", system, sum, ACCOUNTS * OPENING_BALANCE)
    end
  end
  bench.stop(servers)
end

--- One round of a case: each system in turn.
function transfer.measure_case(bench, servers, systems, round, title, arguments, durable)
  for _, system in ipairs(systems) do
    if servers[system] and bench.wants(system, title) then
      bench.say("round %d: %s, %s", round, title, system)
      local all = { "--confirmed", durable and 1 or 0, unpack(arguments) }
      bench.note(title, system, round, (bench.load(system, servers[system], "run", all)))
    end
  end
end

function transfer.run(bench)
  for _, durable in ipairs { true, false } do
    transfer.with_accounts(bench, SYSTEMS, durable, function(servers)
      for round = 1, bench.options.runs do
        for _, case in ipairs(CASES) do
          local title = case.title .. (durable and ", durable" or ", not waiting")
          transfer.measure_case(bench, servers, SYSTEMS, round, title, case.arguments, durable)
        end
      end
    end)
  end
end

return transfer
