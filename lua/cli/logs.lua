--- stdb-lua logs: what a module has said, and what it goes on to say.
local json = require "cli.json"
local misuse = require "cli.misuse"
local server = require "cli.server"

local levels = { "Error", "Warn", "Info", "Debug", "Trace" }
local ranks = {}
for rank, level in ipairs(levels) do ranks[level] = rank end

-- Control characters could fool a terminal; lines of a stack trace stay lines, indented, and what print has put a tab
-- between stays apart.
local shown = { ["\n"] = "\n    ", ["\t"] = "\t" }

local function plain(text)
  return (text:gsub("%c", function(char) return shown[char] or "?" end))
end

-- What the database itself says has this for its file and its function: official tools know it so.
local OWN = "__spacetimedb__"

local function line_text(line)
  local micros = tonumber(line.ts.number)
  local parts = { os.date("!%Y-%m-%dT%H:%M:%S", math.floor(micros / 1e6)), (".%03dZ "):format(math.floor(micros / 1e3) % 1e3) }
  parts[#parts + 1] = line.level:upper() .. ": "
  if line.filename ~= OWN and line["function"] then parts[#parts + 1] = line["function"] .. " " end
  if line.filename ~= OWN and line.filename then
    parts[#parts + 1] = line.filename .. (line.line_number and ":" .. line.line_number.number or "") .. ": "
  end
  parts[#parts + 1] = line.message
  return plain(table.concat(parts))
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

local function rank_of(option, level)
  for rank, name in ipairs(levels) do
    if name:lower() == level:lower() then return rank end
  end
  misuse("%s is one of error, warn, info, debug, trace, not %s", option, level)
end

-- The first and the last of the ranks that are wanted.
local function ranks_of(options)
  if options.level and options.level_exact then misuse "--level and --level-exact exclude one another" end
  if options.level_exact then
    local rank = rank_of("--level-exact", options.level_exact)
    return rank, rank
  end
  return 1, options.level and rank_of("--level", options.level) or #levels
end

local formats = {
  text = line_text,
  json = function(_, text) return text end,
}

local function format_of(name)
  return formats[name or "text"] or misuse("--format is text or json, not %s", name)
end

return {
  arguments = "DATABASE",
  about = "Shows the log of a running database's module: what it printed, what it refused, where it failed.",
  options = server.with_options {
    { "--num-lines", "N", "only the last N lines (with --follow: 10)" },
    { "--follow", false, "go on with what comes, until Ctrl-C or the server's end" },
    { "--level", "LEVEL", "only lines of this level and above: error, warn, info, debug, trace" },
    { "--level-exact", "LEVEL", "only lines of this level" },
    { "--format", "FORMAT", "text (default) or json" },
  },
  positionals = { 1, 1 },
  run = function(host, options, positionals)
    local database = positionals[1]
    local rank_min, rank_max = ranks_of(options)
    local format = format_of(options.format)
    local count = options.num_lines or (options.follow and "10")
    if count and not count:find "^%d+$" then misuse("--num-lines is a whole number, not %s", count) end
    local path = ("/v1/database/%s/logs?follow=%s"):format(server.escape(database), tostring(options.follow or false))
    if count then path = path .. "&num_lines=" .. server.escape(count) end
    local refused = {}
    local reader = line_reader(function(text)
      if text:sub(1, 1) ~= "{" then
        refused[#refused + 1] = text
        return
      end
      local line = json.decode(text)
      local rank = ranks[line.level] or 1
      if rank >= rank_min and rank <= rank_max then
        print(format(line, text))
        io.stdout:flush()
      end
    end)
    local status, _, cut = server.new(host, options):request("GET", path, nil, nil, reader)
    if status == 200 then
      if cut then io.stderr:write("the server has gone: ", cut, "\n") end
      return 0
    end
    reader "\n"
    io.stderr:write(table.concat(refused, "\n"), "\n")
    return 1
  end,
}
