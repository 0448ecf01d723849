--- One writer, many who hear of it, beside Redis pub/sub with the same bytes: a row's old and its new form.
local fanout = {
  title = "1,000 entities move 20 times a second, and subscribers hear of it",
  measure = "megabytes_per_cpu_second",
  peers = { "redis, by tick", "redis, by row" },
  columns = {
    { field = "megabytes_per_cpu_second", title = "MB/CPU s", format = "%.0f" },
    { field = "megabytes_per_second", title = "MB/s", format = "%.1f" },
    { field = "ticks_per_second", title = "ticks/s", format = "%.1f" },
    { field = "p50_us", title = "p50 us", format = "%.0f" },
    { field = "p99_us", title = "p99 us", format = "%.0f" },
    { field = "client_cpu_s_per_gb", title = "client s/GB", format = "%.2f" },
  },
}

local AREAS, ROW_BYTES = 10, 40

local function measure(bench, servers, round, listeners, areas)
  local case = ("%d %s"):format(listeners, areas > 0 and "by area" or "all")
  local arguments = { "--connections", listeners, "--areas", areas, "--row-size", ROW_BYTES, "--confirmed", 0 }
  for _, name in ipairs { "v3", "redis, by tick", "redis, by row" } do
    local system = name:match "^%w+"
    if servers[system] and bench.wants(system, case) then
      bench.say("round %d: %s, %s", round, case, name)
      local words = { unpack(arguments) }
      if name == "redis, by row" then words[#words + 1] = "--by-row" end
      bench.note(case, name, round, (bench.load(system, servers[system], "fanout", words)))
    end
  end
end

function fanout.run(bench)
  local servers = bench.start({ "v3", "redis" }, { part = "fanout", memory_only = true })
  for round = 1, bench.options.runs do
    for _, listeners in ipairs { 100, 500, 1000 } do
      measure(bench, servers, round, listeners, 0)
      measure(bench, servers, round, listeners, AREAS)
    end
  end
  bench.stop(servers)
end

return fanout
