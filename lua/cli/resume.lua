--- stdb-lua resume: ends the pause that a fork's schedules begin with.
local server = require "cli.server"

return {
  arguments = "DATABASE",
  about = "Ends the pause of a database's schedules, which a fork begins with.",
  options = server.with_options {},
  positionals = { 1, 1 },
  run = function(host, options, positionals)
    local path = ("/v1/database/%s/resume"):format(server.escape(positionals[1]))
    local status, answer = server.new(host, options):request("POST", path, "")
    if status ~= 200 then
      io.stderr:write(answer, "\n")
      return 1
    end
    print(positionals[1] .. ": " .. answer)
    return 0
  end,
}
