--- From the save of a module to the first call that its new version runs, with clients connected; and calls beside saves.
local process = require "process"
local servers = require "servers"

local reload = {
  title = "a module of 1,000 lines is saved, clients connected; calls beside saves",
  measure = "ms",
  peers = { "quiet" },
  columns = { { field = "ms", title = "ms", format = "%.2f" } },
}

local LINES, VERSIONS, PLAYERS = 1000, 20, 100000

-- Behind it stand the players of bulk.lua, for calls beside saves.
local HEAD = [[
local VERSION = %d

stdb.reducer("is_before", { { "number", t.u32 } }, function(ctx, number)
  if number <= VERSION then stdb.reject "this version is in force" end
end)
]]

-- Twenty lines: a table and what a game does with it.
local PART = [[

stdb.table("thing_%d", { public = true,
  { "id", t.u32, primary_key = true, auto_inc = true },
  { "owner", t.identity, index = true },
  { "name", t.string },
  { "x", t.f32 },
  { "y", t.f32 },
  { "count", t.i32, default = 0 },
})

stdb.reducer("make_%d", { { "name", t.string }, { "x", t.f32 }, { "y", t.f32 } }, function(ctx, name, x, y)
  if name == "" then stdb.reject "choose a name" end
  ctx.db.thing_%d:insert { owner = ctx.sender, name = name, x = x, y = y }
end)

stdb.reducer("move_%d", { { "id", t.u32 }, { "x", t.f32 }, { "y", t.f32 } }, function(ctx, id, x, y)
  local thing = ctx.db.thing_%d.id:get(id)
  thing.x, thing.y = x, y
  ctx.db.thing_%d.id:update(thing)
end)
]]

local function text_of(version)
  local parts = { process.read_file "tools/load/bulk.lua" .. HEAD:format(version) }
  local _, head_lines = parts[1]:gsub("\n", "")
  local _, part_lines = PART:gsub("\n", "")
  for number = 1, math.floor((LINES - head_lines) / part_lines) do
    parts[#parts + 1] = PART:gsub("%%d", number)
  end
  return table.concat(parts)
end

local function prepare(file, from, to)
  for version = from, to do process.write_file(("%s.%d"):format(file, version), text_of(version)) end
end

local CLIENTS = { "--connections", 100 }

local function saves(file)
  local arguments = { "--file", file, "--number", VERSIONS }
  for _, word in ipairs(CLIENTS) do arguments[#arguments + 1] = word end
  return arguments
end

local function measure(bench, server, file, round)
  local _, lines = bench.load("v3", server, "reload", saves(file))
  for _, line in ipairs(lines) do
    bench.note("save to live", "v3", round, { ms = line.live_ms })
    bench.note("longest wait of a client", "v3", round, { ms = line.pause_ms })
  end
end

local CALLS = { "--accounts", PLAYERS, "--connections", 4, "--window", 1 }

--- p99 of calls, quiet and while the module is saved ten times a second.
local function calls_beside(bench, server, file, round)
  bench.load("v3", server, "call", { "--function", "insert", "--number", PLAYERS })
  local save = ("echo '-- saved' >> %s; sleep 0.1"):format(process.quote(file))
  local quiet, busy = bench.beside(server, { "sh", "-c", save }, CALLS)
  bench.note("p99 of calls beside", "quiet", round, { ms = quiet.p99_us / 1e3 })
  bench.note("p99 of calls beside", "saves", round, { ms = busy.p99_us / 1e3 })
end

function reload.run(bench)
  local folder = process.output_of "mktemp -d /tmp/stdb-bench.XXXXXX"
  local file = folder .. "/module.lua"
  for round = 1, bench.options.runs do
    bench.say("round %d", round)
    process.write_file(file, text_of(0))
    prepare(file, 1, VERSIONS)
    local server = servers.start("stdb", { file = file })
    measure(bench, server, file, round)
    calls_beside(bench, server, file, round)
    servers.stop(server)
  end
  process.run { "rm", "-rf", folder }
end

return reload
