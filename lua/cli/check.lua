--- stdb-lua check DATABASE: has a running server verify a database, its disk and its memory.
local json = require "cli.json"
local server = require "cli.server"

return {
  arguments = "DATABASE",
  about = "What a running server does of `stdb-lua check`.", -- whose own help tells of both
  options = server.with_options {},
  positionals = { 1, 1 },
  run = function(host, options, positionals)
    local path = ("/v1/database/%s/check"):format(server.escape(positionals[1]))
    local status, answer = server.new(host, options):request("POST", path, "")
    if status ~= 200 then
      io.stderr:write(answer, "\n")
      return 1
    end
    local report = json.decode(answer)
    for _, line in ipairs(report.lines) do print(line) end
    local faults = tonumber(report.faults.number)
    if faults == 0 then
      print "All is well."
      return 0
    end
    print(("%d %s wrong. Nothing was changed."):format(faults, faults == 1 and "thing is" or "things are"))
    return 1
  end,
}
