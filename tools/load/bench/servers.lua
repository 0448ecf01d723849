--- The systems that are measured: how each is started with its best settings, and stopped.
--
--   local server = servers.start("redis", { part = "transfer", durable = true })     -- nil: it is left out
--   server.port, server.pid
--
-- `part` is what the server runs: tools/load/PART.lua, PART.redis.lua, PART.tarantool.lua, PART.postgres.sql.
-- `durable`: what is answered is on disk. Without it, the disk is written to just the same, and nobody waits.
local process = require "process"

local servers = {}

local dir, build, prefix -- where data goes, where the program is, and words that go before every server's

local left_out, started = {}, 0

function servers.init(options)
  dir, build, prefix = options.dir, options.build, options.pin and { "taskset", "-c", "0" } or {}
end

local function words(...)
  local all = {}
  for _, list in ipairs { prefix, ... } do
    for _, word in ipairs(list) do all[#all + 1] = word end
  end
  return all
end

-- PostgreSQL does not run as root.
local function postgres_words(program, arguments)
  local path = process.output_of("ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1") .. "/" .. program
  local user = process.is_root() and { "setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups" } or {}
  return words(user, { path }, arguments)
end

local systems = {}

systems.stdb = {
  title = "stdb-lua",
  launch = function(server, spec)
    return words({ build .. "/stdb-lua", "run", "--listen-addr", "127.0.0.1:" .. server.port, "--data-dir", server.dir,
      "--database", "bench", "--call-limit", "600000", "--memory-limit", "1024", "--snapshot-every", "1048576" },
      { spec.file or "tools/load/" .. spec.part .. ".lua" })
  end,
}

-- Rewriting the file would fall into some runs and not into others, and the other logs are not rewritten either.
systems.redis = {
  title = "Redis",
  missing = function()
    local version = process.output_of("redis-server --version"):match "v=(%d+)"
    return not (version and tonumber(version) >= 7) and "Redis 7 is not installed"
  end,
  launch = function(server, spec)
    return words({ "redis-server", "--bind", "127.0.0.1", "--port", server.port, "--dir", server.dir, "--save", "",
      "--appendonly", spec.memory_only and "no" or "yes", "--appendfsync", spec.durable and "always" or "everysec",
      "--auto-aof-rewrite-percentage", "0", "--busy-reply-threshold", "600000", "--maxclients", "15000",
      "--client-output-buffer-limit", "pubsub 0 0 0" })
  end,
  define = function(server, spec)
    if spec.memory_only then return end
    process.run({ "redis-cli", "-p", server.port, "-x", "FUNCTION", "LOAD" }, "tools/load/" .. spec.part .. ".redis.lua")
  end,
}

systems.tarantool = {
  title = "Tarantool",
  missing = function() return not process.has "tarantool" and "Tarantool is not installed" end,
  launch = function(server, spec)
    return words { "tarantool", "tools/load/" .. spec.part .. ".tarantool.lua", server.port, server.dir,
      spec.durable and "fsync" or "write", server.console }
  end,
}

systems.postgres = {
  title = "PostgreSQL",
  missing = function()
    return process.output_of "ls /usr/lib/postgresql/*/bin/initdb" == "" and "PostgreSQL is not installed"
  end,
  prepare = function(server)
    if process.is_root() then process.run { "chown", "postgres:postgres", server.dir } end
    process.run(postgres_words("initdb", { "-D", server.dir, "-U", "postgres", "-A", "trust", "-N", "--no-locale" }))
  end,
  launch = function(server)
    return postgres_words("postgres", { "-D", server.dir, "-p", server.port, "-c", "listen_addresses=127.0.0.1",
      "-c", "unix_socket_directories=", "-c", "max_connections=200", "-c", "shared_buffers=512MB",
      "-c", "max_wal_size=16GB", "-c", "checkpoint_timeout=1h", "-c", "jit=off", "-c", "commit_delay=100" })
  end,
  define = function(server, spec)
    for _ = 1, 300 do
      if process.output_of(("pg_isready -h 127.0.0.1 -p %d"):format(server.port)):find "accepting" then break end
      process.sleep(0.1)
    end
    process.run { "psql", "-h", "127.0.0.1", "-p", server.port, "-U", "postgres", "-q", "-v", "ON_ERROR_STOP=1",
      "-f", "tools/load/" .. spec.part .. ".postgres.sql" }
  end,
  signal = process.SIGQUIT,
}

--- Says once that a system is left out, and why.
local function leave_out(name, reason)
  if not left_out[name] then
    io.stderr:write(("note: %s; %s is left out\n"):format(reason, systems[name].title))
  end
  left_out[name] = reason
end

--- Which systems were left out, and why.
servers.left_out = left_out

-- Somebody may take the port between its choice and its use, so there is another try with another one.
local TRIES = 3

local function launch(system, server, spec)
  for _ = 1, TRIES do
    server.port = process.free_port()
    server.pid = process.start(system.launch(server, spec), server.log)
    if process.wait_for_port(server.pid, server.port) then return end
    process.stop(server.pid)
  end
  process.refuse("%s did not start: %s", system.title, (process.read_file(server.log) or ""):sub(-500))
end

local function start(name, spec)
  local system = systems[name]
  started = started + 1
  local server = { name = name, system = system, dir = ("%s/%s-%d"):format(dir, name, started) }
  server.console = process.free_port() -- Tarantool's
  server.log = server.dir .. ".log"
  process.run { "mkdir", "-p", server.dir }
  if system.prepare then system.prepare(server) end
  launch(system, server, spec)
  if system.define then system.define(server, spec) end
  return server
end

--- Starts a system; nil when it is a peer that is not there or does not start.
function servers.start(name, spec)
  local system = systems[name]
  local reason = left_out[name] or (system.missing and system.missing())
  if reason then return leave_out(name, reason) end
  local ok, server = pcall(start, name, spec)
  if ok then return server end
  if name == "stdb" or type(server) ~= "table" then error(server, 0) end
  leave_out(name, server.text)
end

--- Starts our own server again on the same data; its memory then is that of the rows alone.
function servers.restart(server, spec)
  process.stop(server.pid, process.SIGTERM)
  launch(server.system, server, spec)
end

--- Kills a server and starts it again on the same data and port, without waiting for it.
function servers.kill(server)
  process.stop(server.pid)
end

function servers.launch_again(server, spec)
  server.pid = process.start(server.system.launch(server, spec), server.log)
end

function servers.stop(server)
  process.stop(server.pid, server.system.signal)
  process.run { "rm", "-rf", server.dir }
end

return servers
