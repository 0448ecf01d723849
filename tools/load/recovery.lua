--- tools/bench recovery: how long a start takes, beside Redis and Tarantool with the same rows, and what calls notice of
--- a snapshot.
local ffi = require "ffi"
local json = require "cjson"
local socket = require "socket"

ffi.cdef [[
int posix_spawn(int *pid, const char *path, const void *actions, const void *attributes, char *const argv[],
                char *const environment[]);
int waitpid(int pid, int *status, int options);
int kill(int pid, int signal);
extern char **environ;
]]

local USAGE = [[
usage: tools/bench recovery [options]

Fills each server with a million players of 40 bytes, has it take a snapshot, makes 100,000 single transactions behind
it, and kills it. Then all are started again and again, in turn: the time runs from the start of the process to the
answer to a query for one row. Files are in the system's cache for all of them. Redis 7 has its append-only file with an
RDB at its head (aof-use-rdb-preamble), Tarantool its snapshot and xlog. Then the latency of calls on this server, quiet
and while snapshots of the million rows are taken one after the other.

  --runs COUNT     starts of each, and rounds of the second part; default 5
  --rows COUNT     default 1000000
  --tail COUNT     transactions behind the snapshot; default 100000
  --seconds COUNT  measured time of a round of the second part; default 3
  --part NAME      starts or calls: only the one; default both
  --build DIR      where the program is built; default build
  --dir DIR        where servers keep their data: a real disk, not tmpfs; default the build folder
  --json FILE      where all numbers are saved; default bench-recovery.json in the build folder
  --help           this text
]]

local SIGKILL = 9
local PATIENCE_S = 30

local function refuse(text)
  error({ text = text })
end

local function read_options(words)
  local options = { runs = 5, rows = 1000000, tail = 100000, seconds = 3, part = "both", build = "build" }
  local place = 1
  while words[place] do
    local name = words[place]:match "^%-%-(%a+)$"
    if name == "help" or words[place] == "-h" then
      io.write(USAGE)
      os.exit(0)
    end
    local value = words[place + 1]
    local is_number = type(options[name]) == "number"
    if not name or not (is_number or name == "build" or name == "dir" or name == "json" or name == "part") or not value then
      io.stderr:write(USAGE)
      refuse("unknown option: " .. words[place])
    end
    options[name] = is_number and (tonumber(value) or refuse("--" .. name .. " needs a number")) or value
    place = place + 2
  end
  return options
end

local options

-- Processes -----------------------------------------------------------------------------------------------------------

local function quote(text) return "'" .. tostring(text):gsub("'", "'\\''") .. "'" end

local function shell(command)
  local code = os.execute(command)
  if code ~= 0 and code ~= true then refuse("this failed: " .. command) end
end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return (text:gsub("%s+$", ""))
end

local function has(program) return output_of("command -v " .. program) ~= "" end

local dir, running = nil, {}

