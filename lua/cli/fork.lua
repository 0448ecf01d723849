--- stdb-lua fork: a database once more, on a running server or in a stopped one's data directory.
local json = require "cli.json"
local server = require "cli.server"

local function on_server(host, options, database, name)
  local path = ("/v1/database/%s/fork?name=%s"):format(server.escape(database), server.escape(name))
  local status, answer = server.new(host, options):request("POST", path, "")
  if status ~= 200 then return nil, answer end
  return ("%s is served: %s as of offset %s, with its schedules paused; `stdb-lua resume %s` ends that"):format(name, database,
    json.decode(answer).offset.number, name)
end

local function in_directory(host, options, database, name)
  local made, message = host.fork(options.data_dir, database, name)
  if not made then return nil, message end
  return ("%s is in %s: %s as it is now, with its schedules paused; any run there serves it, too"):format(name,
    options.data_dir, database)
end

return {
  arguments = "DATABASE NEW",
  about = "Makes a second database of one: the same rows and the same module, another name and identity. Both go their own\n"
    .. "ways from there. The fork's schedules are paused until `stdb-lua resume NEW`. It serves the module's version that is\n"
    .. "in force now, until another is published to it: `stdb-lua run MODULE --database NEW` on the same data directory.\n"
    .. "The original's server goes on meanwhile; with --data-dir it is a stopped one's.",
  options = server.with_options {
    { "--data-dir", "DIR", "in the data directory of a stopped server" },
  },
  positionals = { 2, 2 },
  run = function(host, options, positionals)
    local make = options.data_dir and in_directory or on_server
    local done, message = make(host, options, positionals[1], positionals[2])
    if not done then
      io.stderr:write(message, "\n")
      return 1
    end
    print(done)
    return 0
  end,
}
