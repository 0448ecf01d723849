--- Medians, spreads and ratios of what tools/bench measured, as text and as JSON.
-- Usage: luajit report.lua RESULTS JSON; a line of RESULTS is "ROUND WORKLOAD {result of stdb-load}".
local json = require("cjson")

local titles = {
  { "even", "Transfers, every answer durable; accounts drawn evenly" },
  { "zipf", "Transfers, every answer durable; accounts drawn by Zipf's law, exponent 1.5" },
  { "latency", "One client, one call in flight" },
}

local function read_runs(path)
  local runs = {}
  for line in io.lines(path) do
    local round, workload, result = line:match("^(%d+) (%S+) (.*)$")
    local run = json.decode(result)
    run.round, run.workload = tonumber(round), workload
    run.name = run.system .. (run.confirmed and "" or ", unconfirmed")
    runs[#runs + 1] = run
  end
  return runs
end

local function median(numbers)
  local sorted = { unpack(numbers) }
  table.sort(sorted)
  local middle = math.floor(#sorted / 2)
  if #sorted % 2 == 1 then return sorted[middle + 1], sorted[1], sorted[#sorted] end
  return (sorted[middle] + sorted[middle + 1]) / 2, sorted[1], sorted[#sorted]
end

local function pick(runs, field)
  local numbers = {}
  for i, run in ipairs(runs) do numbers[i] = run[field] end
  return numbers
end

--- Runs of one workload by system, systems in the order they first ran.
local function group(runs, workload)
  local groups, order = {}, {}
  for _, run in ipairs(runs) do
    if run.workload == workload then
      if not groups[run.name] then
        groups[run.name] = {}
        order[#order + 1] = run.name
      end
      table.insert(groups[run.name], run)
    end
  end
  return groups, order
end

--- How many times as many calls a second as the peer: the median over rounds, in which both ran one after the other.
local function ratio(runs, peer_runs)
  if not peer_runs then return nil end
  local by_round, ratios = {}, {}
  for _, run in ipairs(peer_runs) do by_round[run.round] = run.per_second end
  for i, run in ipairs(runs) do ratios[i] = run.per_second / by_round[run.round] end
  return (median(ratios))
end

local function summarise(runs, groups)
  local rate, lowest, highest = median(pick(runs, "per_second"))
  return {
    per_second = rate, per_second_min = lowest, per_second_max = highest,
    p50_us = (median(pick(runs, "p50_us"))), p99_us = (median(pick(runs, "p99_us"))),
    server_cpu_us = (median(pick(runs, "server_cpu_us"))), client_cpu_us = (median(pick(runs, "client_cpu_us"))),
    client_cores = (median(pick(runs, "client_cores"))),
    to_redis = ratio(runs, groups.redis), to_tarantool = ratio(runs, groups.tarantool),
  }
end

local function times(number)
  return number and ("%.2fx"):format(number) or "-"
end

local function print_row(name, row)
  print(("%-16s %9.0f %9.0f..%-9.0f %8.0f %8.0f %10.2f %10.2f %9s %12s%s"):format(name, row.per_second,
    row.per_second_min, row.per_second_max, row.p50_us, row.p99_us, row.server_cpu_us, row.client_cpu_us,
    times(row.to_redis), times(row.to_tarantool), row.client_cores > 0.9 and "  the load generator is the limit" or ""))
end

local function print_workload(runs, workload, title)
  local groups, order = group(runs, workload)
  local summary = {}
  print("\n" .. title)
  print(("%-16s %9s %20s %8s %8s %10s %10s %9s %12s"):format("", "calls/s", "lowest..highest", "p50 us", "p99 us",
    "server us", "client us", "to Redis", "to Tarantool"))
  for _, name in ipairs(order) do
    summary[name] = summarise(groups[name], groups)
    print_row(name, summary[name])
  end
  return summary
end

local function first_line(command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local line = pipe:read("*l")
  pipe:close()
  return line
end

local runs = read_runs(arg[1])
local report = {
  machine = first_line("sed -n 's/^model name.*: //p' /proc/cpuinfo"), cores = tonumber(first_line("nproc")),
  kernel = first_line("uname -r"), time = os.date("!%Y-%m-%dT%H:%M:%SZ"),
  redis = first_line("redis-server --version"), tarantool = first_line("tarantool --version"),
  runs = runs, medians = {},
}
print(("%s, %d cores; medians of %d rounds; server and client us are CPU time a call"):format(
  report.machine or "unknown processor", report.cores, runs[#runs].round))
for _, workload in ipairs(titles) do
  report.medians[workload[1]] = print_workload(runs, workload[1], workload[2])
end

local file = assert(io.open(arg[2], "w"))
file:write(json.encode(report), "\n")
file:close()
print("\nAll runs: " .. arg[2])
