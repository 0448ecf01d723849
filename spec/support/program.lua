--- build/stdb-lua as a command that runs to its end.
---
---     local code, output, complaint = program.run("sql", "world", "SELECT * FROM t")
---     local world = program.for_server(server)    -- the same, with the server's address and its owner's token
---     local code, output = program.on(data_dir, "check")
---     program.events(data_dir, "--reducer", "add")[1].offset
local cjson = require "cjson"
local server = require "spec.support.server"

local program = {}

local function quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

function program.path()
  local given = os.getenv "STDB_PROGRAM"
  return given and given:sub(1, 1) == "/" and given or "build/stdb-lua"
end

local function run(environment, ...)
  local words = { "env", environment, quote(program.path()) }
  for _, word in ipairs { ... } do words[#words + 1] = quote(word) end
  local complaints = os.tmpname()
  local pipe = io.popen(("{ %s 2>%s; echo \"exit $?\"; }"):format(table.concat(words, " "), complaints))
  local output, code = pipe:read("*a"):match "^(.*)exit (%d+)\n$"
  pipe:close()
  local complaint = server.read_file(complaints)
  os.remove(complaints)
  return tonumber(code), output, complaint
end

--- The exit code, what it wrote, and what it wrote as errors.
function program.run(...)
  return run("XDG_STATE_HOME=/nonexistent", ...)
end

--- A command about a data directory: the exit code, and what it wrote with what it wrote as errors behind it.
function program.on(data_dir, command, ...)
  local code, output, complaint = program.run(command, "--data-dir", data_dir, ...)
  return code, output .. complaint
end

--- What such a command writes, which has to succeed.
function program.output_on(...)
  local code, output = program.on(...)
  assert(code == 0, output)
  return output
end

--- The records that `log` tells of.
function program.events(data_dir, ...)
  local list = {}
  for line in program.output_on(data_dir, "log", "--format", "json", ...):gmatch "[^\n]+" do
    list[#list + 1] = cjson.decode(line)
  end
  return list
end

--- A function like program.run for commands that talk to this server.
function program.for_server(world)
  local environment = ("XDG_STATE_HOME=%s STDB_SERVER=127.0.0.1:%d"):format(quote(world.root .. "/state"), world.port)
  return function(...) return run(environment, ...) end
end

return program
