--- tools/bench: reads what is wanted, builds, measures one workload after the other, and reports.
package.path = "tools/load/bench/?.lua;" .. package.path

local json = require "cjson"
local process = require "process"
local report = require "report"
local servers = require "servers"

local ORDER = { "transfer", "latency", "fanout", "bulk", "subscribe", "live", "reload", "idle", "recovery" }

local USAGE = [[
usage: tools/bench [WORKLOAD...] [options]

Measures this server beside Redis 7, Tarantool and PostgreSQL, all on loopback with their best settings for the case and
equal durability, in turn, sharing the machine's cores with the load generator in the same way. Printed are medians of
all rounds, their spread, CPU time of the server (its children included), and quotients of runs of one round. A peer that
is not installed or does not start is left out, and the rest runs. Without WORKLOAD, all of them run:

  transfer    100,000 accounts, 40 calls in flight on each of 64, 16, 4 and 1 connections; durable and not
  latency     one client, one call in flight; durable and not
  fanout      1,000 entities that move 20 times a second, to 100, 500 and 1,000 subscribers of all or of an area
  bulk        a million rows inserted, updated, got, scanned and deleted by one call each; memory of a row
  subscribe   the first rows of 1,000 to 1,000,000; and calls beside them
  live        what 10,000 live queries that a call does not touch add to its cost
  reload      from the save of a module of 1,000 lines to its first call, clients connected
  idle        memory of a connection at 10,000 of them, and of an empty database; calls beside 10,000 connections; and
              the opening of all of them at once
  recovery    starts with a million rows and a log behind them; calls beside a snapshot

  --runs COUNT      rounds; default 5
  --seconds COUNT   measured time of a run; default 3
  --quick           one round of runs of half a second, with fewer rows and clients
  --systems NAMES   only these of v3, v2, redis, tarantool, postgres; separated by commas
  --case TEXT       only cases whose title has this in it (transfer, latency, fanout)
  --pin             servers on core 0, the load generator on core 1
  --build DIR       where the program is built; default build
  --dir DIR         where servers keep their data: a real disk, not tmpfs; default the build folder
  --json FILE       where results are saved, and compared with the last; default bench.json in the build folder
  --help            this text

The load generator costs something, too. Its CPU time stands beside the server's, and a run in which it used more than 0.9
of a core is marked: there, the server may be faster than it looks. Runs that differ by more than 30 per cent of their
median are marked as noisy. Ratios are this row's number by that of the peer; "to last" by that of the last saved time.
]]

local options = { runs = 5, seconds = 3, build = "build", warm = 1, rows = 1000000, idle = 10000, holds = 10000 }

local function is_workload(name)
  for _, known in ipairs(ORDER) do
    if known == name then return true end
  end
end

local function set_of(names)
  local set = {}
  for name in names:gmatch "[^,]+" do set[name] = true end
  return set
end

local function set_option(name, value)
  if name == "runs" or name == "seconds" then
    local number = tonumber(value)
    if not number or number <= 0 or (name == "runs" and number % 1 ~= 0) then
      process.refuse("--%s needs a number, not %s", name, value)
    end
    options[name] = number
  elseif name == "systems" then
    options.systems = set_of(value)
  else
    options[name] = value
  end
end

local FLAGS = { quick = true, pin = true }
local VALUES = { runs = true, seconds = true, systems = true, case = true, build = true, dir = true, json = true }

