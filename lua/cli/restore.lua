--- stdb-lua restore: a database becomes what it was, on a stopped server or, with consent, on a running one.
local server = require "cli.server"

local function complain(message, exit_code)
  io.stderr:write("stdb-lua restore: ", message, "\n")
  return exit_code
end

--- What is wrong with the words of the command, or nil.
local function mixture(options, file)
  if (options.to == nil) == (file == nil) then return "it takes either the FILE of a backup or --to MOMENT" end
  if options.to and (options.replace or options.fork) then return "--replace and --fork go with the FILE of a backup" end
  if options.live and not (options.to and options.database) then return "--live goes with --to MOMENT and --database NAME" end
  if options.live and options.data_dir then return "--live asks a server, and --data-dir names a stopped one's directory" end
end

local function on_server(host, options)
  local path = ("/v1/database/%s/restore?to=%s"):format(server.escape(options.database), server.escape(options.to))
  local status, answer = server.new(host, options):request("POST", path, "")
  if status ~= 200 then return nil, answer end
  return answer
end

return {
  arguments = "[FILE]",
  about = "Makes a database of a backup, or rolls one back to a moment that it has kept. The server is stopped meanwhile,\n"
    .. "or consents to a rollback by --live: the database's clients are disconnected, and it goes on with the module of\n"
    .. "that moment. What a database held before is not deleted, but kept in a folder of its own under DIR/abandoned,\n"
    .. "which log, sql and check read. Cut short, the old state is there or the new one. A module whose files are lost\n"
    .. "is in the database: `stdb-lua salvage` writes it out, and `stdb-lua run` serves it again.",
  options = server.with_options {
    { "--to", "MOMENT", "go back to this offset, or to this time like 2026-11-20T08:15:30Z" },
    { "--live", false, "on a running server, whose clients lose what came after the moment" },
    { "--replace", false, "put the backup in the place of a database, which is kept aside" },
    { "--fork", false, "make another database of the backup: an identity of its own, schedules paused" },
    { "--data-dir", "DIR", "where the data lives (.stdb in this folder); a new one is made for a backup" },
    { "--database", "NAME", "which database (with --to: the only one; else the backup's name)" },
  },
  positionals = { 0, 1 },
  run = function(host, options, positionals)
    local wrong = mixture(options, positionals[1])
    if wrong then return complain(wrong, 2) end
    local done, message, misunderstood
    if options.live then
      done, message = on_server(host, options)
    else
      options.file = positionals[1]
      done, message, misunderstood = host.restore(options)
    end
    if not done then return complain(message, misunderstood and 2 or 1) end
    print(done)
    return 0
  end,
}
