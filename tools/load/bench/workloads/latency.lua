--- How long one client waits for one call.
local transfer = require "workloads.transfer"

local latency = {
  title = "one client, one transfer in flight",
  measure = "p50_us",
  peers = transfer.peers,
  columns = transfer.columns,
}

local SYSTEMS = { "v3", "redis", "tarantool", "postgres" }

function latency.run(bench)
  for _, durable in ipairs { true, false } do
    transfer.with_accounts(bench, SYSTEMS, durable, function(servers)
      for round = 1, bench.options.runs do
        transfer.measure_case(bench, servers, SYSTEMS, round, durable and "durable" or "not waiting",
          { "--connections", 1, "--window", 1 }, durable)
      end
    end)
  end
end

return latency
