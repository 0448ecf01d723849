--- stdb-lua past: one question to a database as it was, asked of its directory.
local json = require "cli.json"
local print_table = require("cli.sql").print_table

return {
  arguments = "QUERY",
  about = "Asks a database as it was at a moment that is kept: SELECT * FROM table [WHERE ...]. Reads the data directory;\n"
    .. "a server may run on it. `stdb-lua log` shows which moments there are.",
  options = {
    { "--as-of", "MOMENT", "right after the transaction at this offset, or at this time (2026-11-20T08:15:30Z)" },
    { "--data-dir", "DIR", "where the data lives (.stdb in this folder)" },
    { "--database", "NAME", "which database (the only one there)" },
    { "--format", "FORMAT", "table (default) or json" },
  },
  positionals = { 1, 1 },
  run = function(host, options, positionals)
    local query = positionals[1]
    if not options.as_of then error("--as-of is needed: which moment? See --help", 0) end
    if options.format and options.format ~= "table" and options.format ~= "json" then
      error("--format is table or json, not " .. options.format, 0)
    end
    local answer, message = host.past(options.data_dir, options.database, options.as_of, query)
    if not answer then error(message, 0) end
    if options.format == "json" then
      print(answer)
    else
      for _, result in ipairs(json.decode(answer)) do print_table(result) end
    end
    return 0
  end,
}
