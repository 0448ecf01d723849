--- What live queries cost a call that does not touch them.
local transfer = require "workloads.transfer"

local live = {
  title = "transfers beside live queries of other rows",
  measure = "server_cpu_us",
  peers = { "10 queries" },
  columns = transfer.columns,
}

-- No account has these numbers.
local QUERY = "SELECT * FROM account WHERE id = 9%07u"

function live.run(bench)
  transfer.with_accounts(bench, { "v3" }, true, function(servers)
    for round = 1, bench.options.runs do
      for _, count in ipairs { 10, 1000, bench.options.holds } do
        bench.say("round %d: %d queries", round, count)
        bench.note("transfers", count .. " queries", round,
          (bench.load("v3", servers.v3, "run", { "--hold", count, "--query", QUERY })))
      end
    end
  end)
end

return live
