--- stdb-lua logs: what a module has said, and what it goes on to say.
local json = require "cli.json"
local server = require "cli.server"

local levels = { "Error", "Warn", "Info", "Debug", "Trace" }
local ranks = {}
for rank, level in ipairs(levels) do ranks[level] = rank end

local function print_line(text, rank_max)
  local line = json.decode(text)
  if (ranks[line.level] or 1) > rank_max then return end
  local micros = tonumber(line.ts.number)
  local parts = { os.date("!%Y-%m-%dT%H:%M:%S", math.floor(micros / 1e6)), (".%03dZ "):format(math.floor(micros / 1e3) % 1e3) }
  parts[#parts + 1] = line.level:upper() .. ": "
  if line["function"] then parts[#parts + 1] = line["function"] .. " " end
  if line.filename then
    parts[#parts + 1] = line.filename .. (line.line_number and ":" .. line.line_number.number or "") .. ": "
  end
  parts[#parts + 1] = line.message
  print(table.concat(parts))
  io.stdout:flush()
end

-- Data comes in pieces that end anywhere; lines are told whole.
local function line_reader(each)
  local rest = ""
  return function(data)
    rest = rest .. data
    for line in rest:gmatch "([^\n]*)\n" do
      if line ~= "" then each(line) end
    end
    rest = rest:match "[^\n]*$"
  end
end

local function rank_of(level)
  for rank, name in ipairs(levels) do
    if level and name:lower() == level:lower() then return rank end
  end
  if level then error("--level is one of error, warn, info, debug, trace, not " .. level, 0) end
  return #levels
end

return {
  arguments = "DATABASE",
  about = "Shows the log of a running database's module: what it printed, what it refused, where it failed.",
  options = server.with_options {
    { "--num-lines", "N", "only the last N lines (with --follow: 10)" },
    { "--follow", false, "go on with what comes, until Ctrl-C" },
    { "--level", "LEVEL", "only lines of this level and above: error, warn, info, debug, trace" },
    { "--format", "FORMAT", "text (default) or json" },
  },
  positionals = 1,
  run = function(host, options, positionals)
    local database = positionals[1] or error("a database is needed; see --help", 0)
    local rank_max = rank_of(options.level)
    local count = options.num_lines or (options.follow and "10")
    local path = ("/v1/database/%s/logs?follow=%s"):format(server.escape(database), tostring(options.follow or false))
    if count then path = path .. "&num_lines=" .. server.escape(count) end
    local refused = {}
    local reader = line_reader(function(line)
      if line:sub(1, 1) ~= "{" then
        refused[#refused + 1] = line
      elseif options.format == "json" then
        print(line)
      else
        print_line(line, rank_max)
      end
    end)
    local status = server.new(host, options):request("GET", path, nil, nil, reader)
    reader "\n"
    if status == 200 then return 0 end
    io.stderr:write(table.concat(refused, "\n"), "\n")
    return 1
  end,
}