--- Starts a program whose output goes into a file; its pid.
local function start(name, words)
  local line = { "exec" }
  for _, word in ipairs(words) do line[#line + 1] = quote(word) end
  line[#line + 1] = (">>%s/%s.log 2>&1"):format(dir, name)
  local shell_words = { "/bin/sh", "-c", table.concat(line, " ") }
  local argv, pid = ffi.new("char *[4]"), ffi.new "int[1]"
  for place, word in ipairs(shell_words) do argv[place - 1] = ffi.cast("char *", word) end
  assert(ffi.C.posix_spawn(pid, "/bin/sh", nil, nil, argv, ffi.C.environ) == 0)
  running[pid[0]] = true
  return pid[0]
end

local function kill(pid)
  ffi.C.kill(pid, SIGKILL)
  ffi.C.waitpid(pid, nil, 0)
  running[pid] = nil
end

local function free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return tonumber(port)
end

--- Asks again and again until the answer matches; servers that still load refuse, or let wait.
local function ask_until(port, question, pattern)
  local deadline = socket.gettime() + PATIENCE_S
  repeat
    local connection = socket.tcp()
    local answer = ""
    if connection:connect("127.0.0.1", port) then
      connection:setoption("tcp-nodelay", true)
      connection:send(question)
      connection:settimeout(PATIENCE_S)
      repeat
        local byte, reason = connection:receive(1)
        answer = answer .. (byte or "")
      until answer:find(pattern) or answer:find "LOADING" or reason
    end
    connection:close()
    if answer:find(pattern) then return end
    socket.sleep(0.0005)
  until socket.gettime() > deadline
  refuse("port " .. port .. " gave no answer to " .. question)
end

-- The systems ---------------------------------------------------------------------------------------------------------

local build
local function load_generator(command, system, port, more)
  shell(("%s/stdb-load %s --system %s --port %d --database player %s >/dev/null"):format(build, command, system, port,
    more or ""))
end

local SQL = "SELECT * FROM player WHERE id = 777"

local systems = {
  {
    name = "stdb-lua", load_as = "v3",
    launch = function(self)
      return start(self.name, { build .. "/stdb-lua", "run", "--listen-addr", "127.0.0.1:" .. self.port, "--data-dir",
        dir .. "/stdb", "--database", "player", "--call-limit", "60000", "tools/load/player.lua" })
    end,
    question = ("POST /v1/database/player/sql?confirmed=false HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s")
      :format(#SQL, SQL),
    answer = "%[777,",
    photograph = function(self)
      shell(("%s/stdb-lua snapshot --server 127.0.0.1:%d player >/dev/null"):format(build, self.port))
    end,
    folder = "stdb/databases",
  },
  {
    name = "Redis", load_as = "redis", needs = "redis-server",
    launch = function(self)
      return start(self.name, { "redis-server", "--bind", "127.0.0.1", "--port", self.port, "--dir", dir .. "/redis",
        "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0" })
    end,
    question = "STRLEN account:777\r\n", answer = ":36\r\n",
    define = function(self)
      shell(("redis-cli -p %d -x FUNCTION LOAD <tools/load/player.redis.lua >/dev/null"):format(self.port))
    end,
    photograph = function(self)
      shell(("redis-cli -p %d BGREWRITEAOF >/dev/null"):format(self.port))
      repeat
        socket.sleep(0.1)
      until output_of(("redis-cli -p %d INFO persistence"):format(self.port)):find "aof_rewrite_in_progress:0"
    end,
    folder = "redis",
  },
  {
    name = "Tarantool", load_as = "tarantool", needs = "tarantool",
    launch = function(self)
      self.console = self.console or free_port()
      return start(self.name, { "tarantool", "tools/load/player.tarantool.lua", self.port, self.console,
        dir .. "/tarantool" })
    end,
    question = "return box.space.player:get(777)[5]\n", answer = "%- 100",
    photograph = function(self) ask_until(self.console, "box.snapshot()\n", "ok") end,
    folder = "tarantool",
  },
}

local function wait_for_port(port)
  local deadline = socket.gettime() + PATIENCE_S
  repeat
    local connection = socket.connect("127.0.0.1", port)
    if connection then return connection:close() end
    socket.sleep(0.01)
  until socket.gettime() > deadline
  refuse("nobody listens at port " .. port)
end

local function prepare(system)
  io.stderr:write("filling ", system.name, "\n")
  system.port = free_port()
  os.execute(("mkdir -p %s/%s"):format(dir, system.folder))
  system.pid = system:launch()
  wait_for_port(system.console or system.port)
  if system.define then system:define() end
  load_generator("seed", system.load_as, system.port, "--accounts " .. options.rows)
  system:photograph()
  load_generator("calls", system.load_as, system.port, ("--accounts %d --calls %d"):format(options.rows, options.tail))
  kill(system.pid)
  system.megabytes = tonumber(output_of(("du -sm %s/%s | cut -f1"):format(dir, system.folder)))
end

local function start_time(system)
  local from = socket.gettime()
  system.pid = system:launch()
  ask_until(system.console or system.port, system.question, system.answer)
  local took = socket.gettime() - from
  system.resident = tonumber(output_of(("ps -o rss= -p %d"):format(system.pid))) / 1024
  kill(system.pid)
  return took
end

-- Reporting -----------------------------------------------------------------------------------------------------------

local function median(numbers)
  local sorted = { unpack(numbers) }
  table.sort(sorted)
  local middle = math.floor(#sorted / 2)
  return #sorted % 2 == 1 and sorted[middle + 1] or (sorted[middle] + sorted[middle + 1]) / 2, sorted[1], sorted[#sorted]
end

local function measure_starts(report)
  local taken = {}
  for round = 1, options.runs do
    for _, system in ipairs(systems) do
      io.stderr:write(("start %d of %d: %s\n"):format(round, options.runs, system.name))
      taken[system] = taken[system] or {}
      table.insert(taken[system], start_time(system))
    end
  end
  local fastest_peer
  for _, system in ipairs(systems) do
    system.median, system.least, system.most = median(taken[system])
    if system ~= systems[1] then fastest_peer = math.min(fastest_peer or math.huge, system.median) end
  end
  print(("\nFrom process start to the first answer: %d rows in a snapshot, %d transactions behind it; medians of %d")
    :format(options.rows, options.tail, options.runs))
  print(("%-12s %9s %18s %10s %12s %22s"):format("", "seconds", "least..most", "MB on disk", "MB in memory",
    "to the fastest peer"))
  for _, system in ipairs(systems) do
    print(("%-12s %9.3f %8.3f..%-8.3f %10d %12.0f %22s"):format(system.name, system.median, system.least, system.most,
      system.megabytes, system.resident, fastest_peer and ("%.2fx"):format(system.median / fastest_peer) or "-"))
    report.starts[system.name] = { seconds = taken[system], megabytes = system.megabytes, resident = system.resident }
  end
end

--- One round: the load generator's result while `beside`, a shell command, runs; it is started with the measuring.
local function measure_calls(system, beside)
  local command = ("%s/stdb-load run --system v3 --port %d --database player --accounts %d --connections 4 --window 1 " ..
    "--warm 1 --seconds %d"):format(build, system.port, options.rows, options.seconds)
  if beside then
    command = ("{ while :; do %s; done & others=$!; %s; kill $others; wait $others 2>/dev/null; }"):format(beside, command)
  end
  return json.decode(output_of(command))
end

local function measure_snapshots(report)
  local system = systems[1]
  system.pid = system:launch()
  ask_until(system.port, system.question, system.answer)
  local snapshot = ("%s/stdb-lua snapshot --server 127.0.0.1:%d player >>%s/snapshots 2>&1"):format(build, system.port, dir)
  local quiet, busy, ratios = {}, {}, {}
  for round = 1, options.runs do
    io.stderr:write(("calls, round %d of %d\n"):format(round, options.runs))
    quiet[round], busy[round] = measure_calls(system), measure_calls(system, snapshot)
    ratios[round] = busy[round].p99_us / quiet[round].p99_us
  end
  kill(system.pid)
  local function column(runs, field)
    local numbers = {}
    for place, run in ipairs(runs) do numbers[place] = run[field] end
    return (median(numbers))
  end
  print(("\nCalls of 4 clients, one in flight on each, quiet and while snapshots are taken (%s in all); medians of %d")
    :format(output_of(("grep -c 'at offset' %s/snapshots"):format(dir)), options.runs))
  print(("%-12s %9s %8s %8s %8s"):format("", "calls/s", "p50 us", "p99 us", "max us"))
  for name, runs in pairs { quiet = quiet, snapshot = busy } do
    print(("%-12s %9.0f %8.0f %8.0f %8.0f"):format(name, column(runs, "per_second"), column(runs, "p50_us"),
      column(runs, "p99_us"), column(runs, "max_us")))
  end
  print(("p99 while a snapshot is taken to p99 quiet: %.2fx (%.2f..%.2f)"):format(median(ratios)))
  report.calls = { quiet = quiet, snapshot = busy, ratios = ratios }
end

-- -----------------------------------------------------------------------------------------------------------------------

local function build_programs()
  os.execute(("[ -f %s/CMakeCache.txt ] || cmake --preset release -B %s >/dev/null"):format(build, build))
  shell(("cmake --build %s --target stdb-lua >%s/bench-build.log"):format(build, build))
  shell(("cc -O2 -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -o %s/stdb-load tools/load/*.c -lm"):format(build))
end

local function main()
  options = read_options(arg)
  build = options.build
  build_programs()
  local parent = options.dir or build
  os.execute("mkdir -p " .. quote(parent))
  dir = output_of(("realpath $(mktemp -d %s/bench.XXXXXX)"):format(quote(parent)))
  local there = {}
  for _, system in ipairs(systems) do
    if not system.needs or has(system.needs) then
      there[#there + 1] = system
    else
      io.stderr:write("note: ", system.name, " is not installed; it is left out\n")
    end
  end
  systems = there
  local report = { options = options, starts = {} }
  if options.part == "calls" then systems = { systems[1] } end
  for _, system in ipairs(systems) do prepare(system) end
  if options.part ~= "calls" then measure_starts(report) end
  if options.part ~= "starts" then measure_snapshots(report) end
  local path = options.json or build .. "/bench-recovery.json"
  local file = assert(io.open(path, "w"))
  file:write(json.encode(report), "\n")
  file:close()
  print("\nAll numbers: " .. path)
end

local ok, problem = pcall(main)
for pid in pairs(running) do kill(pid) end
if dir then os.execute("rm -rf " .. quote(dir)) end
if not ok then
  io.stderr:write("tools/bench recovery: ", type(problem) == "table" and problem.text or tostring(problem), "\n")
  os.exit(2)
end
