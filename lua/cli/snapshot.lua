--- stdb-lua snapshot: has a running server take a snapshot now.
local json = require "cli.json"
local server = require "cli.server"

return {
  arguments = "DATABASE",
  about = "Takes a snapshot of a running database, as the server does by itself now and then. Returns when it has been\n" ..
    "written and read back whole: a start loads it and replays only the log behind it.",
  options = server.with_options {},
  positionals = { 1, 1 },
  run = function(host, options, positionals)
    local database = positionals[1]
    local path = ("/v1/database/%s/snapshot"):format(server.escape(database))
    local status, answer = server.new(host, options):request("POST", path, "")
    if status ~= 200 then
      io.stderr:write(answer, "\n")
      return 1
    end
    print("snapshot at offset " .. json.decode(answer).offset.number)
    return 0
  end,
}