local function read_options(words)
  local wanted, place = {}, 1
  while words[place] do
    local word = words[place]
    local name = word:match "^%-%-(%a+)$"
    if name == "help" or word == "-h" then
      io.write(USAGE)
      os.exit(0)
    elseif is_workload(word) then
      wanted[#wanted + 1] = word
    elseif name and FLAGS[name] then
      options[name] = true
    elseif name and VALUES[name] and words[place + 1] then
      place = place + 1
      set_option(name, words[place])
    else
      process.refuse("unknown workload or option: %s; see --help", word)
    end
    place = place + 1
  end
  return #wanted > 0 and wanted or ORDER
end

local QUICK = { runs = 1, seconds = 0.5, warm = 0.2, rows = 100000, idle = 1000, holds = 1000 }

-- What is said after --quick holds.
local function apply_quick(words)
  for _, word in ipairs(words) do
    if word == "--quick" then
      for name, value in pairs(QUICK) do options[name] = value end
    end
  end
end

local function build()
  local folder = options.build
  if not process.read_file(folder .. "/CMakeCache.txt") then
    process.run { "cmake", "--preset", "release", "-B", folder }
  end
  process.run { "cmake", "--build", folder, "--target", "stdb-lua" }
  process.run { "sh", "-c", "cc -O2 -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -o \"$0/stdb-load\" tools/load/*.c -lm", folder }
end

local dir -- the servers' folders are in it; removed at the end

local function make_dir()
  local parent = options.dir or options.build
  process.run { "mkdir", "-p", parent }
  dir = process.output_of(("realpath $(mktemp -d %s/bench.XXXXXX)"):format(process.quote(parent)))
  process.run { "chmod", "755", dir } -- PostgreSQL comes as another user
  if process.output_of("stat -f -c %T " .. process.quote(dir)) == "tmpfs" then
    io.stderr:write(("note: %s is in memory, so a sync costs nothing; choose a disk with --dir\n"):format(dir))
  end
end

-- What workloads do their work with ------------------------------------------------------------------------------------

local bench = { options = options }

--- The system whose server speaks this protocol.
function bench.server_name(system)
  return (system == "v3" or system == "v2") and "stdb" or system
end

function bench.wants(system, case)
  return (not options.systems or options.systems[system]) and (not options.case or not case or
    case:find(options.case, 1, true))
end

--- Starts the servers of these systems, as far as they are there: { [system] = server }.
function bench.start(names, spec)
  local by_system, by_server = {}, {}
  for _, name in ipairs(names) do
    local server_name = bench.server_name(name)
    if bench.wants(name) then
      if by_server[server_name] == nil then by_server[server_name] = servers.start(server_name, spec) or false end
      by_system[name] = by_server[server_name] or nil
    end
  end
  return by_system
end

function bench.stop(by_system)
  local stopped = {}
  for _, server in pairs(by_system) do
    if not stopped[server] then servers.stop(server) end
    stopped[server] = true
  end
end

--- The words that have the load generator do something to a server.
function bench.load_words(system, server, command, arguments)
  local words = options.pin and { "taskset", "-c", "1" } or {}
  for _, word in ipairs { options.build .. "/stdb-load", command, "--system", system, "--port", server.port,
    "--server-pid", server.pid, "--database", "bench", "--warm", options.warm, "--seconds", options.seconds } do
    words[#words + 1] = word
  end
  for _, word in ipairs(arguments or {}) do words[#words + 1] = word end
  return words
end

--- Has the load generator do something; its last line, decoded, and all of them.
function bench.load(system, server, command, arguments)
  local lines = {}
  for line in process.run(bench.load_words(system, server, command, arguments)):gmatch "[^\n]+" do
    lines[#lines + 1] = json.decode(line)
  end
  return lines[#lines], lines
end

--- What calls notice of something that goes on beside them: the load generator's result, quiet, and while `words` are
-- run again and again. That process would be on another machine: it takes what the server and the calls leave of this
-- one.
function bench.beside(server, words, arguments)
  local quoted = {}
  for place, word in ipairs(words) do quoted[place] = process.quote(word) end
  local quiet = bench.load("v3", server, "run", arguments)
  local again = ("while chrt --idle 0 %s; do :; done"):format(table.concat(quoted, " "))
  local other = process.start({ "sh", "-c", again }, dir .. "/beside.log")
  local busy = bench.load("v3", server, "run", arguments)
  process.stop(other)
  return quiet, busy
end

local runs

--- Notes a run's numbers.
function bench.note(case, name, round, result)
  result.case, result.name, result.round = case, name, round
  runs[#runs + 1] = result
end

function bench.say(...)
  io.stderr:write(string.format(...), "\n")
end

-- -----------------------------------------------------------------------------------------------------------------------

local function machine()
  return {
    processor = process.output_of "sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1",
    cores = tonumber(process.output_of "nproc"), kernel = process.output_of "uname -r",
    redis = process.output_of "redis-server --version", tarantool = process.output_of "tarantool --version | head -n 1",
    postgres = process.output_of "ls /usr/lib/postgresql | sort -V | tail -n 1", left_out = servers.left_out,
  }
end

local function measure(name, path)
  local workload = require("workloads." .. name)
  runs = {}
  bench.say("%s: %s", name, workload.title)
  workload.run(bench)
  if #runs == 0 then process.refuse("%s: no case has this name, or no system is wanted", name) end
  local saved = report.load(path)
  print(("\n== %s: %s; medians of %d rounds"):format(name, workload.title, options.runs))
  saved[name] = report.show(workload, runs, saved[name])
  report.save(path, machine(), saved)
end

local function main(words)
  apply_quick(words)
  local wanted = read_options(words)
  build()
  make_dir()
  servers.init { dir = dir, build = options.build, pin = options.pin }
  local path = options.json or options.build .. "/bench.json"
  for _, name in ipairs(wanted) do measure(name, path) end
  print("\nAll runs: " .. path)
end

local ok, problem = xpcall(main, function(raised)
  return type(raised) == "table" and raised or { text = debug.traceback(tostring(raised)) }
end, arg)
process.stop_all()
if dir then process.run { "rm", "-rf", dir } end
if not ok then
  io.stderr:write("tools/bench: ", problem.text, "\n")
  os.exit(2)
end
