--- stdb-lua delete: a database that a running server no longer serves.
local json = require "cli.json"
local server = require "cli.server"

return {
  arguments = "DATABASE",
  about = "Ends serving a database: its clients are disconnected, and its data is moved to `abandoned` in the data directory,\n"
    .. "from where it can be deleted. The database that the server was started for stays.",
  options = server.with_options {
    { "--yes", false, "really" },
  },
  positionals = { 1, 1 },
  run = function(host, options, positionals)
    if not options.yes then
      io.stderr:write(positionals[1], " is deleted only with --yes\n")
      return 2
    end
    local status, answer = server.new(host, options):request("DELETE", "/v1/database/" .. server.escape(positionals[1]))
    if status ~= 200 then
      io.stderr:write(answer, "\n")
      return 1
    end
    local done = json.decode(answer)
    print(("%s is no longer served; its data is in %s of the data directory"):format(done.name, done.kept_in))
    return 0
  end,
}
