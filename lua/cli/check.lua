--- stdb-lua check --server: has a running server verify a database, its disk and its memory.
local json = require "cli.json"
local server = require "cli.server"

return {
  arguments = "DATABASE",
  about = "Has a running server verify a database: what is on its disk, that its tables are what the log amounts to, row\n"
    .. "by row, and that every row is in every index. The server goes on meanwhile, and needs the memory of the tables\n"
    .. "once more. Without --server a data directory is verified; see stdb-lua check --help.\n"
    .. "Exit code: 0 all is well, 1 something is wrong or could not be looked at, 2 not understood.",
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
